/**
 * Representation-independent hashing of structured data and request ids (interface spec,
 * "Representation-independent hashing of structured data", "Request ids"). The result does not depend on the
 * order or the encoding of fields; whatever field is present counts, known or not.
 */
import {
  type CborMap,
  type CborValue,
  compareBytes,
  encodeSleb128,
  encodeUleb128,
  OrreryError,
  type RequestId,
  utf8,
} from "@orrery/base";
import { sha256, sha256All } from "./hashes.ts";

/** Nested maps and arrays deeper than this are refused; requests nest three levels. */
const HASH_DEPTH_MAX = 64;
/** Up to this number of fields insertion is faster than a call of the sorting function, which allocates. */
const FEW_FIELDS_MAX = 16;

function invalid(what: string): OrreryError {
  return new OrreryError("request_hash_invalid", `not hashable as structured data: ${what}`);
}

/** Field names and kinds of requests: texts that come with every one of them, so their hashes are kept. */
const KNOWN_TEXTS: ReadonlyMap<string, Uint8Array> = new Map(
  [
    ...["request_type", "sender", "nonce", "ingress_expiry", "canister_id", "method_name", "arg", "paths"],
    ...["sender_info", "info", "signer", "sig", "pubkey", "expiration", "targets"],
    ...["call", "query", "read_state"],
  ].map((text) => [text, sha256(utf8(text))]),
);

function hashOfText(text: string): Uint8Array {
  return KNOWN_TEXTS.get(text) ?? sha256(utf8(text));
}

function hashOfValue(value: CborValue, depth: number): Uint8Array {
  if (depth > HASH_DEPTH_MAX) throw invalid(`nesting over ${HASH_DEPTH_MAX} levels`);
  if (value instanceof Uint8Array) return sha256(value);
  if (typeof value === "string") return hashOfText(value);
  if (typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value))) {
    return sha256(value < 0 ? encodeSleb128(value) : encodeUleb128(value));
  }
  if (Array.isArray(value)) return sha256All(value.map((inner: CborValue) => hashOfValue(inner, depth + 1)));
  if (value instanceof Map) return hashOfEntries([...value], depth);
  if (typeof value === "object" && value !== null) {
    return hashOfEntries(Object.entries(value as Readonly<Record<string, CborValue>>), depth);
  }
  throw invalid(`a value of type ${value === null ? "null" : typeof value}`);
}

interface HashedField {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

function hashOfEntries(entries: readonly (readonly [string, CborValue])[], depth: number): Uint8Array {
  const hashed: HashedField[] = [];
  for (let i = 0; i < entries.length; i++) {
    const [name, value] = entries[i] as readonly [string, CborValue];
    // An omitted optional field and an explicit null or undefined are the same thing.
    if (value === undefined || value === null) continue;
    hashed.push({ name: hashOfText(name), value: hashOfValue(value, depth + 1) });
  }
  sortByName(hashed);
  const parts: Uint8Array[] = [];
  for (let i = 0; i < hashed.length; i++) {
    const { name, value } = hashed[i] as HashedField;
    parts.push(name, value);
  }
  return sha256All(parts);
}

/** By the concatenation of both hashes, which the names decide: no two fields have the same. Few are sorted by insertion. */
function sortByName(fields: HashedField[]): void {
  if (fields.length > FEW_FIELDS_MAX) {
    fields.sort((a, b) => compareBytes(a.name, b.name));
    return;
  }
  for (let i = 1; i < fields.length; i++) {
    const field = fields[i] as HashedField;
    let at = i;
    for (; at > 0 && compareBytes((fields[at - 1] as HashedField).name, field.name) > 0; at--)
      fields[at] = fields[at - 1] as HashedField;
    fields[at] = field;
  }
}

/**
 * Hash of a map: 32 bytes. Blobs are hashed as they are, text as UTF-8, naturals as shortest unsigned and
 * negative integers as shortest signed LEB128, arrays and maps recursively. Booleans and floats are
 * `request_hash_invalid`.
 */
export function hashOfMap(fields: CborMap): Uint8Array {
  return hashOfEntries([...fields], 0);
}

/** The request id of a request's content. */
export function requestId(fields: CborMap): RequestId {
  return hashOfMap(fields);
}
