/** Intervals that begin elsewhere than was said, and those that are announced with another length. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { faultsOfLengths } from "./interval-lengths.ts";

const told = (...rows: readonly (readonly [number, number, number])[]): readonly string[] =>
  faultsOfLengths({
    summaries: new Map(rows.map(([height, length, nextLength]) => [height, { length, nextLength }])),
  });

test("each interval is as long as the summary before it said", () => {
  assert.deepEqual(told(), []);
  assert.deepEqual(told([8, 4, 4]), []);
  // As delivered by several, in no order.
  assert.deepEqual(told([12, 4, 6], [8, 4, 4], [16, 6, 6], [22, 6, 6]), []);
  assert.deepEqual(told([8, 4, 4], [14, 4, 4]), ["the interval at 8 has 6 heights in place of 4"]);
  assert.deepEqual(told([8, 4, 4], [12, 6, 6]), ["the interval at 12 is to have 6 heights in place of 4"]);
});
