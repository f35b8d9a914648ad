/**
 * WebAuthn signatures (interface spec, "Web Authentication"): the authenticator signs its own data and the
 * hash of a JSON text whose `challenge` is the message. Keys are COSE (RFC 9052, RFC 9053): ES256 on P-256,
 * EdDSA on Ed25519, RS256.
 */
import {
  type CborMap,
  concatBytes,
  decodeCbor,
  ENVELOPE_ITEMS_MAX,
  equalBytes,
  err,
  fromHex,
  hasSelfDescribeTag,
  ok,
  type Result,
  utf8,
  utf8Decode,
} from "@orrery/base";
import { bigintFromBytes, bigintToBytes } from "./bls.ts";
import { sha256 } from "./hashes.ts";

export interface WebAuthnInput {
  readonly cose: Uint8Array;
  /** What was signed, domain separator included. */
  readonly message: Uint8Array;
  /** Tagged CBOR map of authenticator data, client data and signature. */
  readonly signature: Uint8Array;
  /** Curve primitives over 64-byte signatures. */
  readonly basic: {
    ed25519(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
    p256(point: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  };
}

export type CoseKey =
  | { readonly kind: "es256"; readonly point: Uint8Array }
  | { readonly kind: "eddsa"; readonly key: Uint8Array }
  | { readonly kind: "rs256"; readonly modulus: Uint8Array; readonly exponent: Uint8Array };

/** Bounds on RSA moduli: below is forgeable, above costs a validator too much. */
export const RSA_MODULUS_BITS_MIN = 2_048;
export const RSA_MODULUS_BITS_MAX = 4_096;

/** Entries in a COSE key map; the longest supported has five. */
const COSE_ENTRIES_MAX = 8;

/** COSE labels and values (RFC 9053 §7, RFC 8230 §4). */
const COSE = {
  KTY: 1,
  ALG: 3,
  OKP: 1,
  EC2: 2,
  RSA: 3,
  ES256: -7,
  EDDSA: -8,
  RS256: -257,
  P256: 1,
  ED25519: 6,
} as const;

type CoseValue = number | Uint8Array;

/** The flat integer-keyed map of a COSE key; only integers and byte strings occur in the supported ones. */
function parseCoseMap(bytes: Uint8Array): ReadonlyMap<number, CoseValue> | null {
  let at = 0;
  const item = (): CoseValue | null => {
    const initial = bytes[at++];
    if (initial === undefined) return null;
    let argument = initial & 31;
    if (argument > 25) return null;
    if (argument >= 24) {
      const size = argument - 23;
      if (at + size > bytes.length) return null;
      argument = 0;
      for (let i = 0; i < size; i++) argument = argument * 256 + (bytes[at + i] as number);
      at += size;
    }
    const major = initial >> 5;
    if (major === 0) return argument;
    if (major === 1) return -1 - argument;
    if (major !== 2 || argument > bytes.length - at) return null;
    at += argument;
    return bytes.slice(at - argument, at);
  };
  const head = bytes[at++];
  if (head === undefined || head >> 5 !== 5 || (head & 31) > COSE_ENTRIES_MAX) return null;
  const map = new Map<number, CoseValue>();
  for (let i = 0; i < (head & 31); i++) {
    const key = item();
    const value = item();
    if (typeof key !== "number" || value === null || map.has(key)) return null;
    map.set(key, value);
  }
  return at === bytes.length ? map : null;
}

function bytesAt(map: ReadonlyMap<number, CoseValue>, key: number, length: number | null): Uint8Array | null {
  const value = map.get(key);
  return value instanceof Uint8Array && (length === null || value.length === length) ? value : null;
}

/** Reads a COSE key of a supported algorithm. */
export function parseCoseKey(bytes: Uint8Array): Result<CoseKey, string> {
  const map = parseCoseMap(bytes);
  if (map === null) return err("malformed COSE key");
  const kind = map.get(COSE.KTY);
  const algorithm = map.get(COSE.ALG);
  if (kind === COSE.EC2 && algorithm === COSE.ES256 && map.get(-1) === COSE.P256) {
    const x = bytesAt(map, -2, 32);
    const y = bytesAt(map, -3, 32);
    return x === null || y === null
      ? err("COSE key without P-256 coordinates")
      : ok({ kind: "es256", point: concatBytes(Uint8Array.of(4), x, y) });
  }
  if (kind === COSE.OKP && algorithm === COSE.EDDSA && map.get(-1) === COSE.ED25519) {
    const key = bytesAt(map, -2, 32);
    return key === null ? err("COSE key without an Ed25519 key") : ok({ kind: "eddsa", key });
  }
  if (kind === COSE.RSA && algorithm === COSE.RS256) {
    const modulus = bytesAt(map, -1, null);
    const exponent = bytesAt(map, -2, null);
    return modulus === null || exponent === null
      ? err("COSE key without an RSA modulus and exponent")
      : ok({ kind: "rs256", modulus, exponent });
  }
  return err("COSE key of an unsupported algorithm");
}

/** One INTEGER of a DER ECDSA signature as 32 bytes; minimal and positive. */
function derInteger(
  der: Uint8Array,
  at: number,
): { readonly value: Uint8Array; readonly next: number } | null {
  const length = der[at + 1];
  if (der[at] !== 2 || length === undefined || length < 1 || length > 33) return null;
  const body = der.subarray(at + 2, at + 2 + length);
  if (body.length !== length || (body[0] as number) >= 0x80) return null;
  if (length > 1 && body[0] === 0 && (body[1] as number) < 0x80) return null;
  const digits = body[0] === 0 ? body.subarray(1) : body;
  if (digits.length > 32) return null;
  const value = new Uint8Array(32);
  value.set(digits, 32 - digits.length);
  return { value, next: at + 2 + length };
}

/** DER `SEQUENCE { r, s }` of a 256-bit curve to r · s; null when it is not the one DER encoding. */
export function ecdsaSignatureFromDer(der: Uint8Array): Uint8Array | null {
  if (der[0] !== 0x30 || der[1] !== der.length - 2) return null;
  const r = derInteger(der, 2);
  const s = r && derInteger(der, r.next);
  return r && s && s.next === der.length ? concatBytes(r.value, s.value) : null;
}

/** DigestInfo of SHA-256 before the hash itself (RFC 8017 §9.2). */
const SHA256_DIGEST_INFO: Uint8Array = fromHex("3031300d060960864801650304020105000420");

function modPow(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base % modulus;
  for (let e = exponent; e > 0n; e >>= 1n) {
    if ((e & 1n) === 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

/** RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2.2). */
export function verifyRs256(
  key: { readonly modulus: Uint8Array; readonly exponent: Uint8Array },
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (key.modulus.length > RSA_MODULUS_BITS_MAX / 8 + 1 || key.exponent.length > 4) return false;
  const n = bigintFromBytes(key.modulus);
  const e = bigintFromBytes(key.exponent);
  const bits = n.toString(2).length;
  if (
    bits < RSA_MODULUS_BITS_MIN ||
    bits > RSA_MODULUS_BITS_MAX ||
    (n & 1n) === 0n ||
    e < 3n ||
    (e & 1n) === 0n
  ) {
    return false;
  }
  const length = Math.ceil(bits / 8);
  const s = bigintFromBytes(signature);
  if (signature.length !== length || s >= n) return false;
  const digest = concatBytes(SHA256_DIGEST_INFO, sha256(message));
  const padding = new Uint8Array(length - digest.length - 3).fill(0xff);
  const expected = concatBytes(Uint8Array.of(0, 1), padding, Uint8Array.of(0), digest);
  return equalBytes(bigintToBytes(modPow(s, e, n), length), expected);
}

const BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Base64url without padding (RFC 4648 §5); null when a character is foreign or bits are left over. */
export function base64UrlDecode(text: string): Uint8Array | null {
  const out: number[] = [];
  let bits = 0;
  let acc = 0;
  for (const ch of text) {
    const value = BASE64URL.indexOf(ch);
    if (value < 0) return null;
    acc = ((acc << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push((acc >> bits) & 0xff);
    }
  }
  return bits >= 6 || (acc & ((1 << bits) - 1)) !== 0 ? null : Uint8Array.from(out);
}

interface Parts {
  readonly authenticatorData: Uint8Array;
  readonly clientData: Uint8Array;
  readonly signature: Uint8Array;
}

function decodeParts(bytes: Uint8Array): Parts | null {
  if (!hasSelfDescribeTag(bytes)) return null;
  let fields: CborMap;
  try {
    const value = decodeCbor(bytes, ENVELOPE_ITEMS_MAX);
    if (!(value instanceof Map)) return null;
    fields = value as CborMap;
  } catch {
    return null;
  }
  const authenticatorData = fields.get("authenticator_data");
  const text = fields.get("client_data_json");
  const signature = fields.get("signature");
  const clientData = typeof text === "string" ? utf8(text) : text;
  if (!(authenticatorData instanceof Uint8Array) || !(signature instanceof Uint8Array)) return null;
  return clientData instanceof Uint8Array ? { authenticatorData, clientData, signature } : null;
}

function challengeOf(clientData: Uint8Array): Uint8Array | null {
  const text = utf8Decode(clientData);
  if (text === null) return null;
  try {
    const parsed = JSON.parse(text) as { readonly challenge?: unknown } | null;
    return typeof parsed?.challenge === "string" ? base64UrlDecode(parsed.challenge) : null;
  } catch {
    return null;
  }
}

function holds(
  key: CoseKey,
  signed: Uint8Array,
  signature: Uint8Array,
  basic: WebAuthnInput["basic"],
): boolean {
  if (key.kind === "eddsa") return signature.length === 64 && basic.ed25519(key.key, signed, signature);
  if (key.kind === "rs256") return verifyRs256(key, signed, signature);
  const compact = ecdsaSignatureFromDer(signature);
  return compact !== null && basic.p256(key.point, signed, compact);
}

export function verifyWebAuthn(input: WebAuthnInput): Result<null, string> {
  const key = parseCoseKey(input.cose);
  if (!key.ok) return key;
  const parts = decodeParts(input.signature);
  if (parts === null) return err("malformed WebAuthn signature");
  const challenge = challengeOf(parts.clientData);
  if (challenge === null) return err("the client data has no base64url challenge");
  if (!equalBytes(challenge, input.message)) return err("the challenge is not the message to be signed");
  const signed = concatBytes(parts.authenticatorData, sha256(parts.clientData));
  return holds(key.value, signed, parts.signature, input.basic)
    ? ok(null)
    : err("the signature does not verify");
}
