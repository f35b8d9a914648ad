/** Clients waiting for answers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex } from "@orrery/base";
import { Watchers } from "./watchers.ts";

const id = Uint8Array.of(1, 2);

test("everybody who waits for a request learns of its answer, and nobody else", async () => {
  const watchers = new Watchers();
  const waits = [watchers.watch(id, 60_000), watchers.watch(id, 60_000)];
  const other = watchers.watch(Uint8Array.of(9), 60_000);
  assert.equal(watchers.size, 3);
  watchers.resolve([toHex(id)]);
  assert.deepEqual(await Promise.all(waits.map((wait) => wait.answered)), [true, true]);
  assert.equal(watchers.size, 1);
  other.cancel();
  assert.equal(await other.answered, false);
  assert.equal(watchers.size, 0);
});

test("waiting ends by time and when the node stops", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const watchers = new Watchers();
  const late = watchers.watch(id, 10_000);
  t.mock.timers.tick(10_000);
  assert.equal(await late.answered, false);
  const cut = watchers.watch(id, 10_000);
  watchers.cancelAll();
  assert.equal(await cut.answered, false);
  watchers.resolve([toHex(id)]);
  assert.equal(watchers.size, 0);
});
