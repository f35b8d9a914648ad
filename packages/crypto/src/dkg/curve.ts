/**
 * What key generation needs of BLS12-381, and nothing more: two groups whose points are opaque, scalars as integers below the order.
 * `curve-noble.ts` is the oracle, `curve-mcl.ts` the fast one; on the same inputs both give the same bytes. Encodings are the compressed
 * ones of signatures (48 bytes in G1) and keys (96 bytes in G2).
 */

declare const group: unique symbol;

export interface G1Point {
  readonly [group]: "G1";
}

export interface G2Point {
  readonly [group]: "G2";
}

export interface Group<P> {
  readonly generator: P;
  readonly zero: P;
  /** Null for anything but a point of the prime-order subgroup other than infinity, in its only encoding. */
  decode(bytes: Uint8Array): P | null;
  /** Fresh bytes. */
  encode(point: P): Uint8Array;
  isZero(point: P): boolean;
  equal(a: P, b: P): boolean;
  add(a: P, b: P): P;
  /** For scalars that are secrets; 0 ≤ scalar < order. */
  multiply(point: P, scalar: bigint): P;
  /** Σ scalar · point, for scalars that everybody knows: takes time by their values. Of nothing it is zero. */
  sum(points: readonly P[], scalars: readonly bigint[]): P;
}

export interface Curve {
  readonly g1: Group<G1Point>;
  readonly g2: Group<G2Point>;
  /** RFC 9380, BLS12381G1_XMD:SHA-256_SSWU_RO_ under the domain separation tag `dst`, at most 255 bytes. */
  hashToG1(message: Uint8Array, dst: Uint8Array): G1Point;
  /**
   * Of start, start + step, … (`count` of them, at most `WALK_STEPS_MAX`): 53 bits of the first coordinate, the same for a point and its
   * negative. What they are is the back end's own matter: equal points have equal ones, others seldom do. Infinity's is 0.
   */
  walk(start: G1Point, step: G1Point, count: number): Float64Array;
}

export const G1_BYTES = 48;
export const G2_BYTES = 96;
export const SCALAR_BYTES = 32;
export const WALK_STEPS_MAX = 1_024;
