/** Calls between subnets with real canisters: answers, rejects with their texts, refunds, limits, and subnets that misbehave. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CanisterId,
  canisterIdFromIndex,
  equalBytes,
  MANAGEMENT_CANISTER,
  type Principal,
  principalKey,
  principalToText,
  utf8,
  utf8DecodeLossy,
} from "@orrery/base";
import { type Stream, type StreamMessage, updateTree } from "@orrery/state";
import { idArg } from "../testing/subnet.testkit.ts";
import {
  decoded,
  RELAY,
  type RelayCall,
  type RelayResult,
  relayArg,
  relayResult,
  subnetIdOf,
  TestSubnets,
} from "../testing/subnets.testkit.ts";

const SECOND = 1_000_000_000n;
const CYCLES = 10n ** 15n;

interface Pair {
  readonly net: TestSubnets;
  readonly a: CanisterId;
  readonly b: CanisterId;
}

function pair(options: Partial<ConstructorParameters<typeof TestSubnets>[0]> = {}): Pair {
  const net = new TestSubnets({ types: ["application", "application"], ...options });
  const [a, b] = [0, 1].map((index) => net.at(index).installed(RELAY, { cycles: CYCLES })) as [
    CanisterId,
    CanisterId,
  ];
  return { net, a, b };
}

function submit({ net, a }: Pair, call: RelayCall): Uint8Array {
  return net.at(0).submit({ canisterId: a, method: "relay", arg: relayArg(call) });
}

function relay(p: Pair, call: RelayCall): RelayResult {
  return relayResult(p.net.settle(0, submit(p, call)));
}

function stream({ net }: Pair, from: number, to: number): Stream {
  const found = net.at(from).state.streams.get(principalKey(subnetIdOf(to)));
  assert.ok(found !== undefined);
  return found;
}

test("a call to another subnet is answered, its cycles come back as far as they were not taken", () => {
  const p = pair();
  const total = p.net.cycles();
  const data = utf8("across");
  assert.deepEqual(relay(p, { to: p.b, method: "echo", arg: data, cycles: 1_000n }), {
    refunded: 1_000n,
    code: 0,
    data,
  });
  assert.equal(relay(p, { to: p.b, method: "take", cycles: 1_000n }).refunded, 300n);
  assert.equal(relay(p, { to: p.b, method: "take", cycles: 1_000n, timeoutSeconds: 100 }).refunded, 300n);
  assert.equal(p.net.cycles(), total);
  // Nobody has anything left to say: once the last signals came, the streams are empty.
  p.net.rounds(2);
  for (const [from, to] of [
    [0, 1],
    [1, 0],
  ] as const) {
    assert.deepEqual(stream(p, from, to).messages, []);
    assert.equal(stream(p, from, to).messageBytes, 0);
    assert.equal(p.net.slice(from, to), null);
  }
});

test("what the other side does not take comes back as a reject in the replica's words", () => {
  const p = pair();
  const b = principalToText(p.b);
  const missing = canisterIdFromIndex(1_900n);
  const text = (call: RelayCall): string => {
    const { refunded, code, data } = relay(p, { cycles: 5n, ...call });
    assert.equal(refunded, 5n);
    return `${code} ${utf8DecodeLossy(data)}`;
  };
  assert.equal(text({ to: missing, method: "echo" }), `3 Canister ${principalToText(missing)} not found`);
  assert.equal(
    text({ to: p.b, method: "gone" }),
    `5 IC0536: Error from Canister ${b}: Canister has no update method 'gone'..\nCheck that the method being called is exported by the target canister. See documentation: https://internetcomputer.org/docs/current/references/execution-errors#method-not-found`,
  );
  const nowhere = canisterIdFromIndex(1n << 40n);
  assert.equal(text({ to: nowhere, method: "echo" }), `3 No route to canister ${principalToText(nowhere)}`);
  p.net.at(1).manage("stop_canister", p.b);
  assert.equal(text({ to: p.b, method: "echo" }), `5 Canister ${b} is stopped`);
  p.net.at(1).manage("start_canister", p.b);
  // A canister that waits for an answer of another subnet cannot stop before that comes.
  const waiting = p.net
    .at(1)
    .submit({ canisterId: p.b, method: "relay", arg: relayArg({ to: p.a, method: "echo" }) });
  assert.equal(p.net.at(1).status(waiting)?.kind, "processing");
  const stop = p.net.at(1).manageEnvelope("stop_canister", p.b);
  p.net.at(1).round([stop.bytes]);
  const id = submit(p, { to: p.b, method: "echo" });
  p.net.round(1);
  assert.deepEqual(
    stream(p, 1, 0).rejectSignals.map(({ reason }) => reason),
    ["canister_stopping"],
  );
  const rejected = relayResult(p.net.settle(0, id));
  assert.equal(utf8DecodeLossy(rejected.data), `Canister ${b} is stopping`);
  assert.equal(p.net.settle(1, stop.id).kind, "replied");
  // Signals go once the sender has dropped the messages that they are for, and says so with its next one.
  relay(p, { to: missing, method: "echo" });
  assert.ok(stream(p, 1, 0).rejectSignals.length <= 1);
});

test("payloads over 2 MiB stay within a subnet", () => {
  const p = pair();
  const c = p.net.at(0).installed(RELAY, { cycles: CYCLES });
  const most = new Uint8Array((2 << 20) - "take".length);
  assert.equal(relay(p, { to: p.b, method: "take", arg: most }).code, 0);
  const arg = new Uint8Array(most.length + 1);
  const local = relay(p, { to: c, method: "take", arg });
  assert.equal(local.code, 0);
  const remote = relay(p, { to: p.b, method: "take", arg });
  assert.equal(remote.code, 5);
  assert.equal(
    utf8DecodeLossy(remote.data),
    `Canister ${principalToText(p.a)} violated contract: attempted to send a message of size ${arg.length + 4} exceeding the limit 2097152`,
  );
  const whole = relay(p, { to: p.b, method: "echo", arg: new Uint8Array((2 << 20) - 20) });
  assert.equal(whole.data.length, (2 << 20) - 20);
});

test("messages wait when a stream is full, in their order, and go on when it has room", () => {
  const p = pair({ limits: { streamMessages: 2 } });
  const ids = Array.from({ length: 7 }, (_, i) =>
    p.net.at(0).envelope({
      canisterId: p.a,
      method: "relay",
      arg: relayArg({ to: p.b, method: "echo", arg: Uint8Array.of(i) }),
    }),
  );
  p.net.at(0).round(ids.map(({ bytes }) => bytes));
  assert.equal(stream(p, 0, 1).messages.length, 2);
  assert.equal(p.net.at(0).canister(p.a).queues.outputs.get(principalKey(p.b))?.length, 5);
  const seen: number[] = [];
  for (let i = 0; i < 20; i++) {
    const slice = p.net.slice(0, 1);
    if (slice !== null)
      for (const message of decoded(slice).messages)
        if (message.kind === "request") seen.push(message.input.payload[0] as number);
    p.net.round(1);
    p.net.round(0);
  }
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6]);
  for (const { id } of ids) assert.equal(p.net.at(0).status(id)?.kind, "replied");
  assert.equal(p.net.at(0).canister(p.a).queues.outputs.size, 0);
});

test("towards a system subnet a stream holds twice what that takes at once", () => {
  const p = pair({ types: ["application", "system"], limits: { systemStreamMessages: 3 } });
  const calls = Array.from({ length: 10 }, () =>
    p.net.at(0).envelope({ canisterId: p.a, method: "relay", arg: relayArg({ to: p.b, method: "echo" }) }),
  );
  p.net.at(0).round(calls.map(({ bytes }) => bytes));
  assert.equal(stream(p, 0, 1).messages.length, 6);
  for (const { id } of calls) assert.equal(p.net.settle(0, id).kind, "replied");
});

test("cloud engines take and give neither cycles nor guarantees", () => {
  for (const types of [
    ["application", "cloud_engine"],
    ["cloud_engine", "application"],
  ] as const) {
    const p = pair({ types });
    const refused = "Unbounded-wait calls and calls with cycles are not allowed to CloudEngine subnets";
    for (const call of [{}, { cycles: 1n, timeoutSeconds: 10 }]) {
      const { code, data } = relay(p, { to: p.b, method: "echo", ...call });
      assert.equal(code, 1);
      assert.equal(utf8DecodeLossy(data), refused);
    }
    assert.equal(relay(p, { to: p.b, method: "echo", timeoutSeconds: 10 }).code, 0);
  }
});

test("cycles of best-effort calls that come too late find their way back", () => {
  const p = pair();
  const total = p.net.cycles();
  const balance = (): bigint => p.net.at(0).canister(p.a).meta.cycles;
  const call = { to: p.b, method: "take", cycles: 10n ** 12n, timeoutSeconds: 1 };
  // The request arrives after its deadline: its cycles come back in a refund of their own.
  const id = submit(p, call);
  const before = balance();
  p.net.at(0).round([], 2n * SECOND);
  const late = relayResult(p.net.at(0).settle(id));
  assert.equal(late.code, 6);
  p.net.round(1, [], 3n * SECOND);
  assert.deepEqual(
    stream(p, 1, 0).messages.map(({ kind }) => kind),
    ["refund"],
  );
  p.net.round(0);
  assert.ok(balance() - before > 9n * 10n ** 11n);
  assert.equal(p.net.cycles(), total);
  // The answer arrives after the deadline: it brings its cycles and is dropped.
  const second = submit(p, { ...call, method: "echo" });
  p.net.round(1);
  p.net.at(0).round([], 2n * SECOND);
  assert.equal(relayResult(p.net.at(0).settle(second)).code, 6);
  const then = balance();
  p.net.round(0);
  assert.equal(balance() - then, 10n ** 12n);
  assert.equal(p.net.cycles(), total);
  // A request that waits in vain for room in a stream is given up where it is.
  const q = pair({ limits: { streamMessages: 1 } });
  submit(q, { to: q.b, method: "echo" });
  const third = submit(q, { ...call, to: q.b });
  assert.equal(q.net.at(0).canister(q.a).queues.outputs.size, 1);
  q.net.at(0).round([], 2n * SECOND);
  q.net.rounds(2);
  const unsent = relayResult(q.net.settle(0, third));
  assert.deepEqual([unsent.code, unsent.refunded], [2, call.cycles]);
  assert.equal(q.net.at(0).canister(q.a).queues.outputs.size, 0);
  assert.equal(stream(q, 0, 1).messages.length + Number(stream(q, 0, 1).begin), 1);
});

test("management calls go to the subnet that they are about", () => {
  const p = pair();
  const status = relay(p, { to: MANAGEMENT_CANISTER, method: "deposit_cycles", arg: idArg(p.b), cycles: 9n });
  assert.deepEqual([status.code, status.refunded], [0, 0n]);
  const denied = relay(p, { to: MANAGEMENT_CANISTER, method: "stop_canister", arg: idArg(p.b) });
  assert.equal(denied.code, 5);
  assert.match(utf8DecodeLossy(denied.data), /^IC0512: Only the controllers of the canister/);
  // By their ids subnets may only be called from the root subnet.
  const arg = relayArg({ to: subnetIdOf(0) as Principal, method: "raw_rand", arg: utf8("DIDL\0\0") });
  const foreign = p.net.settle(1, p.net.at(1).submit({ canisterId: p.b, method: "relay", arg }));
  assert.equal(relayResult(foreign).code, 3);
  assert.equal(
    utf8DecodeLossy(relayResult(foreign).data),
    `Unable to route management canister request raw_rand: AlreadyResolved(${principalToText(subnetIdOf(0))})`,
  );
});

test("the root subnet's canisters create canisters anywhere, others at home only", () => {
  const net = new TestSubnets({ types: ["system", "application", "application"] });
  const [root, app] = [0, 1].map((index) => net.at(index).installed(RELAY, { cycles: CYCLES })) as [
    CanisterId,
    CanisterId,
  ];
  const create = { to: subnetIdOf(2) as Principal, method: "create_canister", arg: utf8("DIDL\0\0") };
  const before = net.at(2).state.canisters.size;
  const byRoot = relayResult(
    net.settle(
      0,
      net
        .at(0)
        .submit({ canisterId: root, method: "relay", arg: relayArg({ ...create, cycles: 10n ** 12n }) }),
    ),
  );
  assert.equal(byRoot.code, 0, utf8DecodeLossy(byRoot.data));
  assert.equal(net.at(2).state.canisters.size, before + 1);
  const byOther = relayResult(
    net.settle(
      1,
      net
        .at(1)
        .submit({ canisterId: app, method: "relay", arg: relayArg({ ...create, cycles: 10n ** 12n }) }),
    ),
  );
  assert.equal(byOther.code, 3);
  assert.equal(byOther.refunded, 10n ** 12n);
});

test("what canisters leave behind when they are deleted is still delivered", () => {
  const p = pair({ limits: { streamMessages: 0 } });
  const id = p.net.at(1).envelope({ canisterId: p.b, method: "echo" });
  p.net.at(1).round([id.bytes]);
  const b = p.net.at(1).canister(p.b);
  const message: StreamMessage = {
    kind: "response",
    to: p.a,
    input: {
      kind: "response",
      from: p.b,
      callbackId: 77,
      payload: { kind: "reply", data: utf8("x") },
      refund: 0n,
    },
  };
  b.queues.outputs.set(principalKey(p.a), [message]);
  assert.equal(p.net.at(1).manage("stop_canister", p.b).kind, "replied");
  assert.equal(p.net.at(1).manage("delete_canister", p.b).kind, "replied");
  assert.deepEqual(p.net.at(1).state.subnetOutputs.get(principalKey(p.a)), [message]);
});

/** Rewrites the stream of subnet 0 to subnet 1 and certifies it, as a subnet that does not keep to the protocol could. */
function forge(p: Pair, change: (stream: Stream) => void): Uint8Array {
  const { state } = p.net.at(0);
  const key = principalKey(subnetIdOf(1));
  const forged = state.streams.get(key) ?? {
    begin: 0n,
    messages: [],
    messageBytes: 0,
    signalsEnd: 0n,
    rejectSignals: [],
  };
  state.streams.set(key, forged);
  change(forged);
  state.changed.streams.add(key);
  updateTree(state);
  return p.net.slice(0, 1) as Uint8Array;
}

test("messages of canisters that the sending subnet does not host, and for others, are dropped", () => {
  const p = pair();
  const before = p.net.at(1).state.consumedCyclesTotal;
  const request = (from: CanisterId, callee: CanisterId): StreamMessage => ({
    kind: "request",
    callee,
    input: {
      kind: "request",
      from,
      callbackId: 1,
      methodName: "echo",
      payload: new Uint8Array(0),
      cycles: 100n,
      deadline: 0n,
    },
  });
  const slice = forge(p, (one) => one.messages.push(request(p.b, p.b), request(p.a, p.a)));
  p.net.at(1).round([], 1n, { xnet: [slice] });
  assert.equal(p.net.at(1).state.consumedCyclesTotal - before, 200n);
  assert.equal(stream(p, 1, 0).signalsEnd, 2n);
  assert.deepEqual(stream(p, 1, 0).rejectSignals, []);
  assert.equal(p.net.at(1).canister(p.b).queues.requests.size, 0);
});

test("more requests of one sender than a queue holds are sent back", () => {
  const p = pair();
  const waiting = Array.from(
    { length: 501 },
    (_, i): StreamMessage => ({
      kind: "request",
      callee: p.b,
      input: {
        kind: "request",
        from: p.a,
        callbackId: i,
        methodName: "echo",
        payload: new Uint8Array(0),
        cycles: 0n,
        deadline: 0n,
      },
    }),
  );
  const slice = forge(p, (one) => one.messages.push(...waiting));
  p.net.at(1).round([], 1n, { xnet: [slice] });
  assert.deepEqual(stream(p, 1, 0).rejectSignals, [{ reason: "queue_full", index: 500n }]);
});

test("an answer that refunds more than the call carried is dropped", () => {
  const p = pair();
  const arg = relayArg({ to: p.a, method: "echo", cycles: 50n });
  const id = p.net.at(1).submit({ canisterId: p.b, method: "relay", arg });
  const [callback] = p.net.at(1).canister(p.b).callbacks.values();
  assert.ok(callback !== undefined);
  const before = p.net.at(1).state.consumedCyclesTotal;
  const answer = (refund: bigint): StreamMessage => ({
    kind: "response",
    to: p.b,
    input: {
      kind: "response",
      from: p.a,
      callbackId: callback.id,
      payload: { kind: "reply", data: new Uint8Array(0) },
      refund,
    },
  });
  const slice = forge(p, (one) => one.messages.push(answer(51n), answer(50n)));
  p.net.at(1).round([], 1n, { xnet: [slice] });
  assert.equal(relayResult(p.net.at(1).settle(id)).refunded, 50n);
  assert.ok(p.net.at(1).state.consumedCyclesTotal - before >= 51n);
});

test("slices that do not go on where the streams are change nothing", () => {
  const p = pair();
  const id = submit(p, { to: p.b, method: "echo" });
  const right = p.net.slice(0, 1) as Uint8Array;
  const root = (): Uint8Array => p.net.at(1).results.at(-1)?.rootHash as Uint8Array;
  const apart = pair();
  submit(apart, { to: apart.b, method: "echo" });
  apart.net.at(1).round();
  const others = [
    new Uint8Array(0),
    right.subarray(1),
    right.slice(0, -1),
    // Of the subnet itself, for another one, and of a state that comes from nowhere.
    p.net.slice(0, 1, 0) ?? new Uint8Array(3),
  ];
  p.net.at(1).round([], 1_000_000n, { xnet: others });
  assert.ok(p.net.at(1).state.streams.size === 0 || stream(p, 1, 0).signalsEnd === 0n);
  p.net.at(1).round([], 1_000_000n, { xnet: [right, right] });
  assert.equal(stream(p, 1, 0).signalsEnd, 1n);
  const before = root();
  assert.ok(!equalBytes(before, new Uint8Array(32)));
  p.net.at(1).round([], 0n, { xnet: [right] });
  assert.equal(stream(p, 1, 0).signalsEnd, 1n);
  assert.equal(p.net.settle(0, id).kind, "replied");
});
