/** Actors on a network in the test's own process: typed, sent as whoever one says, their failures as the network's. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { CallRejected, createNetwork } from "../index.ts";
import { createActor } from "./index.ts";

interface Counter {
  inc(): Promise<bigint>;
  add(amount: bigint): Promise<bigint>;
  get(): Promise<bigint>;
  set(value: bigint): Promise<void>;
}

const idlFactory: IDL.InterfaceFactory = ({ IDL: idl }) =>
  idl.Service({
    inc: idl.Func([], [idl.Nat], []),
    add: idl.Func([idl.Nat], [idl.Nat], []),
    get: idl.Func([], [idl.Nat], ["query"]),
    set: idl.Func([idl.Nat], [], []),
  });

const wasm = new Uint8Array(
  readFileSync(new URL("../../../../canisters/fixtures/built/counter.eop.wasm.gz", import.meta.url)),
);

test("an actor's methods are the service's, on the network and on its copies", async () => {
  const network = await createNetwork();
  const canisterId = network.createCanister();
  network.install({ canisterId, wasm });
  const counter = createActor<Counter>(network, idlFactory, canisterId);
  assert.equal(await counter.inc(), 1n);
  assert.equal(await counter.add(41n), 42n);
  const copy = await network.fork();
  const copied = createActor<Counter>(copy, idlFactory, Principal.fromText(canisterId));
  await copied.set(7n);
  assert.equal(await copied.get(), 7n);
  assert.equal(await counter.get(), 42n);
  // Queries change nothing.
  const time = network.time();
  await counter.get();
  assert.equal(network.time(), time);
  await network.stop();
});

test("calls come from whoever they are said to come from, and rejects are the network's", async () => {
  const network = await createNetwork();
  const owner = Ed25519KeyIdentity.generate();
  const sender = owner.getPrincipal().toText();
  const canisterId = network.createCanister({ sender });
  const management: IDL.InterfaceFactory = ({ IDL: idl }) =>
    idl.Service({ start_canister: idl.Func([idl.Record({ canister_id: idl.Principal })], [], []) });
  interface Management {
    start_canister(arg: { readonly canister_id: Principal }): Promise<void>;
  }
  const arg = { canister_id: Principal.fromText(canisterId) };
  const actor = createActor<Management>(network, management, "aaaaa-aa");
  await assert.rejects(actor.start_canister(arg), (error) => {
    assert.ok(error instanceof CallRejected);
    assert.equal(error.errorCode, "IC0512");
    return true;
  });
  actor.setIdentity(owner);
  await actor.start_canister(arg);
  await createActor<Management>(network, management, "aaaaa-aa", { sender }).start_canister(arg);
  await assert.rejects(createActor<Counter>(network, idlFactory, canisterId).inc(), { errorCode: "IC0537" });
  assert.throws(() => createActor(network, idlFactory, "no id"));
  await network.stop();
});
