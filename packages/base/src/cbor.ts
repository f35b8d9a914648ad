/**
 * CBOR as the HTTPS interface uses it (interface spec, "CBOR encoding of requests and responses"): tag 55799, text keys, no
 * duplicates, bounded size and depth. `CborMap` keeps unknown fields, since they are part of a request's hash.
 */
import { decode, encode, rfc8949EncodeOptions, Token, Type } from "cborg";
import { OrreryError } from "./errors.ts";

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

function bignum(): (value: () => Uint8Array) => bigint {
  return (inner) => {
    const value = inner() as unknown;
    if (!(value instanceof Uint8Array)) throw new Error("tag 2 must hold a byte string");
    if (value.length > 32) throw new Error("bignum over 32 bytes");
    let n = 0n;
    for (const b of value) n = (n << 8n) | BigInt(b);
    return n;
  };
}

/** Scans lengths and nesting without building anything, so that a bomb costs one pass over the bytes that are really there. */
function checkBounds(bytes: Uint8Array): void {
  const pending: number[] = [1];
  let at = 0;
  while (pending.length > 0) {
    const top = pending.length - 1;
    if ((pending[top] as number) === 0) {
      pending.pop();
      continue;
    }
    pending[top] = (pending[top] as number) - 1;
    if (pending.length > CBOR_DEPTH_MAX) throw new Error(`nesting over ${CBOR_DEPTH_MAX} levels`);
    const initial = bytes[at++];
    if (initial === undefined) throw new Error("truncated");
    const major = initial >> 5;
    const info = initial & 31;
    if (info > 27) throw new Error("indefinite or reserved length");
    let length = info;
    if (info >= 24) {
      const n = 1 << (info - 24);
      if (at + n > bytes.length) throw new Error("truncated");
      length = 0;
      for (let i = 0; i < n; i++) length = length * 256 + (bytes[at + i] as number);
      at += n;
    }
    if (major === 2 || major === 3) {
      if (length > bytes.length - at) throw new Error("string longer than the input");
      at += length;
    } else if (major === 4 || major === 5) {
      const items = major === 5 ? 2 * length : length;
      if (items > bytes.length - at) throw new Error("collection longer than the input");
      pending.push(items);
    } else if (major === 6) {
      pending.push(1);
    }
  }
  if (at !== bytes.length) throw new Error("trailing bytes");
}

function requireTextKeys(value: unknown): void {
  if (value instanceof Map) {
    for (const [key, inner] of value) {
      if (typeof key !== "string") throw new Error("a map key is not text");
      requireTextKeys(inner);
    }
  } else if (Array.isArray(value)) {
    for (const inner of value) requireTextKeys(inner);
  }
}

/**
 * Decodes one CBOR item, with or without the self-describing tag; maps come back as `Map` with text keys, bignums as bigint.
 * Refuses (code `cbor_invalid`) truncation, trailing bytes, indefinite lengths, duplicate or non-text keys, depth over 512.
 */
export function decodeCbor(bytes: Uint8Array): CborValue {
  let at = 0;
  while (at < 9 && bytes[at] === 0xd9 && bytes[at + 1] === 0xd9 && bytes[at + 2] === 0xf7) at += 3;
  const body = at === 0 ? bytes : bytes.subarray(at);
  try {
    checkBounds(body);
    const value = decode(body, {
      useMaps: true,
      allowIndefinite: false,
      allowBigInt: true,
      allowNaN: false,
      allowInfinity: false,
      rejectDuplicateMapKeys: true,
      strict: false,
      tags: { 2: bignum() as never, 55799: ((inner: () => unknown) => inner()) as never },
    }) as CborValue;
    requireTextKeys(value);
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
  bigint: (value: bigint): Token[] | null => {
    if (value >= 0n && value < 1n << 64n) return null;
    throw new OrreryError("cbor_invalid", `integer outside u64: ${value}`);
  },
  undefined: (): Token[] => [new Token(Type.null, null)],
};

/** Deterministic encoding (RFC 8949 §4.2.1) without the tag. Objects drop fields whose value is undefined. */
export function encodeCborBare(value: CborValue): Uint8Array {
  return encode(prune(value), { ...rfc8949EncodeOptions, typeEncoders: encoders as never });
}

/** The same with the self-describing tag 55799 in front. */
export function encodeCbor(value: CborValue): Uint8Array {
  const body = encodeCborBare(value);
  const out = new Uint8Array(body.length + 3);
  out.set(SELF_DESCRIBE);
  out.set(body, 3);
  return out;
}

function prune(value: CborValue): CborValue {
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(prune);
  const entries = value instanceof Map ? [...value] : Object.entries(value as Record<string, CborValue>);
  const out = new Map<string, CborValue>();
  for (const [key, inner] of entries) if (inner !== undefined) out.set(key, prune(inner));
  return out;
}
