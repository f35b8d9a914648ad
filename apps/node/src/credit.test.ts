/** Credit between threads. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Credit } from "./credit.ts";

async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

test("what is sent stays as far ahead of what was taken as is allowed, and nobody waits for one who is gone", async () => {
  const credit = new Credit(2);
  let sent = 0;
  const sending = (async (): Promise<void> => {
    for (; !credit.isClosed; sent++) await credit.spent();
  })();
  await settle();
  assert.equal(sent, 1, "the second is sent and waits");
  credit.returned();
  await settle();
  assert.equal(sent, 2);
  for (let i = 0; i < 3; i++) credit.returned();
  await settle();
  assert.equal(sent, 5);
  credit.close();
  await sending;
  assert.equal(sent, 6);
});
