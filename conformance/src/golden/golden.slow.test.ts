/**
 * Real programs give the results and count the instructions that `vectors/golden.json` says, to the unit (interface spec, "Performance
 * counter"; the weights are the replica's). `node conformance/src/golden/golden.slow.test.ts --write` writes the table anew.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import type { CanisterId } from "@orrery/base";
import { goldenPrograms, MAIN, PARTNER, type Program } from "./programs.testkit.ts";
import { type Answered, GoldenSubnet } from "./subnet.testkit.ts";

const TABLE = new URL("./vectors/golden.json", import.meta.url);
const PROGRAMS_MIN = 25;
const CYCLES = 1n << 70n;
const SHOWN_BYTES_MAX = 48;

/** "method": [outcome, instructions]. */
type Row = readonly [string, string, number];
type Table = Record<string, readonly Row[]>;

const Create = IDL.Record({ amount: IDL.Opt(IDL.Nat) });
const Install = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

function outcomeOf({ status }: Answered): string {
  if (status.kind === "replied") {
    const hex = Buffer.from(status.reply).toString("hex");
    if (status.reply.length <= SHOWN_BYTES_MAX) return hex;
    return `${status.reply.length} bytes, sha256 ${createHash("sha256").update(status.reply).digest("hex")}`;
  }
  return status.kind === "rejected" ? `${status.errorCode} ${status.message.split("\n")[0]}` : status.kind;
}

function install(subnet: GoldenSubnet, id: Principal, module: Uint8Array, arg: Uint8Array): Answered {
  const value = { mode: { install: null }, canister_id: id, wasm_module: module, arg };
  return subnet.call({ method: "install_code", arg: new Uint8Array(IDL.encode([Install], [value])) });
}

function create(subnet: GoldenSubnet): Principal {
  const arg = new Uint8Array(IDL.encode([Create], [{ amount: [CYCLES] }]));
  const { status } = subnet.call({ method: "provisional_create_canister_with_cycles", arg });
  assert.equal(status.kind, "replied");
  const reply = status.kind === "replied" ? status.reply : new Uint8Array();
  const [created] = IDL.decode([IDL.Record({ canister_id: IDL.Principal })], reply) as unknown as [
    { canister_id: Principal },
  ];
  return created.canister_id;
}

function rowsOf(program: Program, options = { profiled: false }): Row[] {
  const subnet = new GoldenSubnet(options);
  const main = create(subnet);
  assert.equal(main.toText(), MAIN.toText());
  if (program.partner !== null) {
    const { status } = install(subnet, create(subnet), program.partner, program.init);
    assert.equal(status.kind, "replied", JSON.stringify(status));
  }
  const installed = install(subnet, main, program.module, program.init);
  const rows: Row[] = [["(install)", outcomeOf(installed), Number(installed.instructions)]];
  for (const step of program.steps(PARTNER)) {
    if ("seconds" in step) {
      let instructions = 0n;
      for (let i = 0; i < step.seconds; i++) instructions += subnet.round();
      rows.push([`(${step.seconds} s)`, "", Number(instructions)]);
      continue;
    }
    const answered = subnet.call({
      canisterId: main.toUint8Array() as CanisterId,
      method: step.method,
      arg: step.arg,
    });
    rows.push([step.method, outcomeOf(answered), Number(answered.instructions)]);
  }
  return rows;
}

const programs = goldenPrograms(new GoldenSubnet().id);
if (process.argv.includes("--write")) {
  const table: Table = Object.fromEntries(programs.map((program) => [program.name, rowsOf(program)]));
  const lines = Object.entries(table).map(
    ([name, rows]) =>
      `  ${JSON.stringify(name)}: [\n${rows.map((row) => `    [${row.map((cell) => JSON.stringify(cell)).join(", ")}]`).join(",\n")}\n  ]`,
  );
  writeFileSync(TABLE, `{\n${lines.join(",\n")}\n}\n`);
}
const golden = JSON.parse(readFileSync(TABLE, "utf8")) as Table;

describe("golden programs", () => {
  test("are enough, and each has its rows", () => {
    assert.deepEqual(Object.keys(golden).sort(), programs.map(({ name }) => name).sort());
    const distinct = new Set(programs.map(({ name }) => name.replace(/ \(.*\)$/, "")));
    assert.ok(distinct.size >= PROGRAMS_MIN, `${distinct.size} programs`);
  });
  for (const program of programs) {
    test(program.name, () => assert.deepEqual(rowsOf(program), golden[program.name]));
    test(`${program.name}, profiled: each profile adds up`, () =>
      assert.deepEqual(rowsOf(program, { profiled: true }), golden[program.name]));
  }
});
