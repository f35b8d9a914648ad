/** The Motoko libraries of the system canisters, run by the compiler's interpreter against Node's results. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

import { Principal } from "@icp-sdk/core/principal";

import { accountIdentifierHex, subaccountOf } from "./account.ts";

interface Interpreter {
  loadPackage(contents: unknown): void;
  write(path: string, content: string): void;
  run(path: string): { readonly stdout: string; readonly stderr: string };
}

const require = createRequire(import.meta.url);
const libraries = new URL("../system/lib/", import.meta.url);

/** Prints each Motoko expression of type Text, one a line. */
function evaluate(expressions: readonly string[]): readonly string[] {
  const motoko = require("motoko") as Interpreter;
  motoko.loadPackage(require("motoko/packages/latest/core.json"));
  for (const name of readdirSync(libraries)) {
    motoko.write(`lib/${name}`, readFileSync(new URL(name, libraries), "utf8"));
  }
  const imports = ["Account", "Bytes", "HashTree", "Sha256"].map((name) => `import ${name} "lib/${name}";`);
  const prints = expressions.map((expression) => `Debug.print(${expression});`);
  motoko.write(
    "Test.mo",
    `${imports.join("\n")}
import Debug "mo:core/Debug";
import Principal "mo:core/Principal";
${prints.join("\n")}`,
  );
  const { stdout, stderr } = motoko.run("Test.mo");
  // The last line is the value of the program.
  return stdout === "" ? [stderr] : stdout.trimEnd().split("\n").slice(0, -1);
}

function sha256(...parts: readonly (string | Uint8Array)[]): Buffer {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}

test("hashes, account identifiers, numbers and hash trees agree with Node's", () => {
  const lengths = [0, 1, 55, 56, 63, 64, 65, 119, 120, 200];
  const owner = "rkp4c-7iaaa-aaaaa-aaaca-cai";
  const principal = Principal.fromText(owner);
  const leaf = (text: string): Buffer => sha256("\x10ic-hashtree-leaf", text);
  const labeled = (name: string, child: Buffer): Buffer => sha256("\x13ic-hashtree-labeled", name, child);
  const fork = sha256("\x10ic-hashtree-fork", labeled("a", leaf("hello")), labeled("b", leaf("")));
  const cases: readonly (readonly [string, string])[] = [
    ...lengths.map((length): readonly [string, string] => [
      `Bytes.toHex(Sha256.digest(Bytes.repeat(97, ${length})))`,
      sha256("a".repeat(length)).toString("hex"),
    ]),
    [
      `Bytes.toHex(Account.identifier({ owner = Principal.fromText("${owner}"); subaccount = ?Account.subaccountOf(Principal.fromText("${owner}")) }))`,
      accountIdentifierHex(principal, subaccountOf(principal)),
    ],
    [
      `Bytes.toHex(Account.identifier({ owner = Principal.anonymous(); subaccount = null }))`,
      accountIdentifierHex(Principal.anonymous()),
    ],
    [`Bytes.toHex(Bytes.leb128(624485))`, "e58e26"],
    [`Bytes.toHex(Bytes.leb128(0))`, "00"],
    [`debug_show (Bytes.fromHex("00fFa"))`, "null"],
    [`debug_show (Bytes.fromHex("00ff"))`, `?"\\00\\FF"`],
    [
      `Bytes.toHex(HashTree.encode(#fork(#labeled("a", #leaf("hello")), #labeled("b", #leaf("")))))`,
      "d9d9f783018302416182034568656c6c6f830241628203" + "40",
    ],
    [
      `Bytes.toHex(HashTree.hash(#fork(#labeled("a", #leaf("hello")), #labeled("b", #leaf("")))))`,
      fork.toString("hex"),
    ],
  ];
  assert.deepEqual(
    evaluate(cases.map(([expression]) => expression)),
    cases.map(([, expected]) => expected),
  );
});
