/**
 * CBOR as the HTTPS interface uses it (interface spec, "CBOR encoding of requests and responses"): tag 55799,
 * text keys, no duplicates, bounded size and depth. `CborMap` keeps unknown fields, since they are part of a
 * request's hash. The decoder is our own because a lenient one loses what is hashed: byte order marks, bytes
 * that are not UTF-8, floats beside integers.
 */
import { encode, rfc8949EncodeOptions, Token, Type } from "cborg";
import { OrreryError } from "./errors.ts";
import { textAt } from "./short-text.ts";

export type CborValue =
  | number
  | bigint
  | string
  | boolean
  | null
  | undefined
  | Uint8Array
  | readonly CborValue[]
  | CborMap
  | { readonly [key: string]: CborValue };
export type CborMap = ReadonlyMap<string, CborValue>;

/** Nesting deeper than this is refused before decoding: a hash tree over 2^64 labels stays well below. */
export const CBOR_DEPTH_MAX = 512;

const SELF_DESCRIBE: Uint8Array = Uint8Array.of(0xd9, 0xd9, 0xf7);

/** Longest big number accepted (tag 2): 256 bits, above every number of the protocol. */
const BIGNUM_BYTES_MAX = 32;
const TAG_BIGNUM = 2;
const TAG_SELF_DESCRIBE = 55_799;

/** The bytes as a `Uint8Array` proper: a subclass of the host may have a `slice` that does not copy. */
function plain(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array
    ? bytes
    : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

interface Reader {
  readonly bytes: Uint8Array;
  at: number;
  /** Items that may still come; a map's key counts for two, since it costs as much. */
  itemsLeft: number;
}

const KEY_ITEMS = 2;

function readHead(reader: Reader, info: number): number | bigint {
  if (info < 24) return info;
  if (info > 27) throw new Error("indefinite or reserved length");
  const size = 1 << (info - 24);
  const start = reader.at;
  if (start + size > reader.bytes.length) throw new Error("truncated");
  reader.at += size;
  let value = 0;
  for (let i = start; i < Math.min(start + size, start + 4); i++)
    value = value * 256 + (reader.bytes[i] as number);
  if (size < 8) return value;
  let low = 0;
  for (let i = start + 4; i < start + 8; i++) low = low * 256 + (reader.bytes[i] as number);
  const wide = value * 0x1_0000_0000 + low;
  return Number.isSafeInteger(wide) ? wide : (BigInt(value) << 32n) | BigInt(low);
}

/** A length that the rest of the input can hold, so that a short message cannot ask for much memory. */
function readLength(reader: Reader, info: number, bytesEach: number, what: string): number {
  const length = readHead(reader, info);
  if (length > (reader.bytes.length - reader.at) / bytesEach)
    throw new Error(`${what} longer than the input`);
  return length as number;
}

function readText(reader: Reader, info: number): string {
  const length = readLength(reader, info, 1, "string");
  const start = reader.at;
  reader.at += length;
  const text = textAt(reader.bytes, start, reader.at);
  if (text === null) throw new Error("text is not UTF-8");
  return text;
}

function readMap(reader: Reader, info: number, depth: number): CborMap {
  const length = readLength(reader, info, 2, "map");
  const map = new Map<string, CborValue>();
  for (let i = 0; i < length; i++) {
    const initial = reader.bytes[reader.at++];
    reader.itemsLeft -= KEY_ITEMS;
    if (initial === undefined) throw new Error("truncated");
    if (initial >> 5 !== 3) throw new Error("a map key is not text");
    const key = readText(reader, initial & 31);
    if (map.has(key)) throw new Error(`map key "${key.slice(0, 32)}" appears twice`);
    map.set(key, readItem(reader, depth + 1));
  }
  return map;
}

function readTagged(reader: Reader, info: number, depth: number): CborValue {
  const tag = readHead(reader, info);
  if (tag !== TAG_BIGNUM && tag !== TAG_SELF_DESCRIBE) throw new Error(`tag ${tag} is not supported`);
  const value = readItem(reader, depth + 1);
  if (tag === TAG_SELF_DESCRIBE) return value;
  if (!(value instanceof Uint8Array)) throw new Error("tag 2 must hold a byte string");
  if (value.length > BIGNUM_BYTES_MAX) throw new Error(`big number over ${BIGNUM_BYTES_MAX} bytes`);
  let n = 0n;
  for (const b of value) n = (n << 8n) | BigInt(b);
  return n;
}

function readSimple(info: number): boolean | null | undefined {
  if (info === 20 || info === 21) return info === 21;
  if (info === 22) return null;
  if (info === 23) return undefined;
  throw new Error("floating-point number or unknown simple value");
}

function readItem(reader: Reader, depth: number): CborValue {
  if (--reader.itemsLeft < 0) throw new Error("too many items");
  if (depth > CBOR_DEPTH_MAX) throw new Error(`nesting over ${CBOR_DEPTH_MAX} levels`);
  const initial = reader.bytes[reader.at++];
  if (initial === undefined) throw new Error("truncated");
  const info = initial & 31;
  switch (initial >> 5) {
    case 0:
      return readHead(reader, info);
    case 1: {
      const value = readHead(reader, info);
      return typeof value === "number" && value < Number.MAX_SAFE_INTEGER ? -1 - value : -1n - BigInt(value);
    }
    case 2: {
      const length = readLength(reader, info, 1, "string");
      reader.at += length;
      return reader.bytes.slice(reader.at - length, reader.at);
    }
    case 3:
      return readText(reader, info);
    case 4: {
      const length = readLength(reader, info, 1, "array");
      const items: CborValue[] = [];
      for (let i = 0; i < length; i++) items.push(readItem(reader, depth + 1));
      return items;
    }
    case 5:
      return readMap(reader, info, depth);
    case 6:
      return readTagged(reader, info, depth);
    default:
      return readSimple(info);
  }
}

/**
 * Decodes one CBOR item, with or without the self-describing tag; maps come back as `Map` with text keys,
 * integers beyond 2^53 and big numbers (tag 2, at most 32 bytes) as bigint, byte strings as copies. Refuses
 * (code `cbor_invalid`) truncation, trailing bytes, indefinite lengths, other tags, floating-point numbers,
 * text that is not UTF-8, duplicate or non-text keys, nesting over 512. Never allocates more than a small
 * multiple of the input; with `itemsMax`, holds no more than so many values, which bounds the time as well.
 */
export function decodeCbor(bytes: Uint8Array, itemsMax: number = Number.MAX_SAFE_INTEGER): CborValue {
  const reader: Reader = { bytes: plain(bytes), at: 0, itemsLeft: itemsMax };
  try {
    const value = readItem(reader, 1);
    if (reader.at !== bytes.length) throw new Error("trailing bytes");
    return value;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new OrreryError("cbor_invalid", `not acceptable CBOR: ${why}`, { cause });
  }
}

/** True when the bytes open with the self-describing tag. */
export function hasSelfDescribeTag(bytes: Uint8Array): boolean {
  return bytes[0] === 0xd9 && bytes[1] === 0xd9 && bytes[2] === 0xf7;
}

const encoders = {
  undefined: (): Token[] => [new Token(Type.null, null)],
};

/**
 * Deterministic encoding (RFC 8949 §4.2.1) without the tag. Objects and maps drop fields whose value is
 * undefined; numbers that are not integers of CBOR's range, exactly held, are `cbor_invalid`.
 */
export function encodeCborBare(value: CborValue): Uint8Array {
  return plain(encode(prune(value), { ...rfc8949EncodeOptions, typeEncoders: encoders as never }));
}

/** The same with the self-describing tag 55799 in front. */
export function encodeCbor(value: CborValue): Uint8Array {
  const body = encodeCborBare(value);
  const out = new Uint8Array(body.length + 3);
  out.set(SELF_DESCRIBE);
  out.set(body, 3);
  return out;
}

const INTEGER_LIMIT: bigint = 1n << 64n;

/** The value with undefined fields dropped; refuses numbers that would lose their value. */
function prune(value: CborValue): CborValue {
  const inexact = typeof value === "number" && !Number.isSafeInteger(value);
  if (inexact || (typeof value === "bigint" && (value >= INTEGER_LIMIT || value < -INTEGER_LIMIT))) {
    throw new OrreryError("cbor_invalid", `not an integer that CBOR holds in 64 bits: ${value}`);
  }
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(prune);
  const entries = value instanceof Map ? [...value] : Object.entries(value as Record<string, CborValue>);
  const out = new Map<string, CborValue>();
  for (const [key, inner] of entries) if (inner !== undefined) out.set(key, prune(inner));
  return out;
}
