import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Actor, HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { CallRejected, createNetwork } from "./browser.ts";

const COUNTER = new URL("../../../canisters/fixtures/built/counter.eop.wasm.gz", import.meta.url);
const wasm = new Uint8Array(readFileSync(COUNTER));

test("an unmodified agent works on a network of a page", async () => {
  const network = await createNetwork({ clock: "wall" });
  const canisterId = network.createCanister();
  network.install({ canisterId, wasm });
  const agent = await HttpAgent.create({
    host: network.url,
    fetch: network.fetch as typeof fetch,
    rootKey: network.rootKey,
  });
  const counter = Actor.createActor<{ inc(): Promise<bigint>; get(): Promise<bigint> }>(
    () => IDL.Service({ inc: IDL.Func([], [IDL.Nat], []), get: IDL.Func([], [IDL.Nat], ["query"]) }),
    { agent, canisterId: Principal.fromText(canisterId) },
  );
  assert.equal(await counter.inc(), 1n);
  assert.equal(await counter.get(), 1n);
  await network.stop();
});

test("calls, balances, copies and saves as elsewhere", async () => {
  const network = await createNetwork();
  const canisterId = network.createCanister();
  assert.throws(() => network.update({ canisterId, method: "inc" }), CallRejected);
  network.install({ canisterId, wasm });
  network.update({ canisterId, method: "inc" });
  const balance = network.cycles(canisterId);
  assert.ok(balance > 0n);
  const copy = await network.fork();
  copy.update({ canisterId, method: "inc" });
  const again = await createNetwork({ state: network.save() });
  const get = { canisterId, method: "get" };
  assert.deepEqual([network.query(get).at(-1), copy.query(get).at(-1), again.query(get).at(-1)], [1, 2, 1]);
  assert.equal(again.cycles(canisterId), balance);
  for (const one of [network, copy, again]) await one.stop();
});
