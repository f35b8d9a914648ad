/** Hashing, checksums and node keys on node:crypto (OpenSSL) and node:zlib, with the same results as the pure implementations. */
import { createHash, createPrivateKey, createPublicKey, hash, type KeyObject, sign } from "node:crypto";
import { crc32 } from "node:zlib";
import {
  ed25519ToDer,
  installSha256Backend,
  installSha256StreamBackend,
  type Sha256Stream,
  sha256Pure,
} from "@orrery/crypto";
import { checksumPure, installChecksumBackend, NATIVE_CHECKSUM_BYTES_MIN } from "@orrery/state/checksum";

/** Below this the pure hash is faster than the call into OpenSSL. */
const NATIVE_HASH_BYTES_MIN = 32;

/** SHA-256 by OpenSSL above the size where it pays. */
export function nodeSha256(bytes: Uint8Array): Uint8Array {
  return bytes.length < NATIVE_HASH_BYTES_MIN
    ? sha256Pure(bytes)
    : new Uint8Array(hash("sha256", bytes, "buffer"));
}

function nodeSha256Stream(): Sha256Stream {
  const stream = createHash("sha256");
  return {
    update(data): void {
      stream.update(data);
    },
    digest: () => new Uint8Array(stream.digest()),
  };
}

/** CRC-32 by zlib above the size where it pays. */
export function nodeChecksum(bytes: Uint8Array, seed: number): number {
  return bytes.length < NATIVE_CHECKSUM_BYTES_MIN ? checksumPure(bytes, seed) : crc32(bytes, seed);
}

/** Makes this thread's hashing and checksums native; once a thread, before its first work. */
export function installFastHashes(): void {
  installSha256Backend(nodeSha256);
  installSha256StreamBackend(nodeSha256Stream);
  installChecksumBackend(nodeChecksum);
}

/** PKCS #8 wrapping of a 32-byte Ed25519 secret (RFC 8410). */
const PKCS8_ED25519: Buffer = Buffer.from("302e020100300506032b657004220420", "hex");
const RAW_KEY_BYTES = 32;

function privateKey(secret: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, secret]), format: "der", type: "pkcs8" });
}

/** DER public key of a node's Ed25519 key, given as its 32-byte secret. */
export function nodePublicKeyDer(secret: Uint8Array): Uint8Array {
  const spki = createPublicKey(privateKey(secret)).export({ format: "der", type: "spki" });
  return ed25519ToDer(Uint8Array.from(spki.subarray(-RAW_KEY_BYTES)));
}

/** Signs with a node's Ed25519 key, given as its 32-byte secret. */
export function createNodeSigner(secret: Uint8Array): (message: Uint8Array) => Uint8Array {
  const key = privateKey(secret);
  return (message) => {
    const signature = sign(null, message, key);
    return new Uint8Array(signature.buffer, signature.byteOffset, signature.byteLength);
  };
}
