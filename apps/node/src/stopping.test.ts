/** A node that is to stop stops, whatever a part of it does. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { Logger } from "@orrery/base";
import { STOP_MS_MAX, type Stopping, stopInOrder, TERMINATE_MS_MAX } from "./stopping.ts";

const never = (): Promise<never> => new Promise(() => {});

/** What happened so far, and the stop itself. */
function stop(options: Partial<Pick<Stopping, "steps" | "terminate">>) {
  const done: string[] = [];
  const logger: Logger = {
    log: (_level, text, fields) => void done.push(`${text.split(":")[0]} ${fields?.["step"] ?? ""}`),
    child: () => logger,
  };
  const ended = stopInOrder({
    steps: [],
    terminate: async () => void done.push("terminated"),
    release: () => void done.push("released"),
    logger,
    ...options,
  });
  ended.then(
    () => done.push("ended"),
    () => done.push("failed"),
  );
  const step = (name: string) => [name, async () => done.push(name)] as const;
  return { done, ended, step };
}

async function tick(t: TestContext, ms: number): Promise<void> {
  for (let turns = 0; turns < 10; turns++) await setImmediate();
  t.mock.timers.tick(ms);
  for (let turns = 0; turns < 10; turns++) await setImmediate();
}

test("one step after the other, then the threads, then the lock", async () => {
  const order: string[] = [];
  const { done, ended } = stop({
    steps: ["server", "peers", "execution"].map((name) => [name, async () => order.push(name)]),
  });
  await ended;
  assert.deepEqual(order, ["server", "peers", "execution"]);
  assert.deepEqual(done, ["terminated", "released", "ended"]);
});

test("a step that never ends is named, and what comes after it left out", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { done } = stop({
    steps: [
      ["execution", never],
      ["storage", () => assert.fail("left out")],
    ],
  });
  await tick(t, STOP_MS_MAX - 1_000);
  assert.deepEqual(done, []);
  await tick(t, 1_000);
  assert.deepEqual(done, ["the stop takes too long execution", "terminated", "released", "ended"]);
});

test("threads that do not end keep the lock for as long as the process lives, and nobody waits for them", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { done } = stop({ terminate: never });
  await tick(t, TERMINATE_MS_MAX);
  assert.deepEqual(done, ["threads of the node do not end ", "ended"]);
});

test("a step that fails lets the stop fail, when all is gone", async () => {
  const { done, ended } = stop({ steps: [["execution", () => Promise.reject(new Error("it is gone"))]] });
  await assert.rejects(ended, /it is gone/);
  assert.deepEqual(done, ["terminated", "released", "failed"]);
});
