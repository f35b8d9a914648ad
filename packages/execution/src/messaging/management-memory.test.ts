/** Calls that wait at the management canister: counted as messages, bounded, dropped when nobody waits for them any more. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, canisterIdFromIndex, principalKey } from "@orrery/base";
import type { RequestInput } from "@orrery/state";
import {
  type ExecutionLimits,
  INGRESS_QUEUE_CAPACITY,
  limitsOf,
  MANAGEMENT_INGRESS_BYTES_MAX,
  MESSAGE_HEADER_BYTES,
  QUEUE_CAPACITY,
  RESPONSE_RESERVATION_BYTES as ROOM,
} from "../limits.ts";
import { ExecutionIndex } from "../scheduler/execution-index.ts";
import type { Round } from "../scheduler/round.ts";
import { FORWARDER, forwardArg } from "../testing/forwarder.testkit.ts";
import { createArg, encode, TestSubnet } from "../testing/subnet.testkit.ts";
import { enqueueManagement } from "./delivery.ts";
import { shedBestEffort } from "./shed.ts";

const [ONE, OTHER] = [canisterIdFromIndex(1n), canisterIdFromIndex(2n)] as [CanisterId, CanisterId];

function roundOf(limits: Partial<ExecutionLimits>): Round {
  const { state } = new TestSubnet();
  const all = { ...limitsOf("application"), ...limits };
  return { state, index: new ExecutionIndex(state), limits: all } as unknown as Round;
}

function request(more: Partial<RequestInput> = {}): RequestInput {
  return {
    kind: "request",
    from: ONE,
    callbackId: 1,
    methodName: "raw_rand",
    payload: new Uint8Array(0),
    cycles: 7n,
    deadline: 0n,
    ...more,
  };
}

function recounted({ state, index }: Round): void {
  assert.deepEqual(new ExecutionIndex(state).management, index.management);
}

test("each keeps room for its response, and none is taken without", () => {
  const round = roundOf({ guaranteedMessageBytes: 3 * ROOM });
  const long = new Uint8Array(ROOM);
  assert.equal(enqueueManagement(round, request({ payload: long })), null);
  const excess = MESSAGE_HEADER_BYTES + "raw_rand".length;
  assert.equal(round.index.guaranteedBytesTaken, ROOM + excess);
  assert.equal(enqueueManagement(round, request()), null);
  assert.equal(enqueueManagement(round, request()), "out_of_memory");
  assert.equal(enqueueManagement(round, request({ deadline: 99n })), null);
  assert.equal(round.index.guaranteedBytesTaken, 2 * ROOM + excess);
  assert.equal(round.index.management.bestEffortMessageBytes, excess);
  recounted(round);
});

test("each sender has so many", () => {
  const round = roundOf({});
  for (let i = 0; i < QUEUE_CAPACITY; i++) assert.equal(enqueueManagement(round, request()), null);
  assert.equal(enqueueManagement(round, request()), "queue_full");
  assert.equal(enqueueManagement(round, request({ from: OTHER })), null);
  recounted(round);
});

test("those of best-effort calls are given up, the largest first, when the subnet holds too much", () => {
  const round = roundOf({ bestEffortMessageBytes: 1_000 });
  for (const length of [300, 500, 100])
    enqueueManagement(round, request({ deadline: 9n, payload: new Uint8Array(length) }));
  shedBestEffort(round);
  const left = round.state.managementQueue.map((one) => (one.kind === "request" ? one.payload.length : -1));
  assert.deepEqual(left, [300, 100]);
  assert.equal(round.state.refunds.get(principalKey(ONE)), 7n);
  recounted(round);
});

test("one that outlived its caller's patience does not run, and one that runs leaves the count", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(FORWARDER, { cycles: 10n ** 15n });
  const index = new ExecutionIndex(subnet.state);
  subnet.state.managementQueue.push(
    request({ from: id, callbackId: 77, methodName: "create_canister", cycles: 10n ** 12n, deadline: 1n }),
  );
  subnet.reload(subnet.runner);
  const [before, { cycles }] = [subnet.state.canisters.size, subnet.canister(id).meta];
  subnet.round();
  assert.equal(subnet.state.managementQueue.length, 0);
  assert.equal(subnet.state.canisters.size, before);
  subnet.round();
  assert.equal(subnet.canister(id).meta.cycles, cycles + 10n ** 12n);
  subnet.reply({ canisterId: id, method: "forward", arg: forwardArg("raw_rand", encode([], [])) });
  assert.deepEqual(new ExecutionIndex(subnet.state).management, index.management);
});

test("users' messages are bounded by number and by what they hold", () => {
  const subnet = new TestSubnet({ limits: { instructionsPerRound: 0n } });
  const arg = new Uint8Array(MANAGEMENT_INGRESS_BYTES_MAX / 4);
  const waiting = {
    kind: "ingress" as const,
    sender: ONE as never,
    methodName: "raw_rand",
    expiry: 1n << 62n,
  };
  for (let i = 0; i < 4; i++)
    subnet.state.managementQueue.push({ ...waiting, requestId: Uint8Array.of(i), arg, senderInfo: null });
  const refused = subnet.rejection({
    method: "provisional_create_canister_with_cycles",
    arg: createArg({ cycles: 1n }),
  });
  assert.deepEqual(
    [refused.errorCode, refused.message],
    ["IC0201", `Maximum queue capacity ${INGRESS_QUEUE_CAPACITY} reached`],
  );
});

/** Calls raw_rand of aaaaa-aa and of the subnet that its argument names in turn; replies how many were taken. */
const BOTH_NAMES = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data (param i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1) (table funcref (elem $back)) (data (i32.const 100) "raw_randDIDL\\00\\00")
  (func $back (param i32))
  (func (export "canister_update fill") (local $i i32) (local $taken i32)
    (call $arg_copy (i32.const 0) (i32.const 0) (i32.const 29))
    (loop $more
      (call $new (i32.const 0) (i32.mul (i32.const 29) (i32.and (local.get $i) (i32.const 1)))
        (i32.const 100) (i32.const 8) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (call $data (i32.const 108) (i32.const 6))
      (local.set $taken (i32.add (local.get $taken) (i32.eqz (call $perform))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 600))))
    (i32.store (i32.const 0) (local.get $taken))
    (call $append (i32.const 0) (i32.const 4)) (call $reply)))`;

test("the names of the management canister share a queue's length of calls", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(BOTH_NAMES, { cycles: 10n ** 17n });
  const arg = subnet.state.subnet.subnetId;
  const reply = subnet.reply({ canisterId: id, method: "fill", arg });
  assert.equal(new DataView(reply.buffer, reply.byteOffset).getUint32(0, true), QUEUE_CAPACITY);
});
