/**
 * Representation-independent hashing of structured data and request ids (interface spec,
 * "Representation-independent hashing of structured data", "Request ids"). The result does not depend on the
 * order or the encoding of fields; whatever field is present counts, known or not.
 */
import {
  type CborMap,
  type CborValue,
  encodeSleb128,
  encodeUleb128,
  equalBytes,
  OrreryError,
  type RequestId,
  utf8,
} from "@orrery/base";
import { sha256, sha256All } from "./hashes.ts";
import {
  DIGEST_BYTES,
  type Digest,
  digestBytes,
  digestFromBytes,
  digestOfBytes,
  digestOfDigests,
  SHORT_MESSAGE_BYTES_MAX,
} from "./sha256-short.ts";

/** Nested maps and arrays deeper than this are refused; requests nest three levels. */
const HASH_DEPTH_MAX = 64;
/** Up to this number of fields insertion is faster than a call of the sorting function, which allocates. */
const FEW_FIELDS_MAX = 16;
/** Longer values are not compared with the one before: they hardly ever come twice. */
const REPEATED_BYTES_MAX = 32;

function invalid(what: string): OrreryError {
  return new OrreryError("request_hash_invalid", `not hashable as structured data: ${what}`);
}

const NO_BYTES: Uint8Array = new Uint8Array(0);

function digestOf(bytes: Uint8Array): Digest {
  return bytes.length <= SHORT_MESSAGE_BYTES_MAX
    ? digestOfBytes(NO_BYTES, bytes)
    : digestFromBytes(sha256(bytes));
}

function digestOfText(text: string): Digest {
  return KNOWN_TEXTS.get(text) ?? digestOf(utf8(text));
}

/** Field names and kinds of requests: texts that come with every one of them, so their hashes are kept. */
const KNOWN_TEXTS: ReadonlyMap<string, Digest> = new Map(
  [
    ...["request_type", "sender", "nonce", "ingress_expiry", "canister_id", "method_name", "arg", "paths"],
    ...["sender_info", "info", "signer", "sig", "pubkey", "expiration", "targets"],
    ...["call", "query", "read_state"],
  ].map((text) => [text, digestOf(utf8(text))]),
);

/** The value that a field had last, and its hash: senders, canisters, methods and expiries come again and again. */
interface LastValue {
  value: string | bigint | Uint8Array;
  digest: Digest;
}

const LAST_VALUES: ReadonlyMap<string, LastValue> = new Map(
  ["sender", "ingress_expiry", "canister_id", "method_name", "arg"].map((name) => [
    name,
    { value: "", digest: digestOf(NO_BYTES) },
  ]),
);

function digestOfField(name: string, value: CborValue, depth: number): Digest {
  const last = LAST_VALUES.get(name);
  if (last === undefined) return digestOfValue(value, depth);
  if (value instanceof Uint8Array) {
    if (last.value instanceof Uint8Array && equalBytes(last.value, value)) return last.digest;
  } else if (value === last.value) return last.digest;
  const digest = digestOfValue(value, depth);
  if (value instanceof Uint8Array) {
    // A copy: what the caller does with the bytes afterwards must not reach another request's hash.
    if (value.length <= REPEATED_BYTES_MAX) setLast(last, value.slice(), digest);
  } else if (typeof value === "bigint" || (typeof value === "string" && value.length <= REPEATED_BYTES_MAX)) {
    setLast(last, value, digest);
  }
  return digest;
}

function setLast(last: LastValue, value: LastValue["value"], digest: Digest): void {
  last.value = value;
  last.digest = digest;
}

function digestOfValue(value: CborValue, depth: number): Digest {
  if (depth > HASH_DEPTH_MAX) throw invalid(`nesting over ${HASH_DEPTH_MAX} levels`);
  if (value instanceof Uint8Array) return digestOf(value);
  if (typeof value === "string") return digestOfText(value);
  if (typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value))) {
    return digestOf(value < 0 ? encodeSleb128(value) : encodeUleb128(value));
  }
  if (Array.isArray(value)) {
    return digestOfAll(value.map((inner: CborValue) => digestOfValue(inner, depth + 1)));
  }
  if (value instanceof Map) return digestOfEntries(value, depth);
  if (typeof value === "object" && value !== null) return digestOfEntries(Object.entries(value), depth);
  throw invalid(`a value of type ${value === null ? "null" : typeof value}`);
}

function digestOfAll(digests: readonly Digest[]): Digest {
  return digests.length * DIGEST_BYTES <= SHORT_MESSAGE_BYTES_MAX
    ? digestOfDigests(digests)
    : digestFromBytes(sha256All(digests.map(digestBytes)));
}

/** Each name and its value after it, in the order of the names' hashes: no two fields have the same. */
function digestOfEntries(entries: Iterable<readonly [string, CborValue]>, depth: number): Digest {
  const digests: Digest[] = [];
  for (const [name, value] of entries) {
    // An omitted optional field and an explicit null or undefined are the same thing.
    if (value === undefined || value === null) continue;
    const digest = digestOfField(name, value, depth + 1);
    digests.push(digestOfText(name), digest);
  }
  return digestOfAll(digests.length <= 2 * FEW_FIELDS_MAX ? insertionSorted(digests) : sorted(digests));
}

/** Pairs in order, in place. */
function insertionSorted(pairs: Digest[]): readonly Digest[] {
  for (let i = 2; i < pairs.length; i += 2) {
    const name = pairs[i] as Digest;
    const value = pairs[i + 1] as Digest;
    let at = i;
    for (; at > 0 && compareDigests(pairs[at - 2] as Digest, name) > 0; at -= 2) {
      pairs[at] = pairs[at - 2] as Digest;
      pairs[at + 1] = pairs[at - 1] as Digest;
    }
    pairs[at] = name;
    pairs[at + 1] = value;
  }
  return pairs;
}

function sorted(pairs: readonly Digest[]): readonly Digest[] {
  const fields: { readonly name: Digest; readonly value: Digest }[] = [];
  for (let i = 0; i < pairs.length; i += 2)
    fields.push({ name: pairs[i] as Digest, value: pairs[i + 1] as Digest });
  fields.sort((a, b) => compareDigests(a.name, b.name));
  return fields.flatMap(({ name, value }) => [name, value]);
}

/** In the order of their bytes. */
function compareDigests(x: Digest, y: Digest): number {
  return (
    (x.a >>> 0) - (y.a >>> 0) ||
    (x.b >>> 0) - (y.b >>> 0) ||
    (x.c >>> 0) - (y.c >>> 0) ||
    (x.d >>> 0) - (y.d >>> 0) ||
    (x.e >>> 0) - (y.e >>> 0) ||
    (x.f >>> 0) - (y.f >>> 0) ||
    (x.g >>> 0) - (y.g >>> 0) ||
    (x.h >>> 0) - (y.h >>> 0)
  );
}

/**
 * Hash of a map: 32 bytes. Blobs are hashed as they are, text as UTF-8, naturals as shortest unsigned and
 * negative integers as shortest signed LEB128, arrays and maps recursively. Booleans and floats are
 * `request_hash_invalid`.
 */
export function hashOfMap(fields: CborMap): Uint8Array {
  return digestBytes(digestOfEntries(fields, 0));
}

/** The request id of a request's content. */
export function requestId(fields: CborMap): RequestId {
  return hashOfMap(fields);
}
