/**
 * Secret scalars from a seed. All that is drawn depends on the seed and on what it is drawn for, both bound at the start: a seed that is
 * used for two purposes by mistake gives unrelated secrets, so that no two proofs share a nonce.
 */
import { concatBytes, OrreryError, utf8 } from "@orrery/base";
import { BLS_ORDER, bigintFromBytes } from "../bls.ts";
import { hkdfSha256, hmacSha256 } from "../hashes.ts";

/** Bytes of a seed at least. */
export const DKG_SEED_BYTES_MIN = 32;

export interface SecretSource {
  /** Uniform from 1 to the order, without it. The same label gives the same. */
  scalar(label: string): bigint;
  /** Uniform from 0 to `bound`, without it. */
  below(label: string, bound: bigint): bigint;
}

/** `bls_secret_invalid` for a seed that is too short. */
export function secretSource(seed: Uint8Array, purpose: string, context: Uint8Array): SecretSource {
  if (seed.length < DKG_SEED_BYTES_MIN)
    throw new OrreryError("bls_secret_invalid", `a seed has at least 32 bytes, this one ${seed.length}`);
  const key = hkdfSha256(seed, utf8(`orrery ${purpose}`), context, 32);
  // 512 bits: the bias of a remainder is below 2^-256.
  const wide = (label: string): bigint =>
    bigintFromBytes(concatBytes(hmacSha256(key, utf8(`0 ${label}`)), hmacSha256(key, utf8(`1 ${label}`))));
  return {
    scalar: (label) => (wide(label) % (BLS_ORDER - 1n)) + 1n,
    below: (label, bound) => wide(label) % bound,
  };
}
