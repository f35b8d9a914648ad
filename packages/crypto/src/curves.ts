/**
 * The curves in pure TypeScript, as an entry of the package of its own: Ed25519 after ZIP 215, ECDSA with either `s`, and BLS.
 * They are the oracles of every faster back end and cost a tenth of a second to start, which a node spends beside its start.
 */
import { ed25519 } from "@noble/curves/ed25519.js";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { ed25519ToDer, p256ToDer, secp256k1ToDer } from "./der.ts";
import type { BasicSignatures, Signer } from "./signatures.ts";

export { nobleBls } from "./bls-noble.ts";
export { nobleCurve } from "./dkg/curve-noble.ts";

function safely(verify: () => boolean): boolean {
  try {
    return verify();
  } catch {
    // The curves' only errors on inputs of the right type are malformed points and scalars.
    return false;
  }
}

const ECDSA_OPTIONS = { lowS: false, prehash: true, format: "compact" } as const;

/** The pure implementation, the oracle of every other. */
export const nobleSignatures: BasicSignatures = {
  ed25519: (key, message, signature) =>
    safely(() => ed25519.verify(signature, message, key, { zip215: true })),
  p256: (point, message, signature) => safely(() => p256.verify(signature, message, point, ECDSA_OPTIONS)),
  secp256k1: (point, message, signature) =>
    safely(() => secp256k1.verify(signature, message, point, ECDSA_OPTIONS)),
};

/** Ed25519 from a 32-byte seed. */
export function ed25519Signer(seed: Uint8Array): Signer {
  return {
    publicKeyDer: ed25519ToDer(ed25519.getPublicKey(seed)),
    sign: (message) => ed25519.sign(message, seed),
  };
}

/** ECDSA on P-256 from a 32-byte secret; deterministic (RFC 6979). */
export function p256Signer(secret: Uint8Array): Signer {
  return {
    publicKeyDer: p256ToDer(p256.getPublicKey(secret, false)),
    sign: (message) => p256.sign(message, secret, ECDSA_OPTIONS),
  };
}

/** ECDSA on secp256k1 from a 32-byte secret; deterministic (RFC 6979). */
export function secp256k1Signer(secret: Uint8Array): Signer {
  return {
    publicKeyDer: secp256k1ToDer(secp256k1.getPublicKey(secret, false)),
    sign: (message) => secp256k1.sign(message, secret, ECDSA_OPTIONS),
  };
}
