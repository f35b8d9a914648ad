/**
 * Faster back ends for the interfaces of the crypto package, on node:crypto (OpenSSL). Same verdicts as the pure ones, which
 * stay the oracle; DER keys are parsed by the pure parser first, so that what is accepted never depends on OpenSSL.
 */
import { createPublicKey, hash, type KeyObject, verify } from "node:crypto";

/** Distinct public keys kept parsed: a node serves few senders at a time, and a key costs about 2 KiB. */
const KEY_CACHE_MAX = 1_000;

/** SHA-256 that beats the pure one above some 200 bytes. */
export function nodeSha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash("sha256", bytes, "buffer"));
}

const keys = new Map<string, KeyObject>();

function keyObject(der: Uint8Array): KeyObject {
  const id = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString("latin1");
  const known = keys.get(id);
  if (known !== undefined) return known;
  const key = createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  if (keys.size >= KEY_CACHE_MAX) keys.delete(keys.keys().next().value as string);
  keys.set(id, key);
  return key;
}

export type SignatureScheme = "ed25519" | "p256" | "secp256k1";

/** Verifies one signature; false for anything OpenSSL refuses, malformed keys included. */
export function nodeVerify(scheme: SignatureScheme, der: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  try {
    const key = keyObject(der);
    if (scheme === "ed25519") return verify(null, message, key, signature);
    return verify("sha256", message, { key, dsaEncoding: "ieee-p1363" }, signature);
  } catch {
    return false;
  }
}
