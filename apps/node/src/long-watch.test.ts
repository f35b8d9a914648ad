import assert from "node:assert/strict";
import { test } from "node:test";
import { LongWatch } from "./long-watch.ts";

/** An executor whose progress the test decides. */
function executor() {
  let waiters: (() => void)[] = [];
  const self = {
    isReady: false,
    ready: () => self.isReady,
    untilNews: () => new Promise<void>((resolve) => waiters.push(resolve)),
    async news(isReady: boolean): Promise<void> {
      self.isReady = isReady;
      const woken = waiters;
      waiters = [];
      for (const wake of woken) wake();
      await new Promise((resolve) => setImmediate(resolve));
    },
    get waiting(): number {
      return waiters.length;
    },
  };
  return self;
}

test("what was said to be behind is said to be ready when it is", async () => {
  const pool = executor();
  let told = 0;
  const watch = new LongWatch(pool, () => told++);
  assert.equal(watch.say(), "behind");
  const over = watch.watch();
  await pool.news(false);
  assert.equal(told, 0);
  await pool.news(true);
  assert.equal(told, 1);
  await over;
});

test("also when it came that far between the report and the look after it", async () => {
  const pool = executor();
  let told = 0;
  const watch = new LongWatch(pool, () => told++);
  assert.equal(watch.say(), "behind");
  pool.isReady = true;
  await watch.watch();
  assert.equal(told, 1);
});

test("nothing is said twice, and one watches at a time", async () => {
  const pool = executor();
  let told = 0;
  const watch = new LongWatch(pool, () => told++);
  pool.isReady = true;
  assert.equal(watch.say(), "ready");
  await watch.watch();
  assert.equal(told, 0);
  pool.isReady = false;
  watch.say();
  const first = watch.watch();
  watch.say();
  await watch.watch();
  assert.equal(pool.waiting, 1);
  // A report says so itself before the one that watches has looked.
  pool.isReady = true;
  assert.equal(watch.say(), "ready");
  await pool.news(true);
  await first;
  assert.equal(told, 0);
});
