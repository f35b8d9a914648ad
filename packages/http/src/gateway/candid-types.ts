/**
 * Bytes and type table of a Candid message (Candid specification, "Binary format"). Counts are bounded, so that a table costs no more
 * than reading its bytes, and every reference in it leads somewhere.
 */
import { CANDID_MAGIC, CANDID_TYPE as TYPE } from "@orrery/base";

/** Entries of a type table and fields in it. */
const TABLE_MAX = 10_000;
/** Bytes of a LEB128 number that is kept; longer ones are only skipped. */
const LENGTH_BYTES_MAX = 5;

/** The bytes are no Candid message. */
export class CandidMalformed extends Error {}

export type Field = readonly [id: number, type: number];
export type TableEntry =
  | { readonly kind: "opt"; readonly inner: number }
  | { readonly kind: "vec"; readonly inner: number }
  | { readonly kind: "record"; readonly fields: readonly Field[] }
  | { readonly kind: "variant"; readonly fields: readonly Field[] }
  | { readonly kind: "func" }
  | { readonly kind: "service" }
  | { readonly kind: "future" };

export interface CandidTypes {
  readonly table: readonly TableEntry[];
  /** Types of the arguments. */
  readonly arguments: readonly number[];
  /** The bytes up to and with the table. */
  readonly prefix: Uint8Array;
}

/** A place in a message, from which it is read. */
export class CandidCursor {
  readonly bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.at) throw new CandidMalformed("it ends early");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  byte(): number {
    return this.take(1)[0] as number;
  }

  flag(): boolean {
    const byte = this.byte();
    if (byte > 1) throw new CandidMalformed(`a flag is ${byte}`);
    return byte === 1;
  }

  /** An unsigned LEB128 below 2^32. */
  length(): number {
    let value = 0;
    for (let i = 0; i < LENGTH_BYTES_MAX; i++) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte >= 0x80) continue;
      if (value > 0xffff_ffff) break;
      return value;
    }
    throw new CandidMalformed("a length is over 32 bits");
  }

  count(max: number): number {
    const count = this.length();
    if (count > max) throw new CandidMalformed(`a list of the type table has more than ${max} entries`);
    return count;
  }

  /** A type code or an index of the table: signed LEB128 of at most five bytes. */
  type(): number {
    let value = 0;
    for (let i = 0; i < LENGTH_BYTES_MAX; i++) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return byte >= 0x40 ? value - 2 ** (7 * (i + 1)) : value;
    }
    throw new CandidMalformed("a type is over 32 bits");
  }
}

function readFields(cursor: CandidCursor): readonly Field[] {
  const fields: Field[] = [];
  const count = cursor.count(TABLE_MAX);
  for (let i = 0; i < count; i++) {
    const id = cursor.length();
    if (i > 0 && id <= (fields[i - 1] as Field)[0]) throw new CandidMalformed("fields are out of order");
    fields.push([id, cursor.type()]);
  }
  return fields;
}

function readEntry(cursor: CandidCursor): TableEntry {
  const code = cursor.type();
  switch (code) {
    case TYPE.opt:
      return { kind: "opt", inner: cursor.type() };
    case TYPE.vec:
      return { kind: "vec", inner: cursor.type() };
    case TYPE.record:
      return { kind: "record", fields: readFields(cursor) };
    case TYPE.variant:
      return { kind: "variant", fields: readFields(cursor) };
    case TYPE.func: {
      for (let left = cursor.count(TABLE_MAX); left > 0; left--) cursor.type();
      for (let left = cursor.count(TABLE_MAX); left > 0; left--) cursor.type();
      cursor.take(cursor.count(TABLE_MAX));
      return { kind: "func" };
    }
    case TYPE.service: {
      for (let left = cursor.count(TABLE_MAX); left > 0; left--) {
        cursor.take(cursor.length());
        cursor.type();
      }
      return { kind: "service" };
    }
    default: {
      if (code >= TYPE.principal)
        throw new CandidMalformed("an entry of the type table is no composite type");
      cursor.take(cursor.length());
      return { kind: "future" };
    }
  }
}

function checkType(type: number, entries: number): void {
  const known = type >= 0 ? type < entries : type >= TYPE.empty || type === TYPE.principal;
  if (!known) throw new CandidMalformed(`there is no type ${type}`);
}

function checkEntry(entry: TableEntry, entries: number): void {
  if ("inner" in entry) checkType(entry.inner, entries);
  if ("fields" in entry) for (const [, type] of entry.fields) checkType(type, entries);
}

/** Reads up to the first value; `CandidMalformed` when the message has no types that are whole. */
export function readTypes(cursor: CandidCursor): CandidTypes {
  const magic = cursor.take(CANDID_MAGIC.length);
  if (CANDID_MAGIC.some((byte, at) => magic[at] !== byte))
    throw new CandidMalformed("it does not begin with DIDL");
  const entries = cursor.count(TABLE_MAX);
  const table = Array.from({ length: entries }, () => readEntry(cursor));
  const prefix = cursor.bytes.subarray(0, cursor.at);
  const types = Array.from({ length: cursor.count(TABLE_MAX) }, () => cursor.type());
  for (const entry of table) checkEntry(entry, entries);
  for (const type of types) checkType(type, entries);
  return { table, arguments: types, prefix };
}
