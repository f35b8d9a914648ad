/** Subnets whose registry changes the length of intervals or names other versions of the program, in calm and in storms. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CALM, type FaultPlan, STORMY } from "./faults.ts";
import { stretched, upgraded } from "./planted/changing.testkit.ts";
import { runSubnet, type SubnetRun } from "./run.ts";

const run = (seed: number, faults: FaultPlan, nodes = 4): SubnetRun => ({
  ...{ seed, nodes, faults },
  ...{ spares: 2, seconds: 30, messagesPerSecond: 2, catchUpInterval: 14 },
});

test("intervals have the length that the summary before said, whatever goes wrong, and everybody follows", () => {
  assert.equal(stretched(run(1, CALM)).wrong, null);
  for (const seed of [2, 3, 4]) assert.equal(stretched(run(seed, STORMY)).wrong, null, `seed ${seed}`);
});

test("all nodes go on with another program from the same package, and nothing is ordered before it", () => {
  assert.equal(upgraded(run(1, CALM)).wrong, null);
  for (const seed of [2, 3, 4]) assert.equal(upgraded(run(seed, STORMY)).wrong, null, `seed ${seed}`);
});

test("lengths, versions and members change together under faults", () => {
  const faults: FaultPlan = {
    ...{ ...STORMY, stretchPerSecond: 0.2, intervalBlocks: [11, 30], upgradePerSecond: 0.08 },
    ...{ haltPerSecond: 0.04, byzantine: ["withhold"] },
  };
  let changes = 0;
  for (const seed of [5, 6, 7, 8]) {
    const { verdict, violations, changes: inForce } = runSubnet(run(seed, faults, seed > 6 ? 7 : 4));
    assert.deepEqual([verdict, violations], ["ok", []], `seed ${seed}`);
    changes += inForce;
  }
  assert.ok(changes > 10, `${changes} versions of the registry came into force`);
});
