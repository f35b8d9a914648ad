/** Bounds, duplicates and expiry of the ingress pool. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BLOCK_PAYLOAD_BYTES_MAX } from "@orrery/base";
import { INGRESS_POOL_MESSAGES_MAX, IngressPool } from "./ingress-pool.ts";

function entry(
  n: number,
  bytes = 10,
  expiry = 100n,
): { requestId: Uint8Array; expiry: bigint; envelope: Uint8Array } {
  return { requestId: Uint8Array.of(n >> 8, n & 255), expiry, envelope: new Uint8Array(bytes).fill(n & 255) };
}

test("a request id is held once, also while its block is not executed", () => {
  const pool = new IngressPool();
  assert.equal(pool.insert(entry(1)), "added");
  assert.equal(pool.insert(entry(1)), "duplicate");
  assert.equal(pool.buildPayload({ height: 1, time: 1n }).ingress.length, 1);
  assert.equal(pool.insert(entry(1)), "duplicate");
  pool.executed(1);
  assert.equal(pool.insert(entry(1)), "added");
});

test("expired messages are dropped, the rest keep their order", () => {
  const pool = new IngressPool();
  pool.insert(entry(1, 10, 5n));
  pool.insert(entry(2));
  pool.insert(entry(3));
  const { ingress } = pool.buildPayload({ height: 1, time: 6n });
  assert.deepEqual(
    ingress.map((message) => message[0]),
    [2, 3],
  );
  assert.equal(pool.size, 0);
});

test("a block holds at most its bytes, and never nothing while a message waits", () => {
  const pool = new IngressPool();
  for (let n = 0; n < 5; n++) pool.insert(entry(n, BLOCK_PAYLOAD_BYTES_MAX / 2));
  assert.equal(pool.buildPayload({ height: 1, time: 1n }).ingress.length, 2);
  assert.equal(pool.buildPayload({ height: 2, time: 1n }).ingress.length, 2);
  assert.equal(pool.buildPayload({ height: 3, time: 1n }).ingress.length, 1);
});

test("a full pool refuses", () => {
  const pool = new IngressPool();
  for (let n = 0; n < INGRESS_POOL_MESSAGES_MAX; n++) assert.equal(pool.insert(entry(n)), "added");
  assert.equal(pool.insert(entry(INGRESS_POOL_MESSAGES_MAX)), "full");
});
