/** The paper's shape: two delays a block and three until it is final, whatever the size; what silent leaders cost; messages as members grow. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { consensusShape, type ShapeOptions } from "./shape.ts";

const MS = 1_000_000n;
const DELAY_MS = 50;

const shape = (more: Partial<ShapeOptions>): ReturnType<typeof consensusShape> =>
  consensusShape({
    nodes: 4,
    delayNs: BigInt(DELAY_MS) * MS,
    silent: 0,
    initialNotaryDelayNs: 0n,
    unitDelayNs: 1_000n * MS,
    seconds: 4,
    ...more,
  });

test("with honest leaders", () => {
  for (const nodes of [4, 7]) {
    const { blockMs, latencyMs, otherRanks } = shape({ nodes });
    assert.equal(otherRanks, 0);
    assert.ok(Math.abs(blockMs / DELAY_MS - 2) < 0.1, `${blockMs} ms a block`);
    assert.ok(Math.abs(latencyMs / DELAY_MS - 3) < 0.1, `${latencyMs} ms until it is final`);
  }
});

test("silent members cost the turns that are theirs, and no more", () => {
  const { blockMs, otherRanks } = shape({ silent: 1, seconds: 30 });
  assert.ok(otherRanks > 0.1 && otherRanks < 0.4, `${otherRanks} of the blocks are of other ranks`);
  // A turn passes after the unit delay.
  const expected = 2 * DELAY_MS + otherRanks * 1_000;
  assert.ok(Math.abs(blockMs - expected) < 0.25 * expected, `${blockMs} ms, expected ${expected}`);
});

test("messages grow with the square of the members", () => {
  const [four, seven] = [shape({ nodes: 4, seconds: 2 }), shape({ nodes: 7, seconds: 2 })];
  const growth = seven.messagesPerRound / four.messagesPerRound;
  assert.ok(growth > 2.5 && growth < 4.5, `${growth} times as many`);
  assert.ok(seven.bytesPerRound > four.bytesPerRound);
});
