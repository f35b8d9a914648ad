/** What a tracer keeps when nobody takes it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type TraceEvent, Tracer } from "./trace.ts";

test("a full tracer lets the oldest tenth go at once and keeps all that came after", () => {
  const tracer = new Tracer();
  const add = (from: number, to: number): void => {
    for (let height = from; height < to; height++) tracer.add({ height } as TraceEvent);
  };
  const kept = (): readonly number[] => {
    const events = tracer.take();
    assert.ok(events.every(({ height }, i) => i === 0 || height === (events[i - 1]?.height ?? 0) + 1));
    return [events.length, events[0]?.height ?? -1, events.at(-1)?.height ?? -1];
  };
  add(0, 100_000);
  assert.deepEqual(kept(), [100_000, 0, 99_999]);
  add(0, 100_001);
  assert.deepEqual(kept(), [90_001, 10_000, 100_000]);
  add(0, 120_000);
  assert.deepEqual(kept(), [100_000, 20_000, 119_999]);
  assert.deepEqual(tracer.take(), []);
});
