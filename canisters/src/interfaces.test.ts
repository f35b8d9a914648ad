/** Hand-written interfaces against the `.did` files that the compiler wrote, and what tools call. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { IDL } from "@icp-sdk/core/candid";

import { initArguments, serviceMethods, typeText } from "./candid-text.ts";
import { interfaces } from "./fixture-interfaces.ts";
import { motokoFixture, motokoFixtureNames, otherFixture } from "./fixtures.ts";
import {
  encodeCyclesLedgerInit,
  encodeCyclesMintingInit,
  encodeIcpLedgerInit,
  initTypes,
  type SystemGenesis,
} from "./init.ts";

const folder = new URL("../", import.meta.url);
const genesis: SystemGenesis = {
  subnetId: "tdb26-jop6k-aogll-7ltgs-eruif-6kk7m-qpktf-gdiqx-mxtrf-vb5e6-eqe",
};

function didOf(path: string): string {
  return readFileSync(new URL(path, folder), "utf8");
}

function display(type: IDL.Type): string {
  return typeText(
    (type instanceof IDL.FuncClass ? `func ${type.display()}` : type.display()).replaceAll("→", "->"),
  );
}

function systemDid(name: string): string {
  return didOf(`system/${name}/${name}.did`);
}

for (const [name, service] of Object.entries(interfaces)) {
  test(`the interface of the fixture ${name} is the one of its .did file`, () => {
    const path = name === "registry" ? "fixtures/azle/registry.did" : `fixtures/built/${name}.did`;
    const expected = Object.fromEntries(
      [...serviceMethods(didOf(path))].map(([key, text]) => [key, `func ${text}`]),
    );
    const ours = Object.fromEntries(service._fields.map(([key, type]) => [key, display(type)]));
    assert.deepEqual(ours, expected);
  });
}

test("every fixture loads, in both persistence modes where it has them", () => {
  for (const name of motokoFixtureNames) {
    for (const mode of ["enhanced", "classic"] as const) {
      const fixture = motokoFixture(name, mode);
      assert.ok(fixture.wasmGzip.length > 10_000, name);
      const expected = initArguments(didOf(`fixtures/built/${name}.did`));
      assert.deepEqual(fixture.initTypes.map(display), expected, name);
    }
  }
  for (const name of ["accumulator", "memory64"] as const) assert.equal(otherFixture(name).idlFactory, null);
  assert.ok(otherFixture("registry").wasmGzip.length < 1_500_000);
});

test("an installation argument of a system canister has the type of its .did file", () => {
  const cases = [
    ["icp-ledger", initTypes.icpLedger, encodeIcpLedgerInit(genesis)],
    ["cycles-ledger", initTypes.cyclesLedger, encodeCyclesLedgerInit(genesis)],
    ["cycles-minting", initTypes.cyclesMinting, encodeCyclesMintingInit(genesis)],
  ] as const;
  for (const [name, type, encoded] of cases) {
    assert.deepEqual([display(type)], initArguments(systemDid(name)), name);
    assert.equal(IDL.decode([type], encoded).length, 1, name);
  }
});

test("the anonymous principal owns at least 10^9 ICP and 2^100 cycles unless a genesis says otherwise", () => {
  const [ledger] = IDL.decode([initTypes.icpLedger], encodeIcpLedgerInit(genesis)) as unknown as [
    { Init: { minting_account: string; initial_values: [string, { e8s: bigint }][] } },
  ];
  const [account, tokens] = ledger.Init.initial_values[0] ?? ["", { e8s: 0n }];
  assert.equal(account, "1c7a48ba6a562aa9eaa2481a9049cdf0433b9738c992d698c31d8abf89cadc79");
  assert.ok(tokens.e8s >= 10n ** 17n);
  const [cycles] = IDL.decode([initTypes.cyclesLedger], encodeCyclesLedgerInit(genesis)) as unknown as [
    { Init: { initial_balances: [[unknown, bigint][]] } },
  ];
  assert.equal(cycles.Init.initial_balances[0][0]?.[1], 2n ** 100n);
  const none = encodeIcpLedgerInit({ ...genesis, funding: [] });
  const [empty] = IDL.decode([initTypes.icpLedger], none) as unknown as [
    { Init: { initial_values: unknown[] } },
  ];
  assert.deepEqual(empty.Init.initial_values, []);
});

const TRANSFER_ARGUMENT =
  "record { amount: nat; created_at_time: opt nat64; fee: opt nat; from_subaccount: opt vec nat8; memo: opt vec nat8; to: record { owner: principal; subaccount: opt vec nat8 } }";

test("what command-line tools call has the public signature", () => {
  const expected = [
    ["cycles-minting", "get_default_subnets", "() -> (vec principal) query"],
    [
      "cycles-minting",
      "get_subnet_types_to_subnets",
      "() -> (record { data: vec record { 0: text; 1: vec principal } }) query",
    ],
    [
      "cycles-ledger",
      "icrc1_balance_of",
      "(record { owner: principal; subaccount: opt vec nat8 }) -> (nat) query",
    ],
    ["cycles-ledger", "icrc1_fee", "() -> (nat) query"],
    ["icp-ledger", "icrc1_decimals", "() -> (nat8) query"],
    ["icp-ledger", "account_balance", "(record { account: vec nat8 }) -> (record { e8s: nat64 }) query"],
  ] as const;
  for (const [canister, method, signature] of expected) {
    assert.equal(serviceMethods(systemDid(canister)).get(method), signature, `${canister}.${method}`);
  }
  for (const canister of ["icp-ledger", "cycles-ledger"]) {
    const transfer = serviceMethods(systemDid(canister)).get("icrc1_transfer") ?? "";
    assert.ok(transfer.startsWith(`(${TRANSFER_ARGUMENT}) -> (variant {`), canister);
  }
});
