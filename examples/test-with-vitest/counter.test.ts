/** A canister under Vitest: `network` is a copy, for each test, of what was prepared once. */
import { readFileSync } from "node:fs";
import { IDL } from "@icp-sdk/core/candid";
import { networkFixture } from "ic-orrery/vitest";
import { test as base, expect } from "vitest";

// Source: canisters/fixtures/motoko/counter.mo
const wasm = new Uint8Array(
  readFileSync(new URL("../../canisters/fixtures/built/counter.eop.wasm.gz", import.meta.url)),
);
const nat = (reply: Uint8Array): bigint => IDL.decode([IDL.Nat], reply)[0] as unknown as bigint;

let canisterId = "";
const test = base.extend({
  network: networkFixture({}, (network) => {
    canisterId = network.createCanister();
    network.install({ canisterId, wasm });
    network.update({ canisterId, method: "inc" });
  }),
});

test("a counter counts", ({ network }) => {
  expect(nat(network.update({ canisterId, method: "inc" }))).toBe(2n);
});

test("no test sees another's changes", ({ network }) => {
  expect(nat(network.query({ canisterId, method: "get" }))).toBe(1n);
});

test("time is ours", ({ network }) => {
  const before = network.time();
  network.advanceTime(3_600_000);
  expect(network.time()).toBeGreaterThanOrEqual(before + 3_600_000_000_000n);
});
