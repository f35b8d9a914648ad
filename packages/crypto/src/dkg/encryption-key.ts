/**
 * Keys that shares are encrypted to: y = x·g in G1, with a proof that whoever registered y knows x (eprint 2021/339, "proof of
 * possession"). Without it a receiver could pick its key from the others', and dealers use the same randomness for all.
 *
 * The proof: a second base h that a hash takes from y and from what y is registered for, the point x·h, and that both have the one x
 * (Chaum and Pedersen, with challenge and response).
 */
import { concatBytes, equalBytes, err, ok, type Result } from "@orrery/base";
import { BLS_ORDER, bigintFromBytes, modOrder } from "../bls.ts";
import { type Curve, G1_BYTES, type G1Point, SCALAR_BYTES } from "./curve.ts";
import { hashToPoint, hashToScalar, scalarBytes } from "./oracle.ts";
import { secretSource } from "./secrets.ts";
import { Malformed, Reader } from "./wire.ts";

/** The key, x·h, challenge, response. */
export const ENCRYPTION_KEY_RECORD_BYTES: number = 2 * G1_BYTES + 2 * SCALAR_BYTES;

export interface EncryptionKey {
  /** 32 bytes; opens everything that was ever dealt to the key. */
  readonly secret: Uint8Array;
  /** What is published: the 48-byte key and its proof, `ENCRYPTION_KEY_RECORD_BYTES` together. */
  readonly record: Uint8Array;
}

interface Possession {
  readonly key: G1Point;
  readonly base: G1Point;
  readonly image: G1Point;
}

function challengeOf(curve: Curve, of: Possession, first: G1Point, second: G1Point): bigint {
  const fields = [of.key, of.base, of.image, first, second].map((point) => curve.g1.encode(point));
  return hashToScalar("orrery-dkg-possession-challenge", fields);
}

function baseOf(curve: Curve, key: Uint8Array, associated: Uint8Array): G1Point {
  return hashToPoint(curve, "orrery-dkg-possession", key, associated);
}

/**
 * A key from at least 32 bytes of randomness. `associated`: what the key is registered for, the node's id; the proof counts for
 * nothing else.
 */
export function createEncryptionKey(curve: Curve, seed: Uint8Array, associated: Uint8Array): EncryptionKey {
  const { g1 } = curve;
  const source = secretSource(seed, "dkg encryption key", associated);
  const secret = source.scalar("secret");
  const key = g1.multiply(g1.generator, secret);
  const encoded = g1.encode(key);
  const base = baseOf(curve, encoded, associated);
  const image = g1.multiply(base, secret);
  const nonce = source.scalar("nonce");
  const first = g1.multiply(g1.generator, nonce);
  const second = g1.multiply(base, nonce);
  const challenge = challengeOf(curve, { key, base, image }, first, second);
  const response = modOrder(nonce + challenge * secret);
  const record = concatBytes(encoded, g1.encode(image), scalarBytes(challenge), scalarBytes(response));
  return { secret: scalarBytes(secret), record };
}

/** The 48-byte key of a record whose proof is good for `associated`. */
export function verifyEncryptionKey(
  curve: Curve,
  record: Uint8Array,
  associated: Uint8Array,
): Result<Uint8Array, string> {
  const { g1 } = curve;
  const reader = new Reader(record);
  let parts: { encoded: Uint8Array; image: Uint8Array; challenge: bigint; response: bigint };
  try {
    parts = {
      encoded: reader.bytes(G1_BYTES),
      image: reader.bytes(G1_BYTES),
      challenge: reader.scalar(),
      response: reader.scalar(),
    };
    reader.end();
  } catch (cause) {
    if (cause instanceof Malformed) return err(`the encryption key is malformed: ${cause.message}`);
    throw cause;
  }
  const [key, image] = [g1.decode(parts.encoded), g1.decode(parts.image)];
  if (key === null || image === null)
    return err("the encryption key is malformed: it has no point of the group");
  const base = baseOf(curve, parts.encoded, associated);
  const minus = modOrder(-parts.challenge);
  const first = g1.sum([g1.generator, key], [parts.response, minus]);
  const second = g1.sum([base, image], [parts.response, minus]);
  const expected = challengeOf(curve, { key, base, image }, first, second);
  if (expected !== parts.challenge) return err("the encryption key's proof of possession does not hold");
  return ok(parts.encoded);
}

/** The scalar of a secret key; null when it is not one, or not the one of `key`. */
export function openSecret(curve: Curve, secret: Uint8Array, key: Uint8Array): bigint | null {
  if (secret.length !== SCALAR_BYTES) return null;
  const scalar = bigintFromBytes(secret);
  if (scalar === 0n || scalar >= BLS_ORDER) return null;
  const { g1 } = curve;
  return equalBytes(g1.encode(g1.multiply(g1.generator, scalar)), key) ? scalar : null;
}
