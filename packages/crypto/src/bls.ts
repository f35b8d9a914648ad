/**
 * BLS12-381 signatures as subnets make them (interface spec, "Certificate"): signatures in G1 (48 bytes),
 * public keys in G2 (96 bytes), both compressed, ciphersuite BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_.
 * This file holds the interface and the pure implementation, which is slow and the oracle for the fast one
 * (bls-mcl.ts). Points at infinity, outside their subgroup or not canonically encoded are refused everywhere.
 */
import { OrreryError, utf8 } from "@orrery/base";
import { hkdfSha256 } from "./hashes.ts";

export const BLS_SECRET_BYTES = 32;
export const BLS_SIGNATURE_BYTES = 48;
/** Domain separation tag of the ciphersuite. */
export const BLS_DST = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
/** Order of the groups. */
export const BLS_ORDER = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001n;

/** A signature share: made with the secret polynomial's value at `index`, which is never 0. */
export interface SignatureShare {
  readonly index: number;
  readonly signature: Uint8Array;
}

export interface Bls {
  /** 96 bytes. `secret`: 32 bytes big endian, between 1 and the order; otherwise `bls_secret_invalid`. */
  publicKey(secret: Uint8Array): Uint8Array;
  /** 48 bytes. */
  sign(secret: Uint8Array, message: Uint8Array): Uint8Array;
  /** False for anything but a good signature: malformed keys and signatures included. Never throws. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /**
   * Interpolates shares at distinct indices to the signature of the shared secret: right when there are at
   * least as many as the threshold. Malformed points, no shares, index 0 and repeated indices are
   * `bls_shares_invalid`.
   */
  combine(shares: readonly SignatureShare[]): Uint8Array;
}

export function bigintFromBytes(bytes: Uint8Array): bigint {
  let n = 0n;
  for (const b of bytes) n = (n << 8n) | BigInt(b);
  return n;
}

export function bigintToBytes(value: bigint, length: number): Uint8Array {
  const out = new Uint8Array(length);
  let v = value;
  for (let i = length - 1; i >= 0; i--) {
    out[i] = Number(v & 0xffn);
    v >>= 8n;
  }
  return out;
}

/**
 * A secret key from at least 32 bytes of randomness: HKDF to 384 bits, reduced, never 0; the bias is below
 * 2^-128.
 */
export function secretFromSeed(seed: Uint8Array): Uint8Array {
  if (seed.length < 32)
    throw new OrreryError("bls_secret_invalid", `a seed has at least 32 bytes, this one ${seed.length}`);
  const wide = hkdfSha256(seed, utf8("orrery bls12-381 secret key"), new Uint8Array(0), 48);
  return bigintToBytes((bigintFromBytes(wide) % (BLS_ORDER - 1n)) + 1n, BLS_SECRET_BYTES);
}

export function checkedSecret(secret: Uint8Array): Uint8Array {
  const n = secret.length === BLS_SECRET_BYTES ? bigintFromBytes(secret) : 0n;
  if (n === 0n || n >= BLS_ORDER) {
    throw new OrreryError("bls_secret_invalid", "a BLS secret key is 32 bytes between 1 and the group order");
  }
  return secret;
}

export function sharesInvalid(why: string): OrreryError {
  return new OrreryError("bls_shares_invalid", `signature shares cannot be combined: ${why}`);
}

/** Lagrange coefficients at 0 for distinct indices above 0. */
export function lagrangeAtZero(indices: readonly number[]): readonly bigint[] {
  if (indices.length === 0) throw sharesInvalid("there are none");
  if (indices.some((i) => !Number.isSafeInteger(i) || i < 1))
    throw sharesInvalid("an index is not a positive integer");
  if (new Set(indices).size !== indices.length) throw sharesInvalid("an index appears twice");
  return indices.map((i) => {
    let numerator = 1n;
    let denominator = 1n;
    for (const j of indices) {
      if (j === i) continue;
      numerator = modOrder(numerator * BigInt(j));
      denominator = modOrder(denominator * BigInt(j - i));
    }
    return modOrder(numerator * inverseModOrder(denominator));
  });
}

/** The remainder that is not negative. */
export function modOrder(n: bigint): bigint {
  const r = n % BLS_ORDER;
  return r < 0n ? r + BLS_ORDER : r;
}

/** By the extended Euclidean algorithm; `n` is not 0 modulo the order, which is prime. */
export function inverseModOrder(n: bigint): bigint {
  let [a, b] = [BLS_ORDER, modOrder(n)];
  let [x, y] = [0n, 1n];
  while (b !== 0n) {
    const q = a / b;
    [a, b] = [b, a - q * b];
    [x, y] = [y, x - q * y];
  }
  return modOrder(x);
}
