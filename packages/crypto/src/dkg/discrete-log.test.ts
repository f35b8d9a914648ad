/** Chunks are found again: those of honest dealers, and whatever a proof of chunking lets pass with a probability that counts. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import fc from "fast-check";
import { BLS_ORDER, inverseModOrder, modOrder } from "../bls.ts";
import { createMclCurve } from "../bls-mcl.ts";
import { type Curve, WALK_STEPS_MAX } from "./curve.ts";
import { nobleCurve } from "./curve-noble.ts";
import { type ChunkFinder, createChunkFinder, shareOf } from "./discrete-log.ts";
import { combinationBound } from "./proof-chunking.ts";
import { CHUNK_PLACES, chunksOf } from "./statement.ts";

let curve: Curve;
let finder: ChunkFinder;
before(async () => {
  curve = await createMclCurve();
  finder = createChunkFinder(curve, 1);
});

function found(scalar: bigint): bigint | null {
  return finder.find(curve.g1.multiply(curve.g1.generator, modOrder(scalar)));
}

test("every chunk of an honest dealer", () => {
  for (const chunk of [
    0n,
    1n,
    2n,
    4_095n,
    4_096n,
    4_097n,
    28_672n,
    32_767n,
    32_768n,
    32_769n,
    65_534n,
    65_535n,
  ])
    assert.equal(found(chunk), chunk);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 65_535 }), (chunk) => {
      assert.equal(found(BigInt(chunk)), BigInt(chunk));
    }),
    { numRuns: 100 },
  );
});

test("out of range, negative, and fractions with small denominators", () => {
  const bound = BigInt(combinationBound(1));
  const cases: bigint[] = [65_536n, -1n, -65_536n, 1n << 24n, bound / 256n, -bound / 256n, bound / 128n];
  for (const [z, d] of [
    [1n, 2n],
    [-3n, 2n],
    [bound / 128n, 2n],
    [1n, 3n],
    [-(bound / 64n), 3n],
    [bound / 64n, 4n],
    [1n, 7n],
    [5n, 8n],
    [1n, 15n],
  ] as const)
    cases.push(modOrder(z * inverseModOrder(d)));
  for (const chunk of cases) assert.equal(found(chunk), modOrder(chunk));
});

test("what no proof can have held for is not found, after the whole search", () => {
  assert.equal(found(1n << 200n), null);
});

test("the pure back end finds the same", () => {
  const pure = createChunkFinder(nobleCurve, 1);
  const { g1 } = nobleCurve;
  for (const chunk of [0n, 1n, 40_000n, 65_535n])
    assert.equal(pure.find(g1.multiply(g1.generator, chunk)), chunk);
});

test("walks tell equal points from others, and a point's negative not from it", () => {
  for (const { g1, walk } of [curve, nobleCurve]) {
    const minus = g1.multiply(g1.generator, BLS_ORDER - 2n);
    const [second, first, zero, ...others] = walk(minus, g1.generator, 6);
    assert.equal(zero, 0);
    assert.deepEqual(others.slice(0, 2), [first, second]);
    assert.equal(new Set([second, first, zero, ...others]).size, 4);
    assert.ok([...walk(g1.generator, g1.generator, 10)].every((tag) => Number.isSafeInteger(tag) && tag > 0));
  }
  assert.equal(curve.walk(curve.g1.zero, curve.g1.generator, WALK_STEPS_MAX).length, WALK_STEPS_MAX);
});

test("a share is the sum of its chunks at their places, whatever they are", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: BLS_ORDER - 1n }), (share) => {
      assert.equal(shareOf(chunksOf(share), CHUNK_PLACES), share);
    }),
  );
  const half = inverseModOrder(2n);
  assert.equal(shareOf([half, ...chunksOf(0n).slice(1)], CHUNK_PLACES), half);
});
