/** When a network under faults counts as well again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GoingOn } from "./going-on.ts";

test("nodes go on when each is further than the first was, on every subnet", () => {
  const going = new GoingOn();
  const seen = (one: readonly number[], other: readonly number[]): boolean => going.isSeenBy([one, other]);
  assert.equal(seen([5, 9], [5, 7]), false);
  assert.equal(seen([6, 10], [6, 9]), false);
  // One subnet of one node stays behind.
  assert.equal(seen([9, 12], [5, 12]), false);
  assert.equal(seen([9, 12], [6, 10]), true);
});

test("a node that does not answer is not taken for one at the beginning", () => {
  const going = new GoingOn();
  assert.equal(going.isSeenBy([null, null]), false);
  assert.equal(going.isSeenBy([[1], null]), false);
  assert.equal(going.told([[1], null]), "nodes are at 1, silent; not all of them answered");
  assert.equal(going.isSeenBy([[8], [3]]), false);
  assert.equal(going.isSeenBy([[9], null]), false);
  assert.equal(going.told([[9], [4]]), "nodes are at 9, 4; not all are beyond 8");
  assert.equal(going.isSeenBy([[9], [9]]), true);
});
