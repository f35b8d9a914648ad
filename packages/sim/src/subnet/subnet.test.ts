/** A simulated subnet of real members under faults: safe always, alive again afterwards. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CALM, type FaultPlan, MISBEHAVIOURS, STORMY } from "./faults.ts";
import { runSubnet, type SubnetVerdict } from "./run.ts";

const run = (nodes: number, seed: number, faults: FaultPlan, seconds = 20): SubnetVerdict =>
  runSubnet({ seed, nodes, spares: 2, seconds, messagesPerSecond: 2, catchUpInterval: 20, faults });

test("with honest leaders a block takes the notary's delay and two crossings, whatever the size", () => {
  for (const nodes of [1, 4, 13]) {
    const { verdict, rounds, seconds } = run(nodes, 1, CALM);
    assert.equal(verdict, "ok");
    // 300 ms before notarization, 5 ms for the proposal and 5 for the shares: more than three a second.
    assert.ok(rounds / seconds > 3 && rounds / seconds < 3.6, `${nodes} nodes: ${rounds / seconds} a second`);
  }
});

test("one seed gives one trace, another seed another", () => {
  assert.deepEqual(run(4, 7, STORMY, 10), run(4, 7, STORMY, 10));
  assert.notEqual(run(4, 7, STORMY, 10).traceHash, run(4, 8, STORMY, 10).traceHash);
});

test("crashes, partitions, losses, doubles and clocks that are off do no harm, and it goes on after them", () => {
  for (const nodes of [1, 4, 5, 7]) {
    for (const seed of [1, 2, 3]) {
      const { verdict, violations } = run(nodes, seed, STORMY);
      assert.deepEqual([verdict, violations], ["ok", []], `${nodes} nodes, seed ${seed}`);
    }
  }
});

for (const kind of MISBEHAVIOURS) {
  test(`up to a third of the members misbehave: ${kind.replaceAll("_", " ")}`, () => {
    for (const [nodes, byzantine] of [
      [4, [kind]],
      [7, [kind, kind]],
    ] as const) {
      const { verdict, violations } = run(nodes, 5, { ...STORMY, byzantine });
      assert.deepEqual([verdict, violations], ["ok", []], `${nodes} nodes`);
    }
  });
}

test("a subnet without a quorum stands still, and says nothing wrong", () => {
  const { verdict, violations } = run(4, 1, { ...CALM, byzantine: ["silent", "silent"] });
  assert.deepEqual([verdict, violations], ["stalled", []]);
});
