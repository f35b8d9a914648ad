/** What happens when the network between canisters does not do as one hopes: messages held, let go in another order, delayed, rejected, lost. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { createNetwork, type Network, traceToHtml, traceToPerfetto } from "ic-orrery";

// Sources: canisters/fixtures/motoko/caller.mo and callee.mo
const built = new URL("../../canisters/fixtures/built/", import.meta.url);
const module = (name: string): Uint8Array => readFileSync(new URL(`${name}.eop.wasm.gz`, built));

let network: Network;
let caller: string;
let callee: string;

function deploy(name: string): string {
  const canisterId = network.createCanister();
  network.install({ canisterId, wasm: module(name) });
  return canisterId;
}

/** `relay` asks the callee to add an amount to its sum, and replies with that. */
function relay(amount: bigint): bigint {
  const arg = new Uint8Array(IDL.encode([IDL.Principal, IDL.Nat], [Principal.fromText(callee), amount]));
  const reply = network.update({ canisterId: caller, method: "relay", arg });
  return IDL.decode([IDL.Nat], reply)[0] as unknown as bigint;
}

/** The same of one that has no answer yet; `network.resume` takes what is thrown. */
function pending(amount: bigint): Parameters<Network["resume"]>[0] {
  try {
    relay(amount);
  } catch (error) {
    return error as Parameters<Network["resume"]>[0];
  }
  throw new Error("it was answered");
}

const natOf = (reply: Uint8Array): bigint => IDL.decode([IDL.Nat], reply)[0] as unknown as bigint;

beforeEach(async () => {
  network = await createNetwork();
  caller = deploy("caller");
  callee = deploy("callee");
});
afterEach(() => network.stop());

test("the second call arrives first", () => {
  network.intercept([{ to: callee, kind: "request", action: { kind: "hold" } }]);
  const [first, second] = [pending(1n), pending(10n)];
  const [one, two] = network.heldMessages().map(({ id }) => id) as [number, number];
  network.releaseMessages([two, one]);
  assert.deepEqual([natOf(network.resume(second)), natOf(network.resume(first))], [10n, 11n]);
});

test("a response takes a minute, another call is rejected on its way, a third loses its answer", () => {
  network.intercept([
    { from: callee, kind: "response", times: 1, action: { kind: "delay", durationMs: 60_000 } },
    { to: callee, method: "add", action: { kind: "reject", code: 2, message: "the subnet is busy" } },
  ]);
  // The first rule that fits applies, so the request of this call is rejected, and no response is left to delay.
  assert.throws(() => relay(1n), /the subnet is busy/);
  network.intercept([{ from: callee, kind: "response", action: { kind: "delay", durationMs: 60_000 } }]);
  const late = pending(1n);
  network.advanceTime(60_000);
  assert.equal(natOf(network.resume(late)), 1n);
  // Only calls with a deadline lose messages, and learn it by the deadline.
  network.intercept([{ action: { kind: "drop" } }]);
  assert.equal(relay(1n), 2n);
});

test("what a call led to, as a tree and as documents", () => {
  network.trace(true);
  relay(5n);
  const { traces, text } = network.takeTraces();
  const [update, callback] = traces[0]?.messages ?? [];
  assert.deepEqual([update?.name, callback?.kind], ["relay", "reply_callback"]);
  assert.equal(update?.calls[0]?.trace?.canisterId, callee);
  assert.match(text, /update "relay": \d+ instructions/);
  assert.match(traceToHtml(traces), /^<!doctype html>/);
  assert.ok(JSON.parse(traceToPerfetto(traces)).traceEvents.length > 0);
});
