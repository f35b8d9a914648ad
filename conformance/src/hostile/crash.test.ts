/** Threads of a real node that die: views are replaced and nobody notices; without the others the node ends, and forgets nothing. */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { Principal } from "@icp-sdk/core/principal";
import { countOf, replyOf, Stage } from "./stage.ts";

const NOTHING = new Uint8Array(0);
const OBEYED_WITHIN_MS = 60_000;
/** Filling a thread's memory takes gigabytes. */
const ALL: boolean = process.env["ORRERY_HOSTILE"] === "all";

describe("threads that die", () => {
  let stage: Stage;
  let id: Principal;
  let counted = 0;

  /** Writes the order and counts on, update after update and query after query, until it was obeyed and somewhat longer. */
  async function countThrough(order: string): Promise<void> {
    writeFileSync(stage.chaosFile, order);
    const end = Date.now() + OBEYED_WITHIN_MS;
    for (let left = 5; left > 0 && Date.now() < end; ) {
      counted++;
      assert.equal(countOf(replyOf(await stage.call(id, "count"))), counted);
      assert.equal(countOf(await stage.client.query(stage.at, id, "total", NOTHING)), counted);
      if (!existsSync(stage.chaosFile)) left--;
    }
    assert.ok(!existsSync(stage.chaosFile), "the order was not obeyed");
  }

  before(async () => {
    stage = await Stage.open();
    id = await stage.worst();
  });
  after(() => stage.close());

  for (const how of ALL ? ["exit", "throw", "memory"] : ["exit"]) {
    test(`the view (${how}): it is replaced, and every answer is right`, async () => {
      await countThrough(`view ${how}`);
      assert.deepEqual(stage.ends, []);
    });
  }

  test("the patient view: long queries are answered before and after", async () => {
    const long = (): Promise<number> => stage.client.query(stage.at, id, "long", NOTHING).then(countOf);
    assert.equal(await long(), counted);
    await countThrough("patient-view exit");
    assert.equal(await long(), counted);
    assert.deepEqual(stage.ends, []);
  });

  test("workers of canisters, again and again: what they ran is done once, and others are answered", async () => {
    const workers = await Promise.all([stage.worst(), stage.worst()]);
    const works = workers.map((worker) => stage.call(worker, "work").then(replyOf));
    for (let i = 0; i < 2; i++) await countThrough("canisters kill");
    assert.deepEqual((await Promise.all(works)).map(countOf), [1, 1]);
    for (const worker of workers) assert.equal(countOf(replyOf(await stage.call(worker, "count"))), 2);
    assert.deepEqual(stage.ends, []);
  });

  for (const [thread, how, message] of [
    ["execution", "exit", "thread_ended: the execution thread ended and did not say why"],
    ["execution", "throw", "the execution thread was told to fail"],
    ["storage", "exit", "thread_ended: the storage thread ended and did not say why"],
    ["storage", "throw", "the storage thread was told to fail"],
  ] as const) {
    if (how === "throw" && !ALL) continue;
    test(`the ${thread} thread (${how}): the node ends and says why; the next start has everything that was answered`, async () => {
      writeFileSync(stage.chaosFile, `${thread} ${how}`);
      // Until the node does not answer any more; the last update may have happened without an answer.
      for (;;) {
        try {
          const total = countOf(replyOf(await stage.call(id, "count")));
          assert.equal(total, ++counted);
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error;
          break;
        }
      }
      await stage.ended();
      assert.match(String(stage.ends.pop()), new RegExp(message));
      await stage.start();
      const total = countOf(await stage.client.query(stage.at, id, "total", NOTHING));
      assert.ok(total === counted || total === counted + 1, `${total} after ${counted} answers`);
      counted = total;
      await delay(0);
      assert.equal(countOf(replyOf(await stage.call(id, "count"))), ++counted);
    });
  }
});
