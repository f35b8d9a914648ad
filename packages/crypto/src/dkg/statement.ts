/**
 * What a dealing says, apart from its proofs: the coefficients of a polynomial as points of G2, and each receiver's value of it,
 * encrypted in 16 chunks of 16 bits with ElGamal in the exponent (eprint 2021/339, §5 without its tree). The randomness of a chunk is
 * the same for all receivers.
 */

import { decodeAll, type Setting, u16 } from "./config.ts";
import type { Curve, G1Point, G2Point } from "./curve.ts";
import { digest, hashToPoint } from "./oracle.ts";

export const CHUNKS = 16;
export const CHUNK_BITS = 16;
/** Values of a chunk. */
export const CHUNK_SIZE: number = 2 ** CHUNK_BITS;

/** Points in their encodings. */
export interface EncodedStatement {
  /** From 0, among the dealers of the configuration. */
  readonly dealer: number;
  /** `threshold` times 96 bytes: a₀·g₂, a₁·g₂, … */
  readonly coefficients: readonly Uint8Array[];
  /** R_j = r_j·g₁ for each chunk. */
  readonly randomizers: readonly Uint8Array[];
  /** r_j·h for each chunk, with h hashed from all the rest: what ties the ciphertexts to their dealer. */
  readonly bindings: readonly Uint8Array[];
  /** C_ij = r_j·y_i + s_ij·g₁ for each receiver and chunk; the lowest chunk of a share is first. */
  readonly ciphertexts: readonly (readonly Uint8Array[])[];
}

export interface Statement {
  readonly setting: Setting;
  readonly coefficients: readonly G2Point[];
  readonly randomizers: readonly G1Point[];
  readonly bindings: readonly G1Point[];
  readonly ciphertexts: readonly (readonly G1Point[])[];
  /** h. */
  readonly base: G1Point;
  /** 32 bytes that bind everything above: all challenges hash it. */
  readonly instance: Uint8Array;
}

/** 2^(16 j) for each chunk j. */
export const CHUNK_PLACES: readonly bigint[] = Array.from(
  { length: CHUNKS },
  (_, j) => 1n << BigInt(CHUNK_BITS * j),
);

/** Lowest first. */
export function chunksOf(share: bigint): readonly bigint[] {
  return CHUNK_PLACES.map((place) => (share / place) % BigInt(CHUNK_SIZE));
}

/** Binds the run and the dealer. */
export function dealerContext(setting: Setting, dealer: number): Uint8Array {
  return digest("orrery-dkg-dealer", setting.context, u16(dealer));
}

/** h, from all of a dealing that the bindings are not. */
export function bindingBase(
  curve: Curve,
  setting: Setting,
  encoded: Pick<EncodedStatement, "dealer" | "coefficients" | "randomizers" | "ciphertexts">,
): G1Point {
  const { dealer, coefficients, randomizers, ciphertexts } = encoded;
  const context = dealerContext(setting, dealer);
  return hashToPoint(curve, "orrery-dkg-binding", context, coefficients, randomizers, ciphertexts.flat());
}

export function instanceOf(setting: Setting, encoded: EncodedStatement): Uint8Array {
  const { dealer, coefficients, randomizers, bindings, ciphertexts } = encoded;
  const context = dealerContext(setting, dealer);
  return digest("orrery-dkg-instance", context, coefficients, randomizers, bindings, ciphertexts.flat());
}

/** Null when a point is malformed; the numbers of points were checked. */
export function decodeStatement(curve: Curve, setting: Setting, encoded: EncodedStatement): Statement | null {
  const coefficients = decodeAll(curve.g2, encoded.coefficients);
  const randomizers = decodeAll(curve.g1, encoded.randomizers);
  const bindings = decodeAll(curve.g1, encoded.bindings);
  const flat = decodeAll(curve.g1, encoded.ciphertexts.flat());
  if (coefficients === null || randomizers === null || bindings === null || flat === null) return null;
  const ciphertexts = encoded.ciphertexts.map((_, i) => flat.slice(i * CHUNKS, (i + 1) * CHUNKS));
  const base = bindingBase(curve, setting, encoded);
  const instance = instanceOf(setting, encoded);
  return { setting, coefficients, randomizers, bindings, ciphertexts, base, instance };
}
