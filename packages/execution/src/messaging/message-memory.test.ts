/** Memory of messages and numbers of callbacks: what calls take, what they are refused, and how other subnets say that they are full. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, principalKey } from "@orrery/base";
import { createExecution } from "../apply-batch.ts";
import { freezingThresholdCycles, idleCyclesBurnedPerDay } from "../cycles.ts";
import { storageCost } from "../fees.ts";
import { RESPONSE_RESERVATION_BYTES as ROOM } from "../limits.ts";
import { CYCLES, FILLER, fill, pair, printed } from "../testing/filler.testkit.ts";
import type { TestSubnets } from "../testing/subnets.testkit.ts";
import { recountMessages } from "./message-memory.ts";

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
