/** Requests that nobody answers, and those that are. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inTime } from "./answer-limit.ts";

const query = { url: "/api/v3/canister/aaaaa-aa/query" };
const never = new Promise<never>(() => {});
const answer = { status: 200, headers: {}, body: "here" };

test("what is not answered in time is said to be late, and administration is waited for", async () => {
  assert.equal((await inTime(query, never, 1)).status, 503);
  const { promise, resolve } = Promise.withResolvers<typeof answer>();
  const asked = inTime({ url: "/_/checkpoint" }, promise, 1);
  await inTime(query, never, 1);
  resolve(answer);
  assert.equal(await asked, answer);
});

test("answers and failures pass as they are", async () => {
  assert.equal(await inTime(query, Promise.resolve(answer)), answer);
  await assert.rejects(inTime(query, Promise.reject(new Error("broken"))), /broken/);
});
