/** A canister under node:test: typed calls, time travel, and a copy of the prepared network for every test. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { type Actor, createIdentity, PocketIc } from "ic-orrery/pic";

// Source: canisters/fixtures/motoko/counter.mo
const wasm = fileURLToPath(new URL("../../canisters/fixtures/built/counter.eop.wasm.gz", import.meta.url));

interface Counter {
  inc(): Promise<bigint>;
  add(amount: bigint): Promise<bigint>;
  get(): Promise<bigint>;
}

const idlFactory: IDL.InterfaceFactory = ({ IDL: idl }) =>
  idl.Service({
    inc: idl.Func([], [idl.Nat], []),
    add: idl.Func([idl.Nat], [idl.Nat], []),
    get: idl.Func([], [idl.Nat], ["query"]),
  });

let prepared: PocketIc;
let canisterId: Principal;
let pic: PocketIc;
let counter: Actor<Counter>;

before(async () => {
  prepared = await PocketIc.create();
  const fixture = await prepared.setupCanister<Counter>({ idlFactory, wasm });
  canisterId = fixture.canisterId;
  await fixture.actor.add(40n);
});
after(() => prepared.tearDown());

beforeEach(async () => {
  pic = await prepared.fork();
  counter = pic.createActor<Counter>(idlFactory, canisterId);
});
afterEach(() => pic.tearDown());

test("a counter counts", async () => {
  assert.equal(await counter.inc(), 41n);
});

test("no test sees another's changes", async () => {
  assert.equal(await counter.get(), 40n);
});

test("calls come from whoever they are said to come from, and time is ours", async () => {
  counter.setIdentity(createIdentity("alice"));
  const before = await pic.getTime();
  await pic.advanceTime(3_600_000);
  await pic.tick();
  assert.equal(await pic.getTime(), before + 3_600_000);
  assert.equal(await counter.add(2n), 42n);
});
