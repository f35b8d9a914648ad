/**
 * CBOR as the replica writes the records of streams: structs as maps from the number of the field to its value, fields that are
 * empty left out. Deterministic (RFC 8949 §4.2.1); the reader takes maps whose keys strictly increase, lengths in their
 * shortest form and nothing behind the value.
 */
import { type CanisterId, OrreryError, PRINCIPAL_BYTES_MAX, utf8Decode } from "@orrery/base";
import type { CborWriter } from "./codec/cbor-writer.ts";

export type PackedValue = bigint | Uint8Array | string | readonly PackedValue[] | PackedStruct;
export type PackedStruct = ReadonlyMap<number, PackedValue>;

/** A field's number with what writes its value; null: left out. */
export type PackedField = readonly [number: number, write: (() => void) | null];

export function writeStruct(out: CborWriter, fields: readonly PackedField[]): void {
  let present = 0;
  for (const [, write] of fields) if (write !== null) present++;
  out.map(present);
  for (const [number, write] of fields) {
    if (write === null) continue;
    out.integer(number);
    write();
  }
}

/** Structs nest five deep at most. */
const DEPTH_MAX = 8;

export function packedInvalid(what: string): OrreryError {
  return new OrreryError("stream_invalid", `not a record of a stream: ${what}`);
}

class Reader {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.at === this.#bytes.length;
  }

  value(depth = 0): PackedValue {
    if (depth > DEPTH_MAX) throw packedInvalid("nesting");
    const initial = this.#byte();
    const head = this.#head(initial & 31);
    switch (initial >> 5) {
      case 0:
        return head;
      case 2:
        return this.#take(head).slice();
      case 3: {
        const text = utf8Decode(this.#take(head).slice());
        if (text === null) throw packedInvalid("text is not UTF-8");
        return text;
      }
      case 4:
        return this.#list(head, depth);
      case 5:
        return this.#struct(head, depth);
      default:
        throw packedInvalid("a kind of value that it has not");
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.at++];
    if (byte === undefined) throw packedInvalid("it ends too early");
    return byte;
  }

  #head(info: number): bigint {
    if (info < 24) return BigInt(info);
    if (info > 27) throw packedInvalid("a length");
    const size = 1 << (info - 24);
    let value = 0n;
    for (let i = 0; i < size; i++) value = (value << 8n) | BigInt(this.#byte());
    const least = size === 1 ? 24n : 1n << BigInt(4 * size);
    if (value < least) throw packedInvalid("a number longer than it has to be");
    return value;
  }

  #take(length: bigint): Uint8Array {
    if (length > BigInt(this.#bytes.length - this.at)) throw packedInvalid("it ends too early");
    const start = this.at;
    this.at += Number(length);
    return this.#bytes.subarray(start, this.at);
  }

  #list(length: bigint, depth: number): readonly PackedValue[] {
    if (length > BigInt(this.#bytes.length - this.at)) throw packedInvalid("it ends too early");
    return Array.from({ length: Number(length) }, () => this.value(depth + 1));
  }

  #struct(length: bigint, depth: number): PackedStruct {
    const fields = new Map<number, PackedValue>();
    let last = -1;
    for (let i = 0n; i < length; i++) {
      const number = this.#byte();
      if (number > 23 || number <= last) throw packedInvalid("the fields of a struct");
      last = number;
      fields.set(number, this.value(depth + 1));
    }
    return fields;
  }
}

/** One value and nothing behind it; anything else is `stream_invalid`. */
export function decodePacked(bytes: Uint8Array): PackedStruct {
  const reader = new Reader(bytes);
  const value = reader.value();
  if (!reader.done) throw packedInvalid("bytes behind its end");
  return struct(value);
}

export function struct(value: PackedValue | undefined): PackedStruct {
  if (!(value instanceof Map)) throw packedInvalid("a struct is missing");
  return value as PackedStruct;
}

/** Refuses fields that are not among `known`. */
export function onlyFields(value: PackedStruct, known: readonly number[]): PackedStruct {
  for (const number of value.keys()) if (!known.includes(number)) throw packedInvalid(`field ${number}`);
  return value;
}

export function natural(value: PackedValue | undefined, fallback: bigint | null = null): bigint {
  if (value === undefined && fallback !== null) return fallback;
  if (typeof value !== "bigint") throw packedInvalid("a number is missing");
  return value;
}

/** A number that JavaScript holds exactly. */
export function smallNatural(value: PackedValue | undefined): number {
  const number = natural(value);
  if (number > BigInt(Number.MAX_SAFE_INTEGER)) throw packedInvalid("a number is too large");
  return Number(number);
}

export function byteString(value: PackedValue | undefined): Uint8Array {
  if (!(value instanceof Uint8Array)) throw packedInvalid("a byte string is missing");
  return value;
}

export function principalOf(value: PackedValue | undefined): CanisterId {
  const bytes = byteString(value);
  if (bytes.length > PRINCIPAL_BYTES_MAX) throw packedInvalid("a principal is too long");
  return bytes as CanisterId;
}

export function textOf(value: PackedValue | undefined): string {
  if (typeof value !== "string") throw packedInvalid("a text is missing");
  return value;
}
