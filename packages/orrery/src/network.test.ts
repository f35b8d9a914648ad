/** The in-process network, driven directly and by the published agent over `fetch`. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Actor, HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { toHex } from "@orrery/base";
import wabt from "wabt";
import { CallRejected, createNetwork, type Network } from "./index.ts";

const COUNTER = new Uint8Array(
  readFileSync(new URL("../../../canisters/fixtures/built/counter.eop.wasm.gz", import.meta.url)),
);

function nat(reply: Uint8Array): bigint {
  return IDL.decode([IDL.Nat], reply)[0] as unknown as bigint;
}

function installCounter(network: Network): string {
  const canisterId = network.createCanister();
  network.install({ canisterId, wasm: COUNTER });
  return canisterId;
}

test("calls, queries, upgrades and rejects", async () => {
  const network = await createNetwork();
  const canisterId = installCounter(network);
  assert.equal(nat(network.update({ canisterId, method: "inc" })), 1n);
  network.update({ canisterId, method: "set", arg: new Uint8Array(IDL.encode([IDL.Nat], [41n])) });
  network.install({ canisterId, wasm: COUNTER, mode: "upgrade" });
  assert.equal(nat(network.update({ canisterId, method: "inc" })), 42n);
  assert.equal(nat(network.query({ canisterId, method: "get" })), 42n);
  assert.throws(
    () => network.update({ canisterId, method: "missing" }),
    (error: CallRejected) => error instanceof CallRejected && error.errorCode === "IC0536",
  );
  assert.throws(() => network.install({ canisterId, wasm: COUNTER, sender: network.subnetId }), CallRejected);
});

test("the same seed and calls give the same network, another seed another", async () => {
  const run = async (seed: Uint8Array): Promise<string> => {
    const network = await createNetwork({ seed });
    const canisterId = installCounter(network);
    network.update({ canisterId, method: "inc" });
    network.advanceTime(1_000);
    return `${toHex(network.rootKey)} ${canisterId} ${network.time()}`;
  };
  const seed = new Uint8Array(32).fill(1);
  assert.equal(await run(seed), await run(seed));
  assert.notEqual(await run(seed), await run(new Uint8Array(32).fill(2)));
});

test("a canister may recurse as deep as on a node, whatever stack the program has", async () => {
  const network = await createNetwork();
  const toolkit = await wabt();
  const wat = `(module
    (import "ic0" "msg_reply" (func $reply))
    (func $down (param i32) (result i32)
      (if (result i32) (local.get 0)
        (then (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1)))))
        (else (i32.const 0))))
    (func (export "canister_update deep") (drop (call $down (i32.const 50000))) (call $reply))
    (func (export "canister_update endless") (drop (call $down (i32.const -1)))))`;
  const canisterId = network.createCanister();
  network.install({
    canisterId,
    wasm: Uint8Array.from(toolkit.parseWat("deep.wat", wat).toBinary({}).buffer),
  });
  network.update({ canisterId, method: "deep" });
  assert.throws(() => network.update({ canisterId, method: "endless" }), /stack overflow/);
  await network.stop();
});

test("an unmodified agent works over fetch, certificates and query signatures verified", async () => {
  const network = await createNetwork({ clock: "wall" });
  const identity = Ed25519KeyIdentity.generate(new Uint8Array(32).fill(3));
  const canisterId = installCounter(network);
  const agent = await HttpAgent.create({
    host: network.url,
    fetch: network.fetch as typeof fetch,
    rootKey: network.rootKey,
    identity,
    verifyQuerySignatures: true,
  });
  const actor = Actor.createActor<{ inc(): Promise<bigint>; get(): Promise<bigint> }>(
    ({ IDL: idl }) =>
      idl.Service({ inc: idl.Func([], [idl.Nat], []), get: idl.Func([], [idl.Nat], ["query"]) }),
    { agent, canisterId },
  );
  assert.equal(await actor.inc(), 1n);
  assert.equal(await actor.get(), 1n);
});

test("heartbeats run in every round, and no round runs for them alone", async () => {
  const network = await createNetwork();
  const canisterId = network.createCanister();
  const wasm = new Uint8Array(
    readFileSync(new URL("../../../canisters/fixtures/built/hooks.eop.wasm.gz", import.meta.url)),
  );
  network.install({ canisterId, wasm, arg: new Uint8Array(IDL.encode([IDL.Text], [""])) });
  network.update({ canisterId, method: "setHeartbeat", arg: new Uint8Array(IDL.encode([IDL.Bool], [true])) });
  const beats = (): bigint => {
    const counts = IDL.decode(
      [IDL.Record({ heartbeats: IDL.Nat })],
      network.query({ canisterId, method: "counts" }),
    );
    return (counts as unknown as [{ readonly heartbeats: bigint }])[0].heartbeats;
  };
  const before = beats();
  const time = network.time();
  for (let i = 0; i < 5; i++) network.tick();
  assert.equal(beats(), before + 5n);
  assert.equal(network.time(), time + 5n);
  network.advanceTime(3_600_000);
  assert.ok(beats() <= before + 10n, `${beats() - before} heartbeats`);
  await network.stop();
});
