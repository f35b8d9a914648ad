/**
 * Derived keys and signatures on secp256k1 (interface spec, "ecdsa_public_key", "sign_with_ecdsa", "schnorr_public_key",
 * "sign_with_schnorr"): the generalization of BIP 32 to indices of any bytes (ia.cr/2021/1330, appendix D; SLIP 10 for the case
 * that never happens), ECDSA with low s, BIP 340, and the key tweak of BIP 341. For indices of four bytes below 2^31 the
 * derivation is BIP 32's. Secrets and public keys are derived along the same offsets, so one can be had without the other.
 */
import { schnorr, secp256k1 } from "@noble/curves/secp256k1.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { assert, concatBytes, OrreryError, utf8 } from "@orrery/base";
import { bigintFromBytes, bigintToBytes } from "./bls.ts";
import { sha256 } from "./hashes.ts";

/** A public key, or the secret of one, with the entropy that its children are derived with. */
export interface ExtendedKey {
  /** As its curve encodes it. */
  readonly publicKey: Uint8Array;
  /** 32 bytes. */
  readonly chainCode: Uint8Array;
}

export interface ExtendedSecret extends ExtendedKey {
  readonly secret: Uint8Array;
}

/** Master keys start with 32 zero bytes. */
export const MASTER_CHAIN_CODE: Uint8Array = new Uint8Array(32);

const { Point } = secp256k1;
const ORDER: bigint = Point.Fn.ORDER;
const SECRET_BYTES = 32;

interface Step {
  readonly offset: bigint;
  readonly chainCode: Uint8Array;
}

function childStep(input: Uint8Array, chainCode: Uint8Array, index: Uint8Array): Step {
  let from = input;
  for (;;) {
    const out = hmac(sha512, chainCode, concatBytes(from, index));
    const offset = bigintFromBytes(out.subarray(0, SECRET_BYTES));
    const next = out.slice(SECRET_BYTES);
    if (offset < ORDER) return { offset, chainCode: next };
    from = concatBytes(Uint8Array.of(1), next);
  }
}

/** The sum of the offsets along `path` from a 33-byte key, and where they lead. */
function walk(master: ExtendedKey, path: readonly Uint8Array[]): ExtendedKey & { readonly offset: bigint } {
  let point = Point.fromBytes(master.publicKey);
  let { chainCode } = master;
  let offset = 0n;
  for (const index of path) {
    let input: Uint8Array = point.toBytes(true);
    for (;;) {
      const step = childStep(input, chainCode, index);
      const next = step.offset === 0n ? point : point.add(Point.BASE.multiply(step.offset));
      if (!next.is0()) {
        point = next;
        chainCode = step.chainCode;
        offset = (offset + step.offset) % ORDER;
        break;
      }
      input = concatBytes(Uint8Array.of(1), step.chainCode);
    }
  }
  return { publicKey: point.toBytes(true), chainCode, offset };
}

/** The key at `path` below a public key of 33 bytes (SEC1, compressed). */
export function deriveSecp256k1(master: ExtendedKey, path: readonly Uint8Array[]): ExtendedKey {
  const { publicKey, chainCode } = walk(master, path);
  return { publicKey, chainCode };
}

/** As `deriveSecp256k1`, with the secret, for whoever has the master's (32 bytes, big endian). */
export function deriveSecp256k1Secret(
  master: { readonly secret: Uint8Array; readonly chainCode: Uint8Array },
  path: readonly Uint8Array[],
): ExtendedSecret {
  const { offset, ...key } = walk(
    { publicKey: secp256k1.getPublicKey(master.secret, true), chainCode: master.chainCode },
    path,
  );
  const secret = (bigintFromBytes(master.secret) + offset) % ORDER;
  assert(secret !== 0n, "a derived secp256k1 secret is zero, though its point is not at infinity");
  return { ...key, secret: bigintToBytes(secret, SECRET_BYTES) };
}

/** A secret key from 48 bytes of key material; the bias is below 2^-128. */
export function secp256k1SecretFrom(material: Uint8Array): Uint8Array {
  assert(material.length === 48, "secp256k1 secrets come from 48 bytes");
  return bigintToBytes((bigintFromBytes(material) % (ORDER - 1n)) + 1n, SECRET_BYTES);
}

/** 33 bytes. */
export function secp256k1PublicKey(secret: Uint8Array): Uint8Array {
  return secp256k1.getPublicKey(secret, true);
}

/** ECDSA over a digest of 32 bytes: r · s, 64 bytes, s in the lower half; deterministic (RFC 6979). */
export function signEcdsaDigest(secret: Uint8Array, digest: Uint8Array): Uint8Array {
  assert(digest.length === 32, "an ECDSA digest has 32 bytes");
  return secp256k1.sign(digest, secret, { prehash: false, lowS: true, format: "compact" });
}

/**
 * BIP 340 over a message of any length; with a Merkle root (empty, or 32 bytes) under the key that BIP 341 makes of the secret.
 * Auxiliary randomness is zero, so that equal requests have equal signatures. `merkle_root_invalid` for other lengths.
 */
export function signBip340(
  secret: Uint8Array,
  message: Uint8Array,
  merkleRoot: Uint8Array | null,
): Uint8Array {
  const key = merkleRoot === null ? secret : tweakedSecret(secret, merkleRoot);
  return schnorr.sign(message, key, new Uint8Array(32));
}

/** BIP 341: the 32-byte output key of an internal key of 33 bytes (SEC1; its sign does not matter) and a Merkle root. */
export function taprootOutputKey(publicKey: Uint8Array, merkleRoot: Uint8Array): Uint8Array {
  const even = Point.fromBytes(concatBytes(Uint8Array.of(2), publicKey.subarray(1)));
  const tweak = tapTweak(publicKey.subarray(1), merkleRoot);
  const output = tweak === 0n ? even : even.add(Point.BASE.multiply(tweak));
  return output.toBytes(true).slice(1);
}

function tweakedSecret(secret: Uint8Array, merkleRoot: Uint8Array): Uint8Array {
  const publicKey = secp256k1.getPublicKey(secret, true);
  const plain = bigintFromBytes(secret);
  const even = publicKey[0] === 2 ? plain : ORDER - plain;
  const tweaked = (even + tapTweak(publicKey.subarray(1), merkleRoot)) % ORDER;
  assert(tweaked !== 0n, "a taproot tweak cancels its key");
  return bigintToBytes(tweaked, SECRET_BYTES);
}

function tapTweak(x: Uint8Array, merkleRoot: Uint8Array): bigint {
  if (merkleRoot.length !== 0 && merkleRoot.length !== 32) {
    throw new OrreryError(
      "merkle_root_invalid",
      `a taproot Merkle root has 32 bytes or none, this one ${merkleRoot.length}`,
    );
  }
  const tag = sha256(utf8("TapTweak"));
  const tweak = bigintFromBytes(sha256(tag, tag, x, merkleRoot));
  assert(tweak < ORDER, "a taproot tweak is outside the group's order");
  return tweak;
}
