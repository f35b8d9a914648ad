/** The groups in pure TypeScript (see curve.ts): slow, and the oracle of the fast ones. Nothing here is constant in time. */
import { bls12_381 } from "@noble/curves/bls12-381.js";
import { equalBytes } from "@orrery/base";
import { type Curve, G1_BYTES, type G1Point, G2_BYTES, type G2Point, type Group } from "./curve.ts";

/** The part of the library's points that both groups share. */
interface NoblePoint<P> {
  add(other: P): P;
  multiply(scalar: bigint): P;
  multiplyUnsafe(scalar: bigint): P;
  is0(): boolean;
  equals(other: P): boolean;
  isTorsionFree(): boolean;
  assertValidity(): void;
  toBytes(): Uint8Array;
}

interface NobleGroup<P> {
  readonly BASE: P;
  readonly ZERO: P;
  fromBytes(bytes: Uint8Array): P;
}

function infinity(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes[0] = 0xc0;
  return bytes;
}

function nobleGroup<P extends NoblePoint<P>>(points: NobleGroup<P>, length: number): Group<P> {
  return {
    generator: points.BASE,
    zero: points.ZERO,
    decode(bytes) {
      if (bytes.length !== length) return null;
      try {
        const point = points.fromBytes(bytes);
        point.assertValidity();
        const good = !point.is0() && point.isTorsionFree() && equalBytes(point.toBytes(), bytes);
        return good ? point : null;
      } catch {
        // The library's only errors on bytes of the right length are encodings of no point.
        return null;
      }
    },
    // The library does not encode infinity of G1.
    encode: (point) => (point.is0() ? infinity(length) : point.toBytes()),
    isZero: (point) => point.is0(),
    equal: (a, b) => a.equals(b),
    add: (a, b) => a.add(b),
    multiply: (point, scalar) => (scalar === 0n ? points.ZERO : point.multiply(scalar)),
    sum: (all, scalars) =>
      all.reduce((total, point, i) => total.add(point.multiplyUnsafe(scalars[i] as bigint)), points.ZERO),
  };
}

type NobleG1 = InstanceType<typeof bls12_381.G1.Point>;

const TAG_MASK = (1n << 53n) - 1n;
const g1 = nobleGroup(bls12_381.G1.Point, G1_BYTES);
const g2 = nobleGroup(bls12_381.G2.Point, G2_BYTES);

export const nobleCurve: Curve = {
  g1: g1 as unknown as Group<G1Point>,
  g2: g2 as unknown as Group<G2Point>,
  hashToG1: (message, dst) => bls12_381.G1.hashToCurve(message, { DST: dst }) as unknown as G1Point,
  walk(start, step, count) {
    const points: NobleG1[] = [];
    let point = start as unknown as NobleG1;
    for (let i = 0; i < count; i++) {
      points.push(point);
      point = point.add(step as unknown as NobleG1);
    }
    const tags = points.map((at) => (at.is0() ? 0 : Number(at.toAffine().x & TAG_MASK)));
    return Float64Array.from(tags);
  },
};
