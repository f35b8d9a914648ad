/** Networks in one place: ids and routing, time and rounds, calls, instruments. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { call, installed, natOf, newInstance, query, update } from "./instance.testkit.ts";

test("a counter counts, is queried, and traps leave no trace", () => {
  const instance = newInstance(["application"]);
  const id = installed(instance, "counter.eop");
  assert.equal(natOf(update(instance, call(id, "inc"))), 1n);
  assert.equal(natOf(query(instance, call(id, "get"))), 1n);
  const missing = instance.submitIngress(call(id, "missing"));
  assert.ok(missing.ok);
  assert.deepEqual(instance.ingressStatus(missing.value), null);
  const answer = instance.awaitIngress(missing.value);
  assert.ok(!answer.ok);
  assert.deepEqual([answer.error.code, answer.error.errorCode, answer.error.certified], [5, 536, true]);
  const refused = instance.query(call(id, "missing"));
  assert.ok(!refused.ok);
  assert.equal(refused.error.errorCode, 536);
  assert.doesNotMatch(refused.error.message, /IC0536/);
});
