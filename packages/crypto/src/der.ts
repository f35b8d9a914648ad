/**
 * Public keys as DER SubjectPublicKeyInfo (interface spec, "Signatures"; RFC 8410, RFC 5480). Each scheme has
 * one encoding, so parsing is comparing a prefix: minimal lengths, no unused bits, uncompressed points,
 * nothing after the key. Points are not checked to be on their curve here; verification does that.
 */
import {
  type CanisterId,
  concatBytes,
  equalBytes,
  err,
  fromHex,
  OrreryError,
  ok,
  PRINCIPAL_BYTES_MAX,
  type Principal,
  type Result,
} from "@orrery/base";

export type PublicKey =
  | { readonly kind: "ed25519"; readonly key: Uint8Array }
  | { readonly kind: "p256"; readonly point: Uint8Array }
  | { readonly kind: "secp256k1"; readonly point: Uint8Array }
  | { readonly kind: "bls"; readonly key: Uint8Array }
  | { readonly kind: "webauthn"; readonly cose: Uint8Array }
  | { readonly kind: "canister"; readonly canisterId: CanisterId; readonly seed: Uint8Array };

export const ED25519_KEY_BYTES = 32;
export const ECDSA_POINT_BYTES = 65;
export const BLS_KEY_BYTES = 96;
/** A DER BLS key on the Internet Computer: prefix and point. */
export const BLS_DER_BYTES = 133;
/** Longest key accepted: a 4096-bit RSA key in COSE needs about 530 bytes. */
export const PUBLIC_KEY_DER_BYTES_MAX = 2_048;

const ED25519_PREFIX: Uint8Array = fromHex("302a300506032b6570032100");
const P256_PREFIX: Uint8Array = fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200");
const SECP256K1_PREFIX: Uint8Array = fromHex("3056301006072a8648ce3d020106052b8104000a034200");
const BLS_PREFIX: Uint8Array = fromHex(
  "308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100",
);
/**
 * AlgorithmIdentifier SEQUENCE { OID 1.3.6.1.4.1.56387.1.1 } (WebAuthn) and .2 (canister signatures), no
 * parameters.
 */
const WEBAUTHN_ALGORITHM: Uint8Array = fromHex("300c060a2b0601040183b8430101");
const CANISTER_ALGORITHM: Uint8Array = fromHex("300c060a2b0601040183b8430102");

interface FixedScheme {
  readonly prefix: Uint8Array;
  readonly keyBytes: number;
  readonly make: (key: Uint8Array) => PublicKey;
}

const FIXED: readonly FixedScheme[] = [
  { prefix: ED25519_PREFIX, keyBytes: ED25519_KEY_BYTES, make: (key) => ({ kind: "ed25519", key }) },
  { prefix: P256_PREFIX, keyBytes: ECDSA_POINT_BYTES, make: (point) => ({ kind: "p256", point }) },
  { prefix: SECP256K1_PREFIX, keyBytes: ECDSA_POINT_BYTES, make: (point) => ({ kind: "secp256k1", point }) },
  { prefix: BLS_PREFIX, keyBytes: BLS_KEY_BYTES, make: (key) => ({ kind: "bls", key }) },
];

function wrap(prefix: Uint8Array, key: Uint8Array, length: number, what: string): Uint8Array {
  if (key.length !== length) {
    throw new OrreryError("public_key_invalid", `a ${what} has ${length} bytes, this one has ${key.length}`);
  }
  return concatBytes(prefix, key);
}

export function ed25519ToDer(key: Uint8Array): Uint8Array {
  return wrap(ED25519_PREFIX, key, ED25519_KEY_BYTES, "raw Ed25519 public key");
}
/** `point`: 65 bytes, 0x04 · x · y. */
export function p256ToDer(point: Uint8Array): Uint8Array {
  return wrap(P256_PREFIX, point, ECDSA_POINT_BYTES, "uncompressed P-256 point");
}
/** `point`: 65 bytes, 0x04 · x · y. */
export function secp256k1ToDer(point: Uint8Array): Uint8Array {
  return wrap(SECP256K1_PREFIX, point, ECDSA_POINT_BYTES, "uncompressed secp256k1 point");
}
/** `key`: 96 bytes, compressed point of G2. */
export function blsToDer(key: Uint8Array): Uint8Array {
  return wrap(BLS_PREFIX, key, BLS_KEY_BYTES, "BLS12-381 public key");
}

function derLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  if (length < 0x100) return Uint8Array.of(0x81, length);
  return Uint8Array.of(0x82, length >> 8, length & 0xff);
}

function wrapBitString(algorithm: Uint8Array, content: Uint8Array): Uint8Array {
  if (content.length > PUBLIC_KEY_DER_BYTES_MAX) {
    throw new OrreryError("public_key_invalid", `a public key of ${content.length} bytes is too long`);
  }
  const bits = concatBytes(Uint8Array.of(0x03), derLength(content.length + 1), Uint8Array.of(0), content);
  return concatBytes(Uint8Array.of(0x30), derLength(algorithm.length + bits.length), algorithm, bits);
}

/** Wraps a COSE key as WebAuthn authenticators give it. */
export function coseToDer(cose: Uint8Array): Uint8Array {
  return wrapBitString(WEBAUTHN_ALGORITHM, cose);
}

/** The public key of canister signatures of one canister and seed. */
export function canisterSignatureKeyToDer(canisterId: Principal, seed: Uint8Array): Uint8Array {
  return wrapBitString(CANISTER_ALGORITHM, concatBytes(Uint8Array.of(canisterId.length), canisterId, seed));
}

/** Content of `SEQUENCE { algorithm, BIT STRING content }`, null when the bytes are not exactly that. */
function unwrapBitString(der: Uint8Array, algorithm: Uint8Array): Uint8Array | null {
  // Lengths have one form each, so wrapping what was found must give the input back.
  for (const overhead of [5, 6, 7, 8, 9]) {
    const start = algorithm.length + overhead;
    if (start > der.length) continue;
    const content = der.subarray(start);
    if (equalBytes(wrapBitString(algorithm, content), der)) return content;
  }
  return null;
}

function unwrapCanisterKey(content: Uint8Array): Result<PublicKey, string> {
  const length = content[0];
  if (length === undefined || length > PRINCIPAL_BYTES_MAX || content.length < 1 + length) {
    return err("canister signature key without a canister id");
  }
  const canisterId = content.slice(1, 1 + length) as CanisterId;
  return ok({ kind: "canister", canisterId, seed: content.slice(1 + length) });
}

/** Recognises a DER public key of any supported scheme; the error says what is wrong with it. */
export function parsePublicKeyDer(der: Uint8Array): Result<PublicKey, string> {
  if (der.length > PUBLIC_KEY_DER_BYTES_MAX) return err(`public key of ${der.length} bytes is too long`);
  for (const scheme of FIXED) {
    const { prefix, keyBytes } = scheme;
    if (der.length < prefix.length || !equalBytes(der.subarray(0, prefix.length), prefix)) continue;
    const key = der.slice(prefix.length);
    if (key.length !== keyBytes) return err(`key of ${key.length} bytes where ${keyBytes} are expected`);
    if (keyBytes === ECDSA_POINT_BYTES && key[0] !== 4)
      return err("elliptic curve point is not uncompressed");
    return ok(scheme.make(key));
  }
  const cose = unwrapBitString(der, WEBAUTHN_ALGORITHM);
  if (cose !== null) return ok({ kind: "webauthn", cose: cose.slice() });
  const canister = unwrapBitString(der, CANISTER_ALGORITHM);
  if (canister !== null) return unwrapCanisterKey(canister);
  return err("not a DER public key of a supported algorithm");
}

/** The 96-byte key in a DER BLS key of exactly 133 bytes. */
export function blsFromDer(der: Uint8Array): Result<Uint8Array, string> {
  const parsed = parsePublicKeyDer(der);
  if (!parsed.ok) return parsed;
  return parsed.value.kind === "bls"
    ? ok(parsed.value.key)
    : err(`a ${parsed.value.kind} key, not a BLS key`);
}
