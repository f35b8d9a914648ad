/**
 * Hashing for proofs (the random oracles of eprint 2021/339): every hash has a domain of its own and takes its fields with their
 * lengths, so that no two different inputs have one encoding. Scalars come from `expand_message_xmd` of RFC 9380 §5.3.1.
 */
import { concatAll, concatBytes, OrreryError, utf8 } from "@orrery/base";
import { bigintFromBytes, bigintToBytes, modOrder } from "../bls.ts";
import { domainSep, sha256, sha256All } from "../hashes.ts";
import { type Curve, type G1Point, SCALAR_BYTES } from "./curve.ts";

const HASH_BYTES = 32;
/** Of SHA-256's input, in bytes. */
const HASH_BLOCK_BYTES = 64;
/** 128 bits more than the order has, so that the bias of the remainder is below 2^-128 (RFC 9380 §5.1). */
const WIDE_SCALAR_BYTES = 48;
/** Weights of a batch of equations: one that is wrong passes with probability 2^-128. */
const WEIGHT_BYTES = 16;

function u32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value);
  return out;
}

export type Field = Uint8Array | readonly Uint8Array[];

/** Count and length before every field; a list is one field. */
function framed(fields: readonly Field[]): Uint8Array {
  const parts: Uint8Array[] = [u32(fields.length)];
  for (const field of fields) {
    const items = field instanceof Uint8Array ? [field] : field;
    parts.push(u32(field instanceof Uint8Array ? 0xffffffff : items.length));
    for (const item of items) parts.push(u32(item.length), item);
  }
  return concatAll(parts);
}

/** 32 bytes that bind the domain and all fields. */
export function digest(domain: string, ...fields: readonly Field[]): Uint8Array {
  return sha256All([domainSep(domain), framed(fields)]);
}

/** `expand_message_xmd` with SHA-256; at most 8,160 bytes, from a tag of at most 255. */
export function expandMessage(message: Uint8Array, dst: Uint8Array, length: number): Uint8Array {
  const blocks = Math.ceil(length / HASH_BYTES);
  if (blocks > 255 || dst.length > 255)
    throw new OrreryError("domain_separator_invalid", "at most 8,160 bytes, under a tag of at most 255");
  const tag = concatBytes(dst, Uint8Array.of(dst.length));
  const size = Uint8Array.of(length >> 8, length & 0xff);
  const first = sha256(new Uint8Array(HASH_BLOCK_BYTES), message, size, Uint8Array.of(0), tag);
  const out: Uint8Array[] = [];
  let last: Uint8Array = new Uint8Array(HASH_BYTES);
  for (let i = 1; i <= blocks; i++) {
    const mixed = last.map((byte, at) => byte ^ (first[at] as number));
    last = sha256(mixed, Uint8Array.of(i), tag);
    out.push(last);
  }
  return concatAll(out).subarray(0, length);
}

export function hashToScalar(domain: string, ...fields: readonly Field[]): bigint {
  return modOrder(bigintFromBytes(expandMessage(framed(fields), utf8(domain), WIDE_SCALAR_BYTES)));
}

export function hashToPoint(curve: Curve, domain: string, ...fields: readonly Field[]): G1Point {
  return curve.hashToG1(digest(domain, ...fields), utf8(`${domain}_BLS12381G1_XMD:SHA-256_SSWU_RO_`));
}

/** Any number of uniform bytes that the seed decides: SHA-256 in counter mode. */
export function challengeBytes(domain: string, seed: Uint8Array, count: number): Uint8Array {
  const out = new Uint8Array(Math.ceil(count / HASH_BYTES) * HASH_BYTES);
  for (let at = 0; at < out.length; at += HASH_BYTES)
    out.set(sha256(domainSep(domain), seed, u32(at / HASH_BYTES)), at);
  return out.subarray(0, count);
}

/** Multipliers for a batch of equations, each above 0. */
export function weights(seed: Uint8Array, count: number): readonly bigint[] {
  const bytes = challengeBytes("orrery-dkg-weights", seed, count * WEIGHT_BYTES);
  return Array.from(
    { length: count },
    (_, i) => bigintFromBytes(bytes.subarray(i * WEIGHT_BYTES, (i + 1) * WEIGHT_BYTES)) + 1n,
  );
}

/** x, x², …, x^count. */
export function powers(x: bigint, count: number): readonly bigint[] {
  const out: bigint[] = [];
  for (let power = x, i = 0; i < count; i++, power = modOrder(power * x)) out.push(power);
  return out;
}

export function scalarBytes(value: bigint): Uint8Array {
  return bigintToBytes(value, SCALAR_BYTES);
}
