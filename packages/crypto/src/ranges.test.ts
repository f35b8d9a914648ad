/** Canister ranges: codec, membership and shards. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, canisterIdFromIndex, encodeCbor, toHex } from "@orrery/base";
import {
  type CanisterRange,
  decodeRanges,
  encodeRanges,
  RANGES_PER_SHARD_MAX,
  rangesContain,
  shardRanges,
} from "./ranges.ts";

const range = (start: number, end: number): CanisterRange => ({
  start: canisterIdFromIndex(BigInt(start)),
  end: canisterIdFromIndex(BigInt(end)),
});
const id = (n: number): CanisterId => canisterIdFromIndex(BigInt(n));

test("ranges survive encoding and include both ends", () => {
  const ranges = [range(1, 3), range(5, 5)];
  const decoded = decodeRanges(encodeRanges(ranges));
  assert.ok(decoded.ok);
  assert.deepEqual(decoded.value, ranges);
  assert.deepEqual(
    [0, 1, 3, 4, 5, 6].map((n) => rangesContain(decoded.value, id(n))),
    [false, true, true, false, true, false],
  );
  assert.equal(toHex(encodeRanges([])), "d9d9f780");
});

test("malformed ranges are refused", () => {
  const [a, b] = [id(1), id(2)];
  const bad = [
    {},
    [1],
    [[a]],
    [[a, b, b]],
    [[b, a]],
    [[a, "b"]],
    [
      [a, b],
      [b, b],
    ],
    [[new Uint8Array(30), b]],
  ];
  for (const value of bad) assert.ok(!decodeRanges(encodeCbor(value as never)).ok, JSON.stringify(value));
  assert.ok(!decodeRanges(Uint8Array.of(0xff)).ok);
});

test("shards hold at most five ranges, start at their label and cover everything", () => {
  const ranges = Array.from({ length: 12 }, (_, i) => range(10 * i, 10 * i + 3));
  const shards = shardRanges(ranges);
  assert.deepEqual(
    shards.map((shard) => shard.ranges.length),
    [5, 5, 2],
  );
  assert.deepEqual(
    shards.flatMap((shard) => shard.ranges),
    ranges,
  );
  for (const shard of shards) {
    assert.ok(shard.ranges.length <= RANGES_PER_SHARD_MAX);
    assert.equal(toHex(shard.label), toHex((shard.ranges[0] as CanisterRange).start));
  }
  assert.deepEqual(shardRanges([]), [{ label: id(0), ranges: [] }]);
});
