/**
 * Faster back ends for the interfaces of the crypto package, on node:crypto (OpenSSL). What OpenSSL accepts is accepted; what
 * it refuses is asked of the pure implementation, which is the one that decides, so nodes with and without OpenSSL agree.
 */
import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from "node:crypto";
import {
  type BasicSignatures,
  ed25519ToDer,
  installSha256Backend,
  nobleSignatures,
  p256ToDer,
  secp256k1ToDer,
  sha256Pure,
} from "@orrery/crypto";

/** Distinct public keys kept parsed: a node serves few senders at a time, and a key costs about 2 KiB. */
const KEY_CACHE_MAX = 1_000;
/** Below this the pure hash is faster than the call into OpenSSL. */
const NATIVE_HASH_BYTES_MIN = 32;

/** SHA-256 by OpenSSL above the size where it pays. */
export function nodeSha256(bytes: Uint8Array): Uint8Array {
  return bytes.length < NATIVE_HASH_BYTES_MIN ? sha256Pure(bytes) : new Uint8Array(hash("sha256", bytes, "buffer"));
}

/** Makes this thread's hashing native; once a thread, before its first work. */
export function installFastHashes(): void {
  installSha256Backend(nodeSha256);
}

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
  p256: (key, message, signature) => accepts("p256", key, message, signature) || nobleSignatures.p256(key, message, signature),
  secp256k1: (key, message, signature) =>
    accepts("secp256k1", key, message, signature) || nobleSignatures.secp256k1(key, message, signature),
};

/** Signs with a node's Ed25519 key, given as its 32-byte secret. */
export function createNodeSigner(secret: Uint8Array): (message: Uint8Array) => Uint8Array {
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), secret]);
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  return (message) => {
    const signature = sign(null, message, key);
    return new Uint8Array(signature.buffer, signature.byteOffset, signature.byteLength);
  };
}
