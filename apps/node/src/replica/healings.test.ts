/** Healing that does not help is tried ever later, and not for ever. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SubnetId } from "@orrery/base";
import { HEALINGS_MAX, Healings, WELL_MS } from "./healings.ts";

const [one, other] = [1, 2].map((byte) => Uint8Array.of(byte) as SubnetId) as [SubnetId, SubnetId];

test("at once, then after longer and longer, then no more", () => {
  const healings = new Healings();
  let nowMs = 1_000;
  const pauses = Array.from({ length: HEALINGS_MAX + 2 }, () => {
    const pauseMs = healings.begin(one, nowMs);
    nowMs += (pauseMs ?? 0) + 5_000;
    return pauseMs;
  });
  assert.deepEqual(pauses, [0, 10_000, 30_000, 90_000, null, null]);
  assert.equal(healings.count(one), HEALINGS_MAX);
  assert.equal(healings.begin(other, nowMs), 0, "each subnet by itself");
});

test("a node that was well for long has not failed again but anew", () => {
  const healings = new Healings();
  assert.deepEqual([healings.begin(one, 0), healings.begin(one, 60_000)], [0, 10_000]);
  assert.equal(healings.begin(one, 70_000 + WELL_MS), 30_000);
  assert.equal(healings.begin(one, 100_001 + 2 * WELL_MS), 0);
  assert.equal(healings.count(one), 1);
});
