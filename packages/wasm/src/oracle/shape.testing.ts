/** What a random module has, and how random choices are drawn. */
import { sleb } from "./encode.testing.ts";
import type { Scalar } from "./signatures.testing.ts";

/** A number from 0 below the bound. */
export type Draw = (bound: number) => number;

export interface FunctionShape {
  readonly params: readonly Scalar[];
  readonly results: readonly Scalar[];
}

export interface ModuleShape {
  readonly is64: boolean;
  /** Imports first. */
  readonly functions: readonly (FunctionShape & { readonly type: number })[];
  readonly types: FunctionShape[];
  readonly importCount: number;
  /** The first one is the fuel. */
  readonly globals: readonly { readonly type: Scalar; readonly mutable: boolean }[];
  readonly tableSize: number;
  /** Functions in the table from its position 1; the other positions are null. */
  readonly entries: readonly number[];
  /** Makes NaNs' bits the same on every engine, so that programs can be held against the plain engine. */
  readonly guarded: boolean;
  readonly vectors: boolean;
}

/** Draws from a seed by xorshift. */
export function drawFrom(seed: number): Draw {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

/** The index of a type, which is added when it is new. */
export function typeIndex(types: FunctionShape[], wanted: FunctionShape): number {
  const same = (a: readonly Scalar[], b: readonly Scalar[]): boolean => a.join() === b.join();
  const found = types.findIndex(
    (type) => same(type.params, wanted.params) && same(type.results, wanted.results),
  );
  return found >= 0 ? found : types.push({ params: wanted.params, results: wanted.results }) - 1;
}

const FLOATS = [0, -0, 1, -1, 0.5, 2.5, -2.5, 1e10, -3e9, 1e-40, 1e300, Number.POSITIVE_INFINITY, Number.NaN];
const INTEGERS = [
  0n,
  1n,
  -1n,
  2n,
  7n,
  255n,
  256n,
  65_535n,
  0x7fffffffn,
  -0x80000000n,
  1n << 32n,
  -(1n << 63n),
];

export function constant(type: Scalar, draw: Draw): number[] {
  const integer =
    draw(3) === 0 ? (INTEGERS[draw(INTEGERS.length)] as bigint) : BigInt(draw(2 ** 31)) - 2n ** 30n;
  const float = draw(3) === 0 ? draw(2000) / 8 - 100 : (FLOATS[draw(FLOATS.length)] as number);
  if (type === "i32") return [0x41, ...sleb(BigInt.asIntN(32, integer))];
  if (type === "i64") return [0x42, ...sleb(integer)];
  // An odd NaN now and then: its bits must survive what only moves them.
  if (type === "f32")
    return draw(12) === 0
      ? [0x43, 1, 0, 0xe0, 0xff]
      : [0x43, ...new Uint8Array(Float32Array.of(float).buffer)];
  if (type === "f64")
    return draw(12) === 0
      ? [0x44, 1, 0, 0, 0, 0, 0, 0xfc, 0xff]
      : [0x44, ...new Uint8Array(Float64Array.of(float).buffer)];
  return [0xfd, 12, ...Array.from({ length: 16 }, () => draw(256))];
}
