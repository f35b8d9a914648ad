/** Memory of messages and numbers of callbacks: what calls take, what they are refused, and how other subnets say that they are full. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, concatBytes, principalKey, utf8DecodeLossy } from "@orrery/base";
import type { CanisterState, SubnetType } from "@orrery/state";
import { createExecution } from "../apply-batch.ts";
import { freezingThresholdCycles, idleCyclesBurnedPerDay } from "../cycles.ts";
import { storageCost } from "../fees.ts";
import { type ExecutionLimits, limitsOf, RESPONSE_RESERVATION_BYTES as ROOM } from "../limits.ts";
import type { TestSubnet } from "../testing/subnet.testkit.ts";
import { TestSubnets } from "../testing/subnets.testkit.ts";
import { recountMessages } from "./message-memory.ts";

const CYCLES = 10n ** 16n;

/** `fill`: makes calls to `echo` until one is refused or all are made, and replies with their number. Rejects are printed. */
const FILLER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reject_code" (func $reject_code (result i32)))
  (import "ic0" "msg_reject_msg_size" (func $reject_size (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $reject_copy (param i32 i32 i32)))
  (import "ic0" "debug_print" (func $print (param i32 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data (param i32 i32)))
  (import "ic0" "call_with_best_effort_response" (func $best_effort (param i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1) (table funcref (elem $on_reply $on_reject)) (data (i32.const 1000) "echo")
  (func $on_reply (param i32))
  (func $on_reject (param i32)
    (call $reject_copy (i32.const 1) (i32.const 0) (call $reject_size))
    (i32.store8 (i32.const 0) (i32.add (i32.const 48) (call $reject_code)))
    (call $print (i32.const 0) (i32.add (i32.const 1) (call $reject_size))))
  (func (export "canister_update fill") (local $made i32)
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (block $full (loop $more
      (br_if $full (i32.eq (local.get $made) (i32.load8_u (i32.const 0))))
      (call $call_new (i32.const 2) (i32.sub (call $arg_size) (i32.const 2)) (i32.const 1000) (i32.const 4)
        (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
      (if (i32.load8_u (i32.const 1)) (then (call $best_effort (i32.const 30))))
      (if (i32.eq (i32.load8_u (i32.const 1)) (i32.const 2)) (then (call $data (i32.const 0) (i32.const 40000))))
      (br_if $full (i32.ne (call $perform) (i32.const 0)))
      (local.set $made (i32.add (local.get $made) (i32.const 1)))
      (br $more)))
    (i32.store8 (i32.const 0) (local.get $made))
    (call $append (i32.const 0) (i32.const 1)) (call $reply))
  (func (export "canister_update echo") (call $reply)))`;

interface Pair {
  readonly net: TestSubnets;
  /** On the first subnet. */
  readonly a: CanisterId;
  /** On the second, which only sees what is sent when it has a round. */
  readonly b: CanisterId;
}

function pair(
  limits: Partial<ExecutionLimits>,
  types: readonly SubnetType[] = ["application", "application"],
) {
  const net = new TestSubnets({ types, limits });
  const [a, b] = [0, 1].map((i) => net.at(i).installed(FILLER, { cycles: CYCLES })) as [
    CanisterId,
    CanisterId,
  ];
  return { net, a, b } satisfies Pair;
}

/** How many of `count` calls were made. */
function fill(
  subnet: TestSubnet,
  from: CanisterId,
  options: { readonly to: CanisterId; readonly count: number; readonly bestEffort?: boolean | "long" },
): number {
  const { to, count, bestEffort = false } = options;
  const arg = concatBytes(Uint8Array.of(count, bestEffort === "long" ? 2 : Number(bestEffort)), to);
  return subnet.reply({ canisterId: from, method: "fill", arg })[0] ?? -1;
}

function printed(canister: CanisterState): string[] {
  return canister.logs.map(({ content }) => utf8DecodeLossy(content));
}

function checkSums(net: TestSubnets): void {
  for (const { state } of net.all) {
    for (const canister of state.canisters.values()) {
      const { guaranteedMessageBytes, bestEffortMessageBytes } = canister.meta;
      const sums = { guaranteedMessageBytes, bestEffortMessageBytes };
      assert.deepEqual(sums, recountMessages(canister), principalKey(canister.meta.id));
    }
  }
}

test("calls keep room for their responses until they have them, and cost storage meanwhile", () => {
  const { net, a, b } = pair({});
  const { meta } = net.at(0).canister(a);
  const { subnet } = net.at(0).state;
  const idle = idleCyclesBurnedPerDay(subnet, meta);
  assert.equal(fill(net.at(0), a, { to: b, count: 3 }), 3);
  assert.equal(meta.guaranteedMessageBytes, 3 * ROOM);
  assert.equal(idleCyclesBurnedPerDay(subnet, meta) - idle, storageCost(subnet, BigInt(3 * ROOM), 86_400n));
  const consumed = net.at(0).canister(a).consumed.get("memory") ?? 0n;
  net.at(0).round([], 10_000_000_000n);
  const paid = (net.at(0).canister(a).consumed.get("memory") ?? 0n) - consumed;
  assert.ok(paid >= storageCost(subnet, BigInt(3 * ROOM), 10n), `${paid}`);
  checkSums(net);
  for (let i = 0; i < 4; i++) {
    net.rounds(1);
    checkSums(net);
  }
  assert.deepEqual([meta.guaranteedMessageBytes, net.at(1).canister(b).meta.guaranteedMessageBytes], [0, 0]);
});

test("call_perform answers 2 when the share of the subnet's memory for responses is taken", () => {
  const limits = { guaranteedMessageBytes: 12 * ROOM, partitions: 4 };
  const { net, a, b } = pair(limits);
  assert.equal(fill(net.at(0), a, { to: b, count: 10 }), 3);
  assert.equal(fill(net.at(0), a, { to: b, count: 10 }), 2);
  // Best-effort calls keep no room.
  assert.equal(fill(net.at(0), a, { to: b, count: 10, bestEffort: true }), 10);
  net.rounds(3);
  assert.equal(fill(net.at(0), a, { to: b, count: 10 }), 3);
});

test("two messages of one turn do not take the same room", () => {
  const { net, a, b } = pair({ guaranteedMessageBytes: 4 * ROOM, partitions: 1 });
  const arg = concatBytes(Uint8Array.of(3, 0), b);
  const sent = [1, 2].map(() => net.at(0).envelope({ canisterId: a, method: "fill", arg }));
  net.at(0).round(sent.map(({ bytes }) => bytes));
  const made = sent.map(({ id }) => {
    const status = net.at(0).status(id);
    return status?.kind === "replied" ? status.reply[0] : status?.kind;
  });
  assert.deepEqual(made, [3, 1]);
});

test("system subnets have no such limit", () => {
  assert.equal(limitsOf("system").guaranteedMessageBytes, Number.MAX_SAFE_INTEGER);
  assert.equal(limitsOf("application").guaranteedMessageBytes, 15 * 1024 ** 3);
});

test("fifty callbacks are assured to each canister, more depend on the subnet's number", () => {
  const few = pair({ callbacksPerSubnet: 0 });
  assert.equal(fill(few.net.at(0), few.a, { to: few.b, count: 60 }), 50);
  assert.equal(fill(few.net.at(0), few.a, { to: few.b, count: 60, bestEffort: true }), 0);
  few.net.rounds(3);
  assert.equal(fill(few.net.at(0), few.a, { to: few.b, count: 60, bestEffort: true }), 50);
  const some = pair({ callbacksPerSubnet: 70, partitions: 1 });
  assert.equal(fill(some.net.at(0), some.a, { to: some.b, count: 80 }), 70);
});

test("the memory of a call's response counts towards the freezing threshold", () => {
  const { net, a, b } = pair({});
  const { meta } = net.at(0).canister(a);
  meta.settings = { ...meta.settings, freezingThreshold: 10_000n * 86_400n };
  const { subnet } = net.at(0).state;
  // Enough for the message and two calls, not for 2 MiB over the time of the threshold.
  meta.cycles = freezingThresholdCycles(subnet, meta) + 150_000_000_000n;
  assert.equal(fill(net.at(0), a, { to: b, count: 2 }), 0);
  assert.equal(fill(net.at(0), a, { to: b, count: 2, bestEffort: true }), 2);
});

const NO_ROOM = `5Cannot induct request. Out of memory: requested ${ROOM}`;

test("a subnet that has no room for a response says so to the caller's", () => {
  const { net, a, b } = pair({ guaranteedMessageBytes: 3 * ROOM, partitions: 1 });
  assert.equal(fill(net.at(1), b, { to: a, count: 1 }), 1);
  assert.equal(fill(net.at(0), a, { to: b, count: 3 }), 3);
  // The second subnet still waits for its own answer when the three calls come.
  const xnet = [net.slice(0, 1) as Uint8Array];
  net.at(1).round([], 1_000_000n, { xnet });
  checkSums(net);
  net.rounds(3);
  assert.deepEqual(printed(net.at(0).canister(a)), [NO_ROOM]);
  checkSums(net);
});

test("within a subnet a call needs room at both ends", () => {
  const { net, a } = pair({ guaranteedMessageBytes: 3 * ROOM, partitions: 1 });
  const callee = net.at(0).installed(FILLER, { cycles: CYCLES });
  assert.equal(fill(net.at(0), a, { to: callee, count: 3 }), 3);
  net.at(0).round();
  // Two rejects free the room that the third finds.
  assert.deepEqual(printed(net.at(0).canister(a)), [NO_ROOM, NO_ROOM]);
  assert.equal(fill(net.at(0), a, { to: callee, count: 1 }), 1);
  net.at(0).round();
  assert.equal(printed(net.at(0).canister(a)).length, 2);
  checkSums(net);
});

test("queued best-effort messages over the limit go at the end of the round, the largest first", () => {
  const { net, a, b } = pair({ streamMessages: 0, bestEffortMessageBytes: 100_000 });
  assert.equal(fill(net.at(0), a, { to: b, count: 1, bestEffort: true }), 1);
  assert.equal(fill(net.at(0), a, { to: b, count: 4, bestEffort: "long" }), 4);
  const { meta, queues } = net.at(0).canister(a);
  // Two long requests and the short one are left, and the answers to the two others wait.
  assert.deepEqual(
    [...queues.outputs.values()].map(({ length }) => length),
    [3],
  );
  assert.ok(meta.bestEffortMessageBytes > 80_000 && meta.bestEffortMessageBytes <= 100_000);
  checkSums(net);
  net.at(0).round();
  assert.deepEqual(printed(net.at(0).canister(a)), ["2Request timed out.", "2Request timed out."]);
  checkSums(net);
});

test("requests that are shed at their callee are heard of at their deadline", () => {
  const { net, a, b } = pair({});
  const callee = net.at(1);
  assert.equal(fill(net.at(0), a, { to: b, count: 4, bestEffort: "long" }), 4);
  // A round in which nothing runs.
  callee.execution = createExecution(callee.state, {
    runner: callee.runner,
    arena: callee.arena,
    limits: { instructionsPerRound: 0n, bestEffortMessageBytes: 100_000 },
  });
  const total = net.cycles();
  net.round(1);
  assert.deepEqual(
    [...callee.canister(b).queues.requests.values()].map(({ length }) => length),
    [2],
  );
  checkSums(net);
  assert.equal(net.cycles(), total);
  callee.reload(callee.runner);
  net.rounds(3);
  assert.deepEqual(printed(net.at(0).canister(a)), []);
  net.at(0).round([], 31_000_000_000n);
  assert.deepEqual(printed(net.at(0).canister(a)), [
    "6Call deadline has expired.",
    "6Call deadline has expired.",
  ]);
  checkSums(net);
});
