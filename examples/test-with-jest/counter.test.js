/** A canister under Jest with PicJS's interface: only the line that imports it is another one. */
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { PocketIc, PocketIcServer } from "ic-orrery/pic";

// Source: canisters/fixtures/motoko/counter.mo
const wasm = fileURLToPath(new URL("../../canisters/fixtures/built/counter.eop.wasm.gz", import.meta.url));

const idlFactory = ({ IDL }) =>
  IDL.Service({
    inc: IDL.Func([], [IDL.Nat], []),
    get: IDL.Func([], [IDL.Nat], ["query"]),
  });

let server;
let pic;
let counter;

beforeEach(async () => {
  server = await PocketIcServer.start();
  pic = await PocketIc.create(server.getUrl());
  counter = (await pic.setupCanister({ idlFactory, wasm })).actor;
});

afterEach(async () => {
  await pic.tearDown();
  await server.stop();
});

test("a counter counts", async () => {
  expect(await counter.inc()).toBe(1n);
  expect(await counter.inc()).toBe(2n);
  expect(await counter.get()).toBe(2n);
});

test("every test begins anew", async () => {
  expect(await counter.get()).toBe(0n);
});
