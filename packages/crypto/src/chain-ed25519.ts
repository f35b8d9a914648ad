/**
 * Derived keys and signatures on Ed25519 (interface spec, "Ed25519 hierarchical key derivation"): children by HKDF-SHA512, scalars
 * that are not clamped, signatures that every Ed25519 verifier takes (RFC 8032).
 */
import { ed25519 } from "@noble/curves/ed25519.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { assert, concatBytes, utf8 } from "@orrery/base";
import { bigintFromBytes, bigintToBytes } from "./bls.ts";
import type { ExtendedKey, ExtendedSecret } from "./chain-secp256k1.ts";

const { Point } = ed25519;
/** Of the subgroup that the base point generates. */
const ORDER: bigint = Point.Fn.ORDER;
const TWEAK_BYTES = 64;
const CHAIN_CODE_BYTES = 32;
const SCALAR_BYTES = 32;

function walk(master: ExtendedKey, path: readonly Uint8Array[]): ExtendedKey & { readonly offset: bigint } {
  let point = Point.fromBytes(master.publicKey);
  let { chainCode } = master;
  let offset = 0n;
  for (const index of path) {
    const material = concatBytes(point.toBytes(), index);
    const out = hkdf(sha512, material, chainCode, utf8("Ed25519"), TWEAK_BYTES + CHAIN_CODE_BYTES);
    const tweak = bigintFromBytes(out.subarray(0, TWEAK_BYTES)) % ORDER;
    if (tweak !== 0n) point = point.add(Point.BASE.multiply(tweak));
    chainCode = out.slice(TWEAK_BYTES);
    offset = (offset + tweak) % ORDER;
  }
  return { publicKey: point.toBytes(), chainCode, offset };
}

/** The key at `path` below a public key of 32 bytes. */
export function deriveEd25519(master: ExtendedKey, path: readonly Uint8Array[]): ExtendedKey {
  const { publicKey, chainCode } = walk(master, path);
  return { publicKey, chainCode };
}

/** As `deriveEd25519`, with the secret, a scalar of 32 bytes in little endian order, for whoever has the master's. */
export function deriveEd25519Secret(
  master: { readonly secret: Uint8Array; readonly chainCode: Uint8Array },
  path: readonly Uint8Array[],
): ExtendedSecret {
  const { offset, ...key } = walk(
    { publicKey: ed25519ScalarPublicKey(master.secret), chainCode: master.chainCode },
    path,
  );
  return { ...key, secret: scalarBytes((scalarOf(master.secret) + offset) % ORDER) };
}

/** A scalar from 48 bytes of key material. */
export function ed25519ScalarFrom(material: Uint8Array): Uint8Array {
  assert(material.length === 48, "Ed25519 scalars come from 48 bytes");
  return scalarBytes((bigintFromBytes(material) % (ORDER - 1n)) + 1n);
}

export function ed25519ScalarPublicKey(secret: Uint8Array): Uint8Array {
  return Point.BASE.multiply(scalarOf(secret)).toBytes();
}

/** R · S, 64 bytes. The nonce is a hash of the scalar, under a label of its own, and of the message. */
export function signEd25519Scalar(secret: Uint8Array, message: Uint8Array): Uint8Array {
  const publicKey = ed25519ScalarPublicKey(secret);
  const prefix = sha512(concatBytes(utf8("orrery ed25519 scalar nonce"), secret));
  const nonce = littleEndian(sha512(concatBytes(prefix, message))) % ORDER;
  assert(nonce !== 0n, "an Ed25519 nonce is zero");
  const r = Point.BASE.multiply(nonce).toBytes();
  const challenge = littleEndian(sha512(concatBytes(r, publicKey, message))) % ORDER;
  const s = (nonce + challenge * scalarOf(secret)) % ORDER;
  return concatBytes(r, scalarBytes(s));
}

function littleEndian(bytes: Uint8Array): bigint {
  return bigintFromBytes(bytes.slice().reverse());
}

function scalarOf(secret: Uint8Array): bigint {
  const scalar = littleEndian(secret);
  assert(scalar > 0n && scalar < ORDER, "an Ed25519 scalar is between 1 and the group's order");
  return scalar;
}

function scalarBytes(scalar: bigint): Uint8Array {
  return bigintToBytes(scalar, SCALAR_BYTES).reverse();
}
