/**
 * Signature verification on node:crypto (OpenSSL) behind the crypto package's interface. What OpenSSL accepts is accepted; what
 * it refuses is asked of the pure implementation, which is the one that decides, so nodes with and without OpenSSL agree.
 */
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { type BasicSignatures, ed25519ToDer, p256ToDer, secp256k1ToDer } from "@orrery/crypto";
import { nobleSignatures } from "@orrery/crypto/curves";

/** Distinct public keys kept parsed: a node serves few senders at a time, and a key costs about 2 KiB. */
const KEY_CACHE_MAX = 1_000;

type Scheme = "ed25519" | "p256" | "secp256k1";
const TO_DER: Readonly<Record<Scheme, (key: Uint8Array) => Uint8Array>> = {
  ed25519: ed25519ToDer,
  p256: p256ToDer,
  secp256k1: secp256k1ToDer,
};

const keys = new Map<string, KeyObject>();

function keyObject(scheme: Scheme, raw: Uint8Array): KeyObject {
  const id = scheme + Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString("latin1");
  const known = keys.get(id);
  if (known !== undefined) return known;
  const key = createPublicKey({ key: Buffer.from(TO_DER[scheme](raw)), format: "der", type: "spki" });
  if (keys.size >= KEY_CACHE_MAX) keys.delete(keys.keys().next().value as string);
  keys.set(id, key);
  return key;
}

function accepts(scheme: Scheme, raw: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    const key = keyObject(scheme, raw);
    if (scheme === "ed25519") return verify(null, message, key, signature);
    return verify("sha256", message, { key, dsaEncoding: "ieee-p1363" }, signature);
  } catch {
    // A key or signature that OpenSSL cannot read: the pure implementation has the last word.
    return false;
  }
}

export const nodeSignatures: BasicSignatures = {
  ed25519: (key, message, signature) =>
    accepts("ed25519", key, message, signature) || nobleSignatures.ed25519(key, message, signature),
  p256: (key, message, signature) =>
    accepts("p256", key, message, signature) || nobleSignatures.p256(key, message, signature),
  secp256k1: (key, message, signature) =>
    accepts("secp256k1", key, message, signature) || nobleSignatures.secp256k1(key, message, signature),
};
