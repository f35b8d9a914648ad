/** In-process networks of several subnets: calls between them, where canisters are made, delegations for agents. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import type { OrreryError } from "@orrery/base";
import { createNetwork, type Network } from "./index.ts";

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../../canisters/fixtures/built/${name}.wasm.gz`, import.meta.url)));

function install(network: Network, name: string, subnetId?: string): string {
  const canisterId = network.createCanister({
    cycles: 10n ** 15n,
    ...(subnetId === undefined ? {} : { subnetId }),
  });
  network.install({ canisterId, wasm: fixture(name) });
  return canisterId;
}

const encode = (types: IDL.Type[], values: unknown[]): Uint8Array =>
  new Uint8Array(IDL.encode(types, values));
const natOf = (reply: Uint8Array): bigint => IDL.decode([IDL.Nat], reply)[0] as unknown as bigint;

test("a canister calls one on another subnet", async () => {
  const network = await createNetwork({ subnets: ["application", "application"] });
  const [root, first, second] = network.subnets;
  assert.deepEqual(
    network.subnets.map(({ kind }) => kind),
    ["system", "application", "application"],
  );
  assert.equal(network.subnetId, first?.id);
  const caller = install(network, "caller.eop");
  assert.equal(caller, "tqzl2-p7777-77776-aaaaa-cai");
  for (const subnetId of [second?.id, root?.id]) {
    const callee = install(network, "callee.eop", subnetId);
    const arg = encode([IDL.Principal, IDL.Nat], [Principal.fromText(callee), 20n]);
    assert.equal(natOf(network.update({ canisterId: caller, method: "relay", arg })), 20n);
    const many = network.update({ canisterId: caller, method: "parallel", arg });
    assert.equal((IDL.decode([IDL.Vec(IDL.Nat)], many)[0] as unknown as bigint[]).length, 20);
  }
  await network.stop();
});

test("one seed gives one network, its messages between subnets included", async () => {
  const run = async (): Promise<string> => {
    const network = await createNetwork({ subnets: ["application", "system"] });
    const caller = install(network, "caller.eop");
    const callee = install(network, "callee.eop", network.subnets[2]?.id);
    const arg = encode([IDL.Principal, IDL.Nat], [Principal.fromText(callee), 3n]);
    network.update({ canisterId: caller, method: "parallel", arg });
    network.advanceTime(60_000);
    const time = network.time();
    await network.stop();
    return `${caller} ${callee} ${time}`;
  };
  assert.equal(await run(), await run());
});

test("a subnet that is not there is refused by name", async () => {
  const network = await createNetwork({ subnets: [] });
  assert.equal(network.subnets.length, 1);
  assert.throws(() => network.createCanister({ subnetId: "aaaaa-aa" }), { code: "subnet_unknown" });
  assert.ok(network.createCanister().length > 0);
  await network.stop();
});

test("an agent verifies canisters of every subnet under the root's key", async () => {
  const network = await createNetwork({ clock: "wall" });
  const ids = network.subnets.map(({ id }) => install(network, "counter.eop", id));
  const agent = await HttpAgent.create({
    host: network.url,
    fetch: network.fetch as typeof fetch,
    rootKey: network.rootKey,
    verifyQuerySignatures: true,
  });
  for (const canisterId of ids) {
    const { reply } = await agent.update(canisterId, { methodName: "inc", arg: encode([], []) });
    assert.equal(natOf(reply), 1n);
    const answer = await agent.query(canisterId, { methodName: "get", arg: encode([], []) });
    assert.ok(answer.status === "replied");
    assert.equal(natOf(answer.reply.arg), 1n);
  }
  await network.stop();
});

test("what a call led to is told as a tree, across subnets", async () => {
  const network = await createNetwork({ subnets: ["application", "application"] });
  const caller = install(network, "caller.eop");
  const callee = install(network, "callee.eop", network.subnets[2]?.id);
  network.trace(true);
  network.update({
    canisterId: caller,
    method: "relay",
    arg: encode([IDL.Principal, IDL.Nat], [Principal.fromText(callee), 20n]),
  });
  const { traces, text } = network.takeTraces();
  const [trace, ...others] = traces;
  assert.ok(trace !== undefined && others.length === 0);
  assert.deepEqual([trace.canisterId, trace.cause.kind], [caller, "ingress"]);
  const [update, callback] = trace.messages;
  assert.deepEqual([update?.kind, update?.name, update?.subnetId], ["update", "relay", network.subnetId]);
  assert.deepEqual([callback?.kind, callback?.response?.kind], ["reply_callback", "reply"]);
  const [call] = update?.calls ?? [];
  assert.equal(call?.callee, callee);
  assert.equal(call?.trace?.messages[0]?.subnetId, network.subnets[2]?.id);
  assert.ok(trace.instructions > (update?.instructions ?? 0n));
  assert.ok(text.includes(`→ ${callee} `));
  assert.deepEqual(network.takeTraces(), { traces: [], text: "" });
  await network.stop();
});

test("messages between canisters are held and released by hand", async () => {
  const network = await createNetwork({ subnets: ["application", "application"] });
  const caller = install(network, "caller.eop");
  const callee = install(network, "callee.eop", network.subnets[2]?.id);
  const arg = encode([IDL.Principal, IDL.Nat], [Principal.fromText(callee), 20n]);
  network.intercept([{ to: callee, kind: "request", times: 1, action: { kind: "hold" } }]);
  const pending = (): OrreryError => {
    try {
      network.update({ canisterId: caller, method: "relay", arg });
    } catch (error) {
      return error as OrreryError;
    }
    throw new Error("it was not held");
  };
  const held = pending();
  assert.equal(held.code, "call_pending");
  const [message] = network.heldMessages();
  assert.deepEqual([message?.from, message?.to, message?.kind], [caller, callee, "request"]);
  network.releaseMessages([message?.id as number]);
  assert.equal(natOf(network.resume(held)), 20n);
  network.intercept([{ from: caller, action: { kind: "delay", durationMs: 500 } }]);
  const delayed = pending();
  network.advanceTime(499);
  assert.throws(() => network.resume(delayed), { code: "call_pending" });
  network.advanceTime(1);
  assert.equal(natOf(network.resume(delayed)), 40n);
  assert.throws(() => network.releaseMessages([9]), { code: "message_unknown" });
  await network.stop();
});
