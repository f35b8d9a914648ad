/** When blocks are made and heights published. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FRESHNESS_NS, PIPELINE_MAX, RoundDriver, STALENESS_MAX_NS } from "./round-driver.ts";

const S = 1_000_000_000n;
const idle = { moreWork: false, nextTimer: null };

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
    d.onMade(5 + i, 100n * S + BigInt(i));
  }
  assert.equal(d.shouldMakeBlock({ now: 100n * S, poolSize: 1 }), false);
  d.onExecuted({ height: 6, ...idle });
  assert.equal(d.shouldMakeBlock({ now: 100n * S, poolSize: 1 }), true);
});

test("a height is published once, when executed and durable, in order", () => {
  const d = driver();
  d.onMade(6, 101n * S);
  d.onMade(7, 102n * S);
  d.onExecuted({ height: 6, ...idle });
  d.onExecuted({ height: 7, ...idle });
  assert.deepEqual(d.takePublishable(), []);
  d.onDurable(7);
  assert.deepEqual(d.takePublishable(), [6, 7]);
  assert.deepEqual(d.takePublishable(), []);
});

test("leftover work, due timers follow without ingress", () => {
  const d = driver();
  d.onExecuted({ height: 5, moreWork: true, nextTimer: null });
  assert.equal(d.shouldMakeBlock({ now: 100n * S, poolSize: 0 }), true);
  d.onExecuted({ height: 5, moreWork: false, nextTimer: 130n * S });
  assert.equal(d.shouldMakeBlock({ now: 129n * S, poolSize: 0 }), false);
  assert.equal(d.nextWake(120n * S), 130n * S);
  assert.equal(d.shouldMakeBlock({ now: 130n * S, poolSize: 0 }), true);
});

test("after a pause fresh time is certified before an answer; a busy node answers from what it has", () => {
  const d = driver();
  assert.equal(d.mustWaitForFresh(100n * S + FRESHNESS_NS), false);
  assert.equal(d.mustWaitForFresh(36_100n * S), true);
  assert.equal(d.shouldMakeBlock({ now: 36_100n * S, poolSize: 0 }), true);
  d.onMade(6, 36_100n * S);
  assert.equal(d.mustWaitForFresh(36_100n * S), true);
  d.onExecuted({ height: 6, ...idle });
  d.onDurable(6);
  d.takePublishable();
  assert.equal(d.mustWaitForFresh(36_100n * S), false);
  d.onMade(7, 36_101n * S);
  assert.equal(d.mustWaitForFresh(36_110n * S), false);
  assert.equal(d.mustWaitForFresh(36_100n * S + STALENESS_MAX_NS + 1n), true);
});
