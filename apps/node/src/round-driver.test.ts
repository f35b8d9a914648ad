/** When blocks are made and heights published. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FRESHNESS_NS, HELD_MAX_NS, PIPELINE_MAX, RoundDriver, STALENESS_MAX_NS } from "./round-driver.ts";

const S = 1_000_000_000n;
const idle = { moreWork: false, long: "none", nextTimer: null } as const;

function driver(): RoundDriver {
  const d = new RoundDriver({ height: 5, time: 100n * S });
  d.onExecuted({ height: 5, ...idle });
  return d;
}

test("an idle network makes no block and sets no alarm", () => {
  const d = driver();
  assert.equal(d.shouldMakeBlock({ now: 1000n * S, poolSize: 0 }), false);
  assert.equal(d.nextWake(1000n * S), null);
});

test("work makes blocks until the pipeline is full", () => {
  const d = driver();
  for (let i = 1; i <= PIPELINE_MAX; i++) {
    assert.equal(d.shouldMakeBlock({ now: 100n * S, poolSize: 1 }), true);
    d.onMade({ height: 5 + i, time: 100n * S + BigInt(i) });
  }
  assert.equal(d.shouldMakeBlock({ now: 100n * S, poolSize: 1 }), false);
  d.onExecuted({ height: 6, ...idle });
  assert.equal(d.shouldMakeBlock({ now: 100n * S, poolSize: 1 }), true);
});

test("a height is published once, when executed and durable, in order", () => {
  const d = driver();
  d.onMade({ height: 6, time: 101n * S });
  d.onMade({ height: 7, time: 102n * S });
  d.onExecuted({ height: 6, ...idle });
  d.onExecuted({ height: 7, ...idle });
  assert.deepEqual(d.takePublishable(), []);
  d.onDurable(7);
  assert.deepEqual(d.takePublishable(), [6, 7]);
  assert.deepEqual(d.takePublishable(), []);
});

test("leftover work, due timers follow without ingress", () => {
  const d = driver();
  d.onExecuted({ height: 5, moreWork: true, long: "none", nextTimer: null });
  assert.equal(d.shouldMakeBlock({ now: 100n * S, poolSize: 0 }), true);
  d.onExecuted({ height: 5, moreWork: false, long: "none", nextTimer: 130n * S });
  assert.equal(d.shouldMakeBlock({ now: 129n * S, poolSize: 0 }), false);
  assert.equal(d.nextWake(120n * S), 130n * S);
  assert.equal(d.shouldMakeBlock({ now: 130n * S, poolSize: 0 }), true);
});

test("leftover work rests after a round, and what somebody asks does not", () => {
  const d = driver();
  d.onExecuted({ height: 5, moreWork: true, long: "none", nextTimer: null });
  d.onRest();
  assert.equal(d.shouldMakeBlock({ now: 100n * S, poolSize: 0 }), false);
  assert.equal(d.shouldMakeBlock({ now: 100n * S, poolSize: 1 }), true);
  d.onRested();
  assert.equal(d.shouldMakeBlock({ now: 100n * S, poolSize: 0 }), true);
  assert.equal(d.isIdle, true);
  d.onMade({ height: 6, time: 100n * S });
  assert.equal(d.isIdle, false);
});

test("executions over rounds get slices when they are ready, and are held meanwhile", () => {
  const d = driver();
  const at = { now: 100n * S, poolSize: 0 };
  const holds = (): boolean => d.holdsLong(at.now);
  d.onExecuted({ height: 5, moreWork: false, long: "behind", nextTimer: null });
  assert.deepEqual([d.shouldMakeBlock(at), holds()], [false, true]);
  assert.equal(d.shouldMakeBlock({ ...at, poolSize: 1 }), true);
  d.onMade({ height: 6, time: 100n * S, holdsLong: true });
  d.onReady(5);
  // Its block is not executed yet.
  assert.deepEqual([d.shouldMakeBlock(at), holds()], [false, false]);
  d.onExecuted({ height: 6, moreWork: false, long: "ready", nextTimer: null });
  assert.deepEqual([d.shouldMakeBlock(at), holds()], [true, false]);
  d.onMade({ height: 7, time: 101n * S });
  // Another slice would be one that nobody has come to, whatever was said before.
  assert.equal(holds(), true);
  d.onReady(6);
  assert.equal(holds(), true);
  d.onMade({ height: 8, time: 101n * S + 1n, holdsLong: true });
  d.onExecuted({ height: 7, moreWork: false, long: "behind", nextTimer: null });
  d.onReady(7);
  assert.equal(holds(), false);
  d.onExecuted({ height: 8, ...idle });
  assert.deepEqual([d.shouldMakeBlock(at), holds()], [false, false]);
});

test("what begins in a block that is under way gets no second slice from the one behind it", () => {
  const d = driver();
  assert.equal(d.holdsLong(100n * S), false);
  d.onMade({ height: 6, time: 100n * S });
  assert.equal(d.holdsLong(100n * S), true);
});

test("executions that are behind for too long are waited for", () => {
  const d = driver();
  const [now, late] = [100n * S, 100n * S + HELD_MAX_NS];
  d.onExecuted({ height: 5, moreWork: false, long: "behind", nextTimer: null });
  assert.equal(d.holdsLong(now), true);
  assert.equal(d.nextWake(now), late);
  assert.deepEqual([d.holdsLong(late), d.shouldMakeBlock({ now: late, poolSize: 0 })], [false, true]);
  d.onMade({ height: 6, time: late });
  assert.equal(d.holdsLong(late), true);
  d.onExecuted({ height: 6, moreWork: false, long: "behind", nextTimer: 200n * S });
  assert.equal(d.holdsLong(late + 1n), true);
  assert.equal(d.nextWake(late + 1n), late + HELD_MAX_NS);
});

test("after a pause fresh time is certified before an answer; a busy node answers from what it has", () => {
  const d = driver();
  assert.equal(d.mustWaitForFresh(100n * S + FRESHNESS_NS), false);
  assert.equal(d.mustWaitForFresh(36_100n * S), true);
  assert.equal(d.shouldMakeBlock({ now: 36_100n * S, poolSize: 0 }), true);
  d.onMade({ height: 6, time: 36_100n * S });
  assert.equal(d.mustWaitForFresh(36_100n * S), true);
  d.onExecuted({ height: 6, ...idle });
  d.onDurable(6);
  d.takePublishable();
  assert.equal(d.mustWaitForFresh(36_100n * S), false);
  d.onMade({ height: 7, time: 36_101n * S });
  assert.equal(d.mustWaitForFresh(36_110n * S), false);
  assert.equal(d.mustWaitForFresh(36_100n * S + STALENESS_MAX_NS + 1n), true);
});
