/** The registry of a simulated subnet: members are different nodes, whatever it is told. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SimRegistry } from "./sim-registry.ts";

test("a node takes a member's place once, and nobody's who is none", () => {
  const registry = new SimRegistry({ members: [0, 1, 2, 3], intervalLength: 10, halts: false });
  registry.replace(1, 4, 5n);
  assert.deepEqual([registry.version, registry.newest.members], [2, [0, 4, 2, 3]]);
  registry.replace(2, 4, 6n);
  registry.replace(1, 5, 6n);
  assert.deepEqual([registry.version, registry.newest.members], [2, [0, 4, 2, 3]]);
});
