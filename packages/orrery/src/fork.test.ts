/** Copies of in-process networks, and what making one costs. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { createNetwork, type Network } from "./index.ts";

const COUNTER = new Uint8Array(
  readFileSync(new URL("../../../canisters/fixtures/built/counter.eop.wasm.gz", import.meta.url)),
);
const count = (network: Network, canisterId: string): bigint =>
  IDL.decode([IDL.Nat], network.update({ canisterId, method: "inc" }))[0] as unknown as bigint;

test("a copy begins where the network is and goes its own way", async () => {
  const network = await createNetwork();
  const canisterId = network.createCanister();
  network.install({ canisterId, wasm: COUNTER });
  assert.equal(count(network, canisterId), 1n);
  const [one, other] = [await network.fork(), await network.fork()];
  assert.deepEqual(one.rootKey, network.rootKey);
  assert.equal(count(one, canisterId), 2n);
  assert.equal(count(one, canisterId), 3n);
  await one.stop();
  assert.equal(count(other, canisterId), 2n);
  await network.stop();
  assert.equal(count(other, canisterId), 3n);
  await other.stop();
  await assert.rejects(other.fork(), { code: "instance_gone" });
});

test("networks of one program do not know of each other", async () => {
  const [one, other] = await Promise.all([
    createNetwork(),
    createNetwork({ seed: new Uint8Array(32).fill(1) }),
  ]);
  const canisterId = one.createCanister();
  assert.equal(other.createCanister(), canisterId);
  one.install({ canisterId, wasm: COUNTER });
  assert.throws(() => other.update({ canisterId, method: "inc" }), { errorCode: "IC0537" });
  one.advanceTime(60_000);
  assert.ok(one.time() > other.time());
  await Promise.all([one.stop(), other.stop()]);
});

test("a network goes on from what another one saved", async () => {
  const network = await createNetwork({
    subnets: ["application", "application"],
    seed: new Uint8Array(32).fill(5),
  });
  const canisterId = network.createCanister();
  network.install({ canisterId, wasm: COUNTER });
  assert.equal(count(network, canisterId), 1n);
  network.advanceTime(5_000);
  const state = network.save();
  const next = await createNetwork({ state });
  assert.deepEqual(
    [next.rootKey, next.subnets, next.time()],
    [network.rootKey, network.subnets, network.time()],
  );
  assert.equal(count(next, canisterId), 2n);
  assert.equal(next.createCanister(), network.createCanister());
  await Promise.all([network.stop(), next.stop()]);
  await assert.rejects(createNetwork({ state: state.subarray(1) }), { code: "archive_invalid" });
});
