import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync, gzipSync } from "node:zlib";
import { inflateGzip, inflateRaw } from "./inflate.ts";

const INVALID = { code: "gzip_invalid" };
const text = new TextEncoder().encode("an orrery is a model of a solar system; ".repeat(2_000));

test("what was zipped comes back", () => {
  for (const bytes of [text, new Uint8Array(0), new Uint8Array(1_000_000)]) {
    assert.deepEqual(inflateGzip(new Uint8Array(gzipSync(bytes)), bytes.length), bytes);
    assert.deepEqual(inflateRaw(new Uint8Array(deflateRawSync(bytes)), bytes.length), bytes);
  }
});

test("more than is allowed is refused, without being made", () => {
  const bomb = new Uint8Array(gzipSync(new Uint8Array(200_000_000)));
  const before = process.memoryUsage().arrayBuffers;
  assert.throws(() => inflateGzip(bomb, 1_000_000), INVALID);
  assert.ok(process.memoryUsage().arrayBuffers - before < 100_000_000);
});

test("what is not whole is refused", () => {
  const zipped = new Uint8Array(gzipSync(text));
  const broken = zipped.slice();
  broken[broken.length - 6] = (broken[broken.length - 6] as number) ^ 1;
  const others = [zipped.subarray(0, zipped.length - 9), zipped.subarray(0, 12), text, broken];
  for (const bytes of others) assert.throws(() => inflateGzip(bytes, 1_000_000), INVALID);
});
