/**
 * The fast groups against the oracle: the same points from the same scalars, the same verdicts on hostile encodings, and byte for byte the
 * same keys, dealings, transcripts and shares from the same seeds.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { toHex } from "@orrery/base";
import fc from "fast-check";
import { BLS_ORDER } from "../bls.ts";
import { createMclCurve } from "../bls-mcl.ts";
import type { Curve, Group } from "./curve.ts";
import { nobleCurve } from "./curve-noble.ts";
import { encodeDealing } from "./dealing.ts";
import { deal, freshConfig, good, loadAll, membersOf, reshareConfig } from "./run.testkit.ts";
import { combineDealings, publicShare, type Transcript, verifyTranscript } from "./transcript.ts";
import { encodeTranscript } from "./transcript-codec.ts";

let mcl: Curve;
before(async () => {
  mcl = await createMclCurve();
});

const scalar = fc.oneof(
  fc.constantFrom(0n, 1n, 2n, BLS_ORDER - 1n, BLS_ORDER - 2n, 1n << 128n),
  fc.bigInt({ min: 0n, max: BLS_ORDER - 1n }),
);

/** What a group computes of some scalars, in encodings. */
function computed<P>(group: Group<P>, a: bigint, b: bigint): readonly string[] {
  const { generator, zero } = group;
  const first = group.multiply(generator, a);
  const second = group.multiply(first, b);
  const sum = group.sum([first, second, generator, zero], [b, a, 3n, a]);
  return [
    ...[first, second, sum, group.add(first, second), group.add(first, first), group.add(first, zero)].map(
      (p) => toHex(group.encode(p)),
    ),
    `${group.isZero(first)} ${group.isZero(group.sum([], []))} ${group.equal(first, second)}`,
    `${group.equal(second, group.multiply(group.multiply(generator, b), a))}`,
  ];
}

test("products, sums and encodings are the same in both groups", () => {
  fc.assert(
    fc.property(scalar, scalar, (a, b) => {
      assert.deepEqual(computed(mcl.g1, a, b), computed(nobleCurve.g1, a, b));
      assert.deepEqual(computed(mcl.g2, a, b), computed(nobleCurve.g2, a, b));
    }),
    { numRuns: 12 },
  );
});

test("encodings are accepted and refused alike", () => {
  const verdicts = <P>(group: Group<P>, bytes: Uint8Array): string => {
    const point = group.decode(bytes);
    return point === null ? "refused" : toHex(group.encode(point));
  };
  const honest = [
    [mcl.g1, nobleCurve.g1],
    [mcl.g2, nobleCurve.g2],
  ] as unknown as readonly (readonly [Group<unknown>, Group<unknown>])[];
  for (const [fast, pure] of honest) {
    const bytes = pure.encode(pure.multiply(pure.generator, 987_654_321n));
    const check = (changed: Uint8Array): void =>
      assert.equal(verdicts(fast, changed), verdicts(pure, changed));
    check(bytes);
    for (const flags of [0, 0x20, 0x40, 0x60, 0x80, 0xa0, 0xc0, 0xe0]) {
      check(Uint8Array.of(((bytes[0] as number) & 0x1f) | flags, ...bytes.subarray(1)));
      check(Uint8Array.of(flags, ...new Uint8Array(bytes.length - 1)));
      check(new Uint8Array(bytes.length).fill(flags | 0x1f));
    }
    fc.assert(
      fc.property(fc.uint8Array({ minLength: bytes.length, maxLength: bytes.length }), (random) => {
        random[0] = ((random[0] as number) & 0x3f) | 0x80;
        check(random);
      }),
      { numRuns: 30 },
    );
  }
});

test("a sum of more points than go to the library at once", () => {
  const { g1 } = mcl;
  const points = Array.from({ length: 1_025 }, (_, i) => (i % 2 === 0 ? g1.generator : g1.zero));
  const sum = g1.sum(
    points,
    points.map(() => 2n),
  );
  assert.ok(g1.equal(sum, g1.multiply(g1.generator, 1_026n)));
});

/** Everything that two members produce, in bytes. */
function run(curve: Curve): readonly string[] {
  const members = membersOf(curve, 2);
  const config = freshConfig(members, 2);
  const dealing = deal(curve, config, 1);
  const transcript = good(combineDealings(curve, config, [dealing]));
  const shares = loadAll(curve, transcript, members);
  const next: Transcript = handedOn(curve, transcript, shares);
  assert.ok(verifyTranscript(curve, next.config, next).ok);
  return [
    ...members.flatMap(({ key, secret }) => [key, secret]),
    encodeDealing(dealing),
    encodeTranscript(transcript),
    ...shares.map(({ secretShare }) => secretShare),
    good(publicShare(curve, transcript, 1)),
    encodeTranscript(next),
    ...loadAll(curve, next, members.slice(1)).map(({ secretShare }) => secretShare),
  ].map(toHex);
}

function handedOn(curve: Curve, from: Transcript, shares: ReturnType<typeof loadAll>): Transcript {
  const config = reshareConfig(from, membersOf(curve, 2).slice(1), 1);
  const dealings = [0, 1].map((dealer) => deal(curve, config, dealer, shares[dealer]));
  return good(combineDealings(curve, config, dealings));
}

test("keys, dealings, transcripts and shares are the same bytes on both", () => {
  assert.deepEqual(run(mcl), run(nobleCurve));
});
