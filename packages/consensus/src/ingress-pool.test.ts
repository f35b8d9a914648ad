/** Bounds, duplicates and expiry of the ingress pool. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BLOCK_PAYLOAD_BYTES_MAX, INGRESS_PER_BLOCK_MAX, ingressBytesMax } from "@orrery/base";
import { INGRESS_POOL_MESSAGES_MAX, IngressPool } from "./ingress-pool.ts";

const MESSAGE_BYTES_MAX = ingressBytesMax("application");
const MIB = 1024 * 1024;

function entry(
  n: number,
  bytes = 10,
  expiry = 100n,
): { requestId: Uint8Array; expiry: bigint; envelope: Uint8Array } {
  return { requestId: Uint8Array.of(n >> 8, n & 255), expiry, envelope: new Uint8Array(bytes).fill(n & 255) };
}

test("a request id is held once, also while its block is not executed", () => {
  const pool = new IngressPool({ messageBytesMax: MESSAGE_BYTES_MAX });
  assert.equal(pool.insert(entry(1)), "added");
  assert.equal(pool.insert(entry(1)), "duplicate");
  assert.equal(pool.buildPayload({ height: 1, time: 1n }).ingress.length, 1);
  assert.equal(pool.insert(entry(1)), "duplicate");
  pool.executed(1);
  assert.equal(pool.insert(entry(1)), "added");
});

test("expired messages are dropped, the rest keep their order", () => {
  const pool = new IngressPool({ messageBytesMax: MESSAGE_BYTES_MAX });
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
  const pool = new IngressPool({ messageBytesMax: MESSAGE_BYTES_MAX });
  for (let n = 0; n < 5; n++) pool.insert(entry(n, BLOCK_PAYLOAD_BYTES_MAX / 2));
  assert.equal(pool.buildPayload({ height: 1, time: 1n }).ingress.length, 2);
  assert.equal(pool.buildPayload({ height: 2, time: 1n }).ingress.length, 2);
  assert.equal(pool.buildPayload({ height: 3, time: 1n }).ingress.length, 1);
});

test("a full pool refuses", () => {
  const pool = new IngressPool({ messageBytesMax: MESSAGE_BYTES_MAX });
  for (let n = 0; n < INGRESS_POOL_MESSAGES_MAX; n++) assert.equal(pool.insert(entry(n)), "added");
  assert.equal(pool.insert(entry(INGRESS_POOL_MESSAGES_MAX)), "full");
});

test("a block holds at most a thousand messages", () => {
  const pool = new IngressPool({ messageBytesMax: MESSAGE_BYTES_MAX });
  for (let n = 0; n <= INGRESS_PER_BLOCK_MAX; n++) pool.insert(entry(n));
  const full = pool.buildPayload({ height: 1, time: 1n });
  assert.equal(full.ingress.length, INGRESS_PER_BLOCK_MAX);
  assert.deepEqual(pool.validatePayload(full), { kind: "valid" });
  assert.deepEqual(pool.validatePayload({ ingress: [...full.ingress, new Uint8Array(1)] }), {
    kind: "invalid",
    reason: "1001 ingress messages, more than 1000",
  });
  assert.equal(pool.buildPayload({ height: 2, time: 1n }).ingress.length, 1);
});

for (const [type, max] of [
  ["application", 2 * MIB],
  ["verified_application", 2 * MIB],
  ["cloud_engine", 2 * MIB],
  ["system", 3.5 * MIB],
] as const) {
  test(`a subnet of kind ${type} takes messages of ${max} bytes and none larger, in the pool and in blocks`, () => {
    const pool = new IngressPool({ messageBytesMax: ingressBytesMax(type) });
    assert.equal(pool.insert(entry(1, max + 1)), "too_large");
    assert.equal(pool.insert(entry(1, max)), "added");
    const { ingress } = pool.buildPayload({ height: 1, time: 1n });
    assert.deepEqual(
      ingress.map(({ length }) => length),
      [max],
    );
    assert.deepEqual(pool.validatePayload({ ingress }), { kind: "valid" });
    assert.deepEqual(pool.validatePayload({ ingress: [new Uint8Array(max + 1)] }), {
      kind: "invalid",
      reason: `an ingress message of ${max + 1} bytes, more than ${max}`,
    });
    const over = [...ingress, new Uint8Array(BLOCK_PAYLOAD_BYTES_MAX - max), new Uint8Array(1)];
    assert.equal(pool.validatePayload({ ingress: over.slice(0, 2) }).kind, "valid");
    assert.deepEqual(pool.validatePayload({ ingress: over }), {
      kind: "invalid",
      reason: `${BLOCK_PAYLOAD_BYTES_MAX + 1} bytes of ingress messages, more than ${BLOCK_PAYLOAD_BYTES_MAX}`,
    });
  });
}
