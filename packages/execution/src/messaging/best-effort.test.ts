/**
 * Best-effort calls to the nanosecond (interface spec, "Best-effort responses"; the replica's message pools and callbacks): what their
 * deadline is, when it has passed, and what becomes of request, callback and cycles wherever the request waits by then.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CanisterId, principalKey, utf8DecodeLossy } from "@orrery/base";
import type { RequestInput } from "@orrery/state";
import { QUEUE_CAPACITY } from "../limits.ts";
import { SMALL, SPINNER, totalCycles, u32 } from "../testing/long.testkit.ts";
import { START_TIME, TestSubnet } from "../testing/subnet.testkit.ts";
import { RELAY, type RelayResult, relayArg, relayResult, TestSubnets } from "../testing/subnets.testkit.ts";

const SECOND = 1_000_000_000n;
const RICH = 10n ** 15n;
/** Of a second that has begun when the tests do. */
const FRACTION = 700_000_000n;

/** No values, in Candid. */
const EMPTY_ARGUMENTS: Uint8Array = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);

/** Replies with its deadline and takes a cycle. */
const DEADLINE = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_deadline" (func $deadline (result i64)))
  (import "ic0" "msg_cycles_accept" (func $accept (param i64) (result i64)))
  (memory 1)
  (func (export "canister_update tell")
    (i64.store (i32.const 0) (call $deadline)) (drop (call $accept (i64.const 1)))
    (call $append (i32.const 0) (i32.const 8)) (call $reply)))`;

/** A subnet whose time is a fraction into a second, and a caller. */
function begun(limits: object = {}): { readonly subnet: TestSubnet; readonly caller: CanisterId } {
  const subnet = new TestSubnet({ limits });
  const caller = subnet.installed(RELAY, { cycles: RICH });
  at(subnet, START_TIME + SECOND + FRACTION);
  return { subnet, caller };
}

/** A round at this time. */
function at(subnet: TestSubnet, time: bigint): void {
  subnet.round([], time - subnet.state.time);
}

function numberOf({ data }: RelayResult): bigint {
  return new DataView(data.buffer, data.byteOffset).getBigUint64(0, true);
}

function answer(subnet: TestSubnet, id: Uint8Array): RelayResult | null {
  const status = subnet.status(id);
  return status?.kind === "replied" ? relayResult(status) : null;
}

function toldOf({ code, refunded, data }: RelayResult): unknown[] {
  return [code, refunded, utf8DecodeLossy(data)];
}

const EXPIRED = [6, 0n, "Call deadline has expired."];
const UNSENT = (cycles: bigint): unknown[] => [2, cycles, "Request timed out."];

describe("the deadline of a call", () => {
  const START = START_TIME + SECOND;
  for (const [timeoutSeconds, deadline] of [
    [1, START + SECOND],
    [299, START + 299n * SECOND],
    [300, START + 300n * SECOND],
    [301, START + 300n * SECOND],
    [2 ** 32 - 1, START + 300n * SECOND],
  ] as const) {
    test(`with a timeout of ${timeoutSeconds} is counted from the second that has begun, 300 at most`, () => {
      const { subnet, caller } = begun();
      const to = subnet.installed(DEADLINE, { cycles: RICH });
      assert.equal(subnet.state.time / SECOND, START / SECOND);
      const arg = relayArg({ to, method: "tell", timeoutSeconds });
      assert.equal(
        numberOf(relayResult(subnet.call({ canisterId: caller, method: "relay", arg }))),
        deadline,
      );
    });
  }

  test("is none where the response is guaranteed", () => {
    const { subnet, caller } = begun();
    const to = subnet.installed(DEADLINE, { cycles: RICH });
    const arg = relayArg({ to, method: "tell" });
    assert.equal(numberOf(relayResult(subnet.call({ canisterId: caller, method: "relay", arg }))), 0n);
  });
});

describe("it has passed when a later second has begun", () => {
  const [TIMEOUT, CYCLES] = [5, 5_000n];
  const DEADLINE_AT = START_TIME + SECOND + BigInt(TIMEOUT) * SECOND;
  const LATE = DEADLINE_AT + SECOND;

  test("for a callee that does not answer: the caller hears of it, without its cycles", () => {
    const { subnet, caller } = begun();
    const to = subnet.installed(RELAY, { cycles: RICH });
    // The callee waits for randomness that nobody gives.
    const inner = relayArg({ to: new Uint8Array(0) as CanisterId, method: "raw_rand", arg: EMPTY_ARGUMENTS });
    const arg = relayArg({ to, method: "relay", arg: inner, cycles: CYCLES, timeoutSeconds: TIMEOUT });
    const id = subnet.submit({ canisterId: caller, method: "relay", arg });
    subnet.state.pendingManagement.splice(0);
    const total = totalCycles(subnet.state);
    at(subnet, LATE - 1n);
    assert.equal(answer(subnet, id), null);
    assert.equal(subnet.results.at(-1)?.nextTimer, LATE);
    at(subnet, LATE);
    assert.deepEqual(toldOf(answer(subnet, id) as RelayResult), EXPIRED);
    assert.equal(subnet.canister(caller).callbacks.size, 0);
    assert.equal(totalCycles(subnet.state), total);
  });

  for (const [name, time, runs] of [
    ["just before", LATE - 100n, true],
    ["just after", LATE, false],
  ] as const) {
    test(`for a request in its callee's queue ${name}: it ${runs ? "runs" : "does not run, and its cycles come back"}`, () => {
      const { subnet, caller } = begun(SMALL);
      const to = subnet.installed(SPINNER, { cycles: RICH, arg: u32(0) });
      // A message of some rounds keeps the callee from the request.
      subnet.round([subnet.envelope({ canisterId: to, method: "spin", arg: u32(500_000) }).bytes], 1n);
      assert.notEqual(subnet.canister(to).running, null);
      const arg = relayArg({ to, method: "spin", arg: u32(7), cycles: CYCLES, timeoutSeconds: TIMEOUT });
      const id = subnet.submit({ canisterId: caller, method: "relay", arg });
      assert.equal(subnet.canister(to).queues.requests.size, 1);
      const balance = (): bigint => subnet.canister(caller).meta.cycles;
      const total = totalCycles(subnet.state);
      at(subnet, time);
      const before = balance();
      for (let i = 0; i < 20; i++) subnet.round([], 1n);
      assert.equal(subnet.canister(to).running, null);
      const told = answer(subnet, id) as RelayResult;
      if (runs) assert.equal(told.code, 0);
      else assert.deepEqual(toldOf(told), EXPIRED);
      // They are not in the answer, but come by themselves.
      if (!runs) assert.ok(balance() >= before + CYCLES);
      const turns = relayResult(
        subnet.call({
          canisterId: caller,
          method: "relay",
          arg: relayArg({ to, method: "spin", arg: u32(0) }),
        }),
      );
      assert.equal(
        new DataView(turns.data.buffer, turns.data.byteOffset).getUint32(0, true),
        runs ? 500_007 : 500_000,
      );
      assert.ok(totalCycles(subnet.state) <= total);
    });
  }

  test("for a management call that waits: it is not made, and its cycles come back", () => {
    for (const [time, made] of [
      [LATE - 1n, true],
      [LATE, false],
    ] as const) {
      const { subnet, caller } = begun();
      const request: RequestInput = {
        kind: "request",
        from: caller,
        callbackId: 77,
        methodName: "raw_rand",
        payload: EMPTY_ARGUMENTS,
        cycles: CYCLES,
        deadline: DEADLINE_AT,
      };
      subnet.state.managementQueue.push(request);
      const before = subnet.canister(caller).meta.cycles;
      at(subnet, time);
      assert.equal(subnet.state.pendingManagement.length, made ? 1 : 0);
      assert.equal(subnet.canister(caller).meta.cycles - before, made ? 0n : CYCLES);
    }
  });

  test("requests that have passed make room in a full queue", () => {
    for (const [deadline, code, refunds] of [
      [START_TIME, 0, 3n * BigInt(QUEUE_CAPACITY)],
      [START_TIME + SECOND, 2, 0n],
    ] as const) {
      const net = new TestSubnets({ types: ["application", "application"] });
      const [to, from] = [0, 1].map((i) => net.at(i).installed(RELAY, { cycles: RICH })) as [
        CanisterId,
        CanisterId,
      ];
      const arg = relayArg({ to, method: "echo", timeoutSeconds: 10 });
      const id = net.at(1).submit({ canisterId: from, method: "relay", arg });
      const waiting: RequestInput = {
        kind: "request",
        from,
        callbackId: 999,
        methodName: "nothing",
        payload: new Uint8Array(0),
        cycles: 3n,
        deadline,
      };
      net.at(0).execution.edit(principalKey(to), ({ queues }) => {
        queues.requests.set(principalKey(from), new Array<RequestInput>(QUEUE_CAPACITY).fill(waiting));
      });
      // What comes from elsewhere is taken before anything runs.
      net.round(0, [], START_TIME + SECOND + FRACTION - net.at(0).state.time);
      const stream = net.at(0).state.streams.get(principalKey(net.at(1).state.subnet.subnetId));
      const refunded = stream?.messages.flatMap((message) =>
        message.kind === "refund" ? [message.cycles] : [],
      );
      assert.equal(
        refunded?.reduce((sum, cycles) => sum + cycles, 0n),
        refunds,
      );
      net.rounds(1);
      assert.equal(relayResult(net.settle(1, id)).code, code);
    }
  });
});

describe("a request that waits for room in a stream", () => {
  const CYCLES = 9_000n;
  /** A request that finds the stream full. */
  function waiting(timeoutSeconds: number): { readonly net: TestSubnets; readonly id: Uint8Array } {
    const net = new TestSubnets({ types: ["application", "application"], limits: { streamMessages: 0 } });
    const [from, to] = [0, 1].map((i) => net.at(i).installed(RELAY, { cycles: RICH })) as [
      CanisterId,
      CanisterId,
    ];
    at(net.at(0), START_TIME + SECOND + FRACTION);
    const arg = relayArg({ to, method: "echo", cycles: CYCLES, timeoutSeconds });
    const id = net.at(0).submit({ canisterId: from, method: "relay", arg });
    assert.equal(net.at(0).canister(from).queues.outputs.size, 1);
    return { net, id };
  }

  for (const [name, timeoutSeconds, lifetime] of [
    ["best-effort, until its deadline", 5, 5n],
    ["guaranteed, for 300 seconds", 0, 300n],
  ] as const) {
    test(`is given up with its cycles: ${name}`, () => {
      const { net, id } = waiting(timeoutSeconds);
      const subnet = net.at(0);
      const late = START_TIME + SECOND + lifetime * SECOND + SECOND;
      const total = totalCycles(subnet.state);
      at(subnet, late - 1n);
      assert.equal(answer(subnet, id), null);
      assert.equal(subnet.results.at(-1)?.nextTimer, late);
      at(subnet, late);
      assert.deepEqual(toldOf(answer(subnet, id) as RelayResult), UNSENT(CYCLES));
      assert.ok(totalCycles(subnet.state) <= total);
    });
  }

  test("leaves in time when there is room", () => {
    const { net, id } = waiting(0);
    const subnet = net.at(0);
    subnet.options.limits !== undefined && Object.assign(subnet.options.limits, { streamMessages: 10 });
    subnet.reload(subnet.runner);
    at(subnet, START_TIME + 300n * SECOND);
    const [stream] = subnet.state.streams.values();
    assert.deepEqual(
      stream?.messages.map((message) => Object.keys(message).sort()),
      [["callee", "input", "kind"]],
    );
    at(subnet, START_TIME + 400n * SECOND);
    assert.equal(answer(subnet, id), null);
  });
});
