/** The pause of leftover work: within its bounds, by the time that rounds took (time is the test runner's). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRest } from "./rest.ts";

test("a pause is as long as the round before, within bounds, and one at a time", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  let pauses = 0;
  const rest = createRest(() => {
    pauses++;
  });
  /** What a pause lasts after a round of so many milliseconds. */
  const pauseAfter = (roundMs: number): number => {
    rest.begin();
    nowMs += roundMs;
    rest.start();
    const before = pauses;
    for (let ms = 1; ms <= 100; ms++) {
      t.mock.timers.tick(1);
      if (pauses > before) return ms;
    }
    return Number.POSITIVE_INFINITY;
  };
  assert.deepEqual([0, 4, 9, 20, 500].map(pauseAfter), [4, 4, 9, 20, 20]);
  rest.begin();
  rest.start();
  rest.start();
  t.mock.timers.tick(100);
  assert.equal(pauses, 6);
  rest.start();
  rest.end();
  t.mock.timers.tick(100);
  assert.equal(pauses, 6);
});
