/**
 * `orrery profile` on a real network: the call is made in a copy, in every format its functions' shares add up to what the call costs when it
 * is really made, and the network stays as it was, while it runs and after it stopped.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { motokoFixture } from "@orrery/canisters/fixtures";
import type { Outcome } from "@orrery/host/command";
import { agentFor, type Network, startNetwork } from "./harness.ts";
import { orrery } from "./orrery.ts";
import { install, type Program } from "./programs.ts";

const directory = mkdtempSync(join(tmpdir(), "orrery-profile-"));
const stateDir = join(directory, "state");
const identity = Ed25519KeyIdentity.generate();
let network: Network;
let caller: Program;
let callee: Program;

interface ProfileDocument {
  readonly v: string;
  readonly reply: string | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly instructions: string;
  readonly functions: readonly { readonly name: string; readonly self: string; readonly total: string }[];
  readonly stacks: readonly { readonly frames: readonly string[]; readonly instructions: string }[];
}

const here = (...argv: readonly string[]): Promise<Outcome> =>
  orrery({ cwd: directory, env: { ...process.env, NO_COLOR: "1" } }, ...argv, "--state-dir", stateDir);

const sum = (counts: readonly string[]): string =>
  `${counts.reduce((total, one) => total + BigInt(one), 0n)}`;
const relayArg = (): string => `(principal "${callee.id.toText()}", 5)`;

async function profiled(...argv: readonly string[]): Promise<ProfileDocument> {
  const { code, out, err } = await here("profile", ...argv, "--json");
  assert.equal(code, 0, out + err);
  return JSON.parse(out) as ProfileDocument;
}

before(async () => {
  network = await startNetwork({
    stateDir,
    arguments: ["--subnet", "application", "--subnet", "application"],
  });
  const on = (subnet: number, name: "caller" | "callee"): Promise<Program> => {
    const { default_effective_canister_id: id } = network.document.subnets[subnet] ?? {};
    const place = { effectiveCanisterId: Principal.fromText(id ?? "") };
    return install(place, agentFor(network, identity), motokoFixture(name, "enhanced"));
  };
  [caller, callee] = await Promise.all([on(1, "caller"), on(2, "callee")]);
  // As a deployment of a project leaves it.
  const mappings = join(directory, ".icp", "data", "mappings");
  mkdirSync(mappings, { recursive: true });
  writeFileSync(join(mappings, "local.ids.json"), JSON.stringify({ relayer: caller.id.toText() }));
});
after(async () => {
  await network.end("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
});

test("a call to another subnet costs in a copy what it costs really, and nothing of it is left", async () => {
  await caller.call("relay", callee.id, 5n);
  const profile = await profiled("relayer", "relay", relayArg());
  assert.equal(profile.error, null);
  assert.equal(profile.reply, Buffer.from(IDL.encode([IDL.Nat], [10n])).toString("hex"));
  assert.equal(sum(profile.stacks.map(({ instructions }) => instructions)), profile.instructions);
  assert.equal(sum(profile.functions.map(({ self }) => self)), profile.instructions);
  const labels = new Set(profile.stacks.map(({ frames: [label] }) => label));
  const expected = ["relayer update relay", `${callee.id.toText()} update add`, "relayer reply callback"];
  assert.deepEqual(labels, new Set(expected));
  // The network is as it was: the same call comes to the same there, at the same price.
  assert.equal(await callee.call("get"), 5n);
  assert.equal(await caller.call("relay", callee.id, 5n), 10n);
  const real = JSON.parse((await here("trace", "last", "--json")).out);
  assert.equal(real.outcome.trace.instructions, profile.instructions);
});

test("a table for people, and files for browsers and other tools", async () => {
  const files = ["flame.html", "flame.folded", "flame.json"] as const;
  const [html, folded, speedscope] = files;
  const { code, out, err } = await here(
    ...["profile", caller.id.toText(), "callTrapping", `(principal "${callee.id.toText()}")`, "--count", "3"],
    ...["--html", html, "--folded", folded, "--speedscope", speedscope],
  );
  assert.equal(code, 0, out + err);
  const [outcome, instructions, , heading, ...rows] = out.split("\n");
  assert.match(outcome ?? "", /^outcome +replied with \d+ bytes$/);
  const total = (/[\d,]+$/.exec(instructions ?? "")?.[0] ?? "").replaceAll(",", "");
  assert.match(heading ?? "", /^ +SELF +% +TOTAL +% {2}FUNCTION$/);
  assert.match(rows[0] ?? "", /^ *[\d,]+ +\d+\.\d\d +[\d,]+ +\d+\.\d\d {2}\S/);
  assert.match(rows[3] ?? "", /^… and \d+ more/);
  assert.deepEqual(
    rows.slice(4, 7),
    files.map((file) => `Wrote ${file}.`),
  );
  const stacks = readFileSync(join(directory, folded), "utf8").trimEnd().split("\n");
  assert.equal(sum(stacks.map((line) => line.slice(line.lastIndexOf(" ") + 1))), total);
  const document = JSON.parse(readFileSync(join(directory, speedscope), "utf8"));
  assert.equal(`${document.profiles[0].endValue}`, total);
  assert.match(readFileSync(join(directory, html), "utf8"), /<title>callTrapping of relayer<\/title>/);
});

test("after the network stopped the same; rejects, queries, and what cannot be asked", async () => {
  await network.end("SIGTERM");
  const [query, trapped, ...refused] = await Promise.all([
    profiled("relayer", "stepCount", "--query"),
    profiled(callee.id.toText(), "addThenTrap", "(1)"),
    here("profile", "nobody", "inc", "--json"),
    here("profile", "relayer", "relay", "(principal", "--json"),
  ]);
  assert.notEqual(query.reply, null);
  assert.ok(query.stacks.every(({ frames: [label] }) => label === "relayer query stepCount"));
  assert.deepEqual([trapped.reply, trapped.error?.code], [null, "IC0503"]);
  for (const { stacks, instructions } of [query, trapped]) {
    assert.notEqual(instructions, "0");
    assert.equal(sum(stacks.map((stack) => stack.instructions)), instructions);
  }
  assert.deepEqual(
    refused.map(({ code, out }) => [code, JSON.parse(out).error.code]),
    [
      [1, "principal_invalid"],
      [1, "candid_invalid"],
    ],
  );
});
