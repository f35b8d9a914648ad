/** The registry of a simulated subnet: members are different nodes, whatever it is told, and programs are those that it names. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeIdOf, SimRegistry } from "./sim-registry.ts";
import { faultOfProgram } from "./upgrading.ts";

test("subnets that are asked for stay so, whatever changes afterwards, and have nodes of their own", () => {
  const registry = new SimRegistry({ members: [0, 1, 2, 3], intervalLength: 10, halts: false });
  registry.create(2, 5n);
  registry.create(1, 6n);
  registry.upgrade(7n);
  assert.deepEqual(registry.newest.planned, [
    { subnet: 1, members: [1_000, 1_001] },
    { subnet: 2, members: [2_000] },
  ]);
  assert.deepEqual(registry.record(2)?.planned, [{ subnet: 1, members: [1_000, 1_001].map(nodeIdOf) }]);
  assert.equal(registry.record(1)?.planned, undefined);
  const created = new SimRegistry({ members: [0, 1], intervalLength: 10, halts: false }, 1_000);
  assert.deepEqual(created.record(1)?.members, [1_000, 1_001].map(nodeIdOf));
  assert.equal(created.numberOf(created.idOf(1)), 1);
});

test("a node takes a member's place once, and nobody's who is none", () => {
  const registry = new SimRegistry({ members: [0, 1, 2, 3], intervalLength: 10, halts: false });
  registry.replace(1, 4, 5n);
  assert.deepEqual([registry.version, registry.newest.members], [2, [0, 4, 2, 3]]);
  registry.replace(2, 4, 6n);
  registry.replace(1, 5, 6n);
  assert.deepEqual([registry.version, registry.newest.members], [2, [0, 4, 2, 3]]);
});

test("a block is executed by the program that the summary before it names", () => {
  const summaries = new Map([
    [20, { replicaVersion: "2.0.0" }],
    [10, {}],
  ]);
  const fault = (program: string, height: number): string | null =>
    faultOfProgram(summaries, { index: 3, program }, height);
  for (const height of [1, 10, 11, 20]) assert.equal(fault("1.0.0", height), null);
  assert.equal(fault("2.0.0", 21), null);
  assert.equal(fault("1.0.0", 21), "node 3 executes block 21, which is for 2.0.0, with 1.0.0");
  assert.equal(fault("2.0.0", 20), "node 3 executes block 20, which is for 1.0.0, with 2.0.0");
});
