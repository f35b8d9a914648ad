/** A canister under Vitest: `network` is a copy, for each test, of what was prepared once; calls are typed by the canister's service. */
import { readFileSync } from "node:fs";
import type { IDL } from "@icp-sdk/core/candid";
import { createActor } from "ic-orrery/actor";
import { networkFixture } from "ic-orrery/vitest";
import { test as base, expect } from "vitest";

// Source: canisters/fixtures/motoko/counter.mo
const wasm = new Uint8Array(
  readFileSync(new URL("../../canisters/fixtures/built/counter.eop.wasm.gz", import.meta.url)),
);

// Both come with a canister's bindings.
interface Counter {
  inc(): Promise<bigint>;
  get(): Promise<bigint>;
}

const idlFactory: IDL.InterfaceFactory = ({ IDL: idl }) =>
  idl.Service({
    inc: idl.Func([], [idl.Nat], []),
    get: idl.Func([], [idl.Nat], ["query"]),
  });

let canisterId = "";
const test = base.extend({
  network: networkFixture({}, (network) => {
    canisterId = network.createCanister();
    network.install({ canisterId, wasm });
    network.update({ canisterId, method: "inc" });
  }),
});

test("a counter counts", async ({ network }) => {
  const counter = createActor<Counter>(network, idlFactory, canisterId);
  expect(await counter.inc()).toBe(2n);
});

test("no test sees another's changes", async ({ network }) => {
  const counter = createActor<Counter>(network, idlFactory, canisterId);
  expect(await counter.get()).toBe(1n);
});

test("time is ours", ({ network }) => {
  const before = network.time();
  network.advanceTime(3_600_000);
  expect(network.time()).toBeGreaterThanOrEqual(before + 3_600_000_000_000n);
});
