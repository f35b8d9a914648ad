/**
 * Decoding of Candid arguments of management calls by what the message says of itself (Candid specification, "Deserialisation"),
 * then by readers that coerce as subtyping allows. Written for hostile input: work and depth are bounded by constants and the
 * message's length, so that every node refuses the same messages whatever its stack; numbers longer than any field are refused.
 */
import {
  CANDID_MAGIC,
  candidFieldId,
  err,
  ok,
  PRINCIPAL_BYTES_MAX,
  type Principal,
  type Result,
  CANDID_TYPE as TYPE,
  utf8Decode,
} from "@orrery/base";

const DEPTH_MAX = 32;
const TABLE_MAX = 4_096;
/** 2^128 takes 19 bytes; a number longer than this is in no management argument. */
const NUMBER_BYTES_MAX = 40;
/** Far more values than any management argument has; blobs count as one. */
const VALUES_MAX = 65_536;

/** A value with the type code that the message gave it. */
export type CandidValue =
  | { readonly kind: "none" }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "number"; readonly type: number; readonly value: bigint }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "principal"; readonly value: Principal }
  | { readonly kind: "blob"; readonly value: Uint8Array }
  /** `value`: the bits. */
  | { readonly kind: "float"; readonly type: number; readonly value: bigint }
  | { readonly kind: "opt"; readonly value: CandidValue | null }
  | { readonly kind: "vec"; readonly value: readonly CandidValue[] }
  | { readonly kind: "record"; readonly value: ReadonlyMap<number, CandidValue> }
  | { readonly kind: "variant"; readonly tag: number; readonly value: CandidValue }
  | { readonly kind: "func"; readonly principal: Principal; readonly method: string }
  | { readonly kind: "other" };

export type CandidRecord = ReadonlyMap<number, CandidValue>;

class Invalid extends Error {}

type TableEntry =
  | { readonly type: typeof TYPE.opt | typeof TYPE.vec; readonly inner: number }
  | {
      readonly type: typeof TYPE.record | typeof TYPE.variant;
      readonly fields: readonly (readonly [number, number])[];
    }
  | { readonly type: typeof TYPE.func | typeof TYPE.service };

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #values = 0;
  #table: TableEntry[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The arguments in order. */
  arguments(): CandidValue[] {
    const magic = this.#take(4);
    if (CANDID_MAGIC.some((b, i) => magic[i] !== b))
      throw new Invalid("the message does not begin with DIDL");
    this.#readTable();
    const types = Array.from({ length: this.#bounded(this.#length()) }, () => this.#signed());
    const values = types.map((type) => this.#value(type, 0));
    if (this.#at !== this.#bytes.length) throw new Invalid("bytes are left over after the last argument");
    return values;
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) throw new Invalid("the message ends early");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #bounded(count: number): number {
    if (count > this.#bytes.length) throw new Invalid("a list is longer than the message");
    if (count > VALUES_MAX) throw new Invalid(`more than ${VALUES_MAX} values`);
    return count;
  }

  #leb(): { value: bigint; bits: number; negative: boolean } {
    let value = 0n;
    for (let i = 0; i < NUMBER_BYTES_MAX; i++) {
      const b = this.#take(1)[0] as number;
      value |= BigInt(b & 0x7f) << BigInt(7 * i);
      if ((b & 0x80) === 0) return { value, bits: 7 * (i + 1), negative: (b & 0x40) !== 0 };
    }
    throw new Invalid(`a number has more than ${NUMBER_BYTES_MAX} bytes`);
  }

  #length(): number {
    const { value } = this.#leb();
    if (value >= 1n << 32n) throw new Invalid("a length is over 32 bits");
    return Number(value);
  }

  #signedBig(): bigint {
    const { value, bits, negative } = this.#leb();
    return negative ? value - (1n << BigInt(bits)) : value;
  }

  #signed(): number {
    const value = this.#signedBig();
    if (value < -24n || value >= BigInt(this.#table.length)) throw new Invalid(`unknown type ${value}`);
    return Number(value);
  }

  #readTable(): void {
    const count = this.#length();
    if (count > TABLE_MAX) throw new Invalid(`more than ${TABLE_MAX} types`);
    // References may point forward, so the table has its length before its entries are read.
    this.#table = Array.from({ length: count }, () => ({ type: TYPE.func }));
    for (let i = 0; i < count; i++) this.#table[i] = this.#entry();
  }

  #entry(): TableEntry {
    const type = Number(this.#signedBig());
    if (type === TYPE.opt || type === TYPE.vec) return { type, inner: this.#signed() };
    if (type === TYPE.record || type === TYPE.variant) {
      const fields: [number, number][] = [];
      for (let left = this.#bounded(this.#length()); left > 0; left--) {
        const id = this.#length();
        const previous = fields.at(-1);
        if (previous !== undefined && previous[0] >= id)
          throw new Invalid("fields are not in increasing order");
        fields.push([id, this.#signed()]);
      }
      return { type, fields };
    }
    if (type === TYPE.func) {
      for (let list = 0; list < 2; list++)
        for (let n = this.#bounded(this.#length()); n > 0; n--) this.#signed();
      this.#take(this.#length());
      return { type };
    }
    if (type === TYPE.service) {
      for (let n = this.#bounded(this.#length()); n > 0; n--) {
        this.#take(this.#length());
        this.#signed();
      }
      return { type };
    }
    throw new Invalid(`unknown type constructor ${type}`);
  }

  #value(type: number, depth: number): CandidValue {
    if (++this.#values > VALUES_MAX) throw new Invalid(`more than ${VALUES_MAX} values`);
    if (depth > DEPTH_MAX) throw new Invalid(`values nest deeper than ${DEPTH_MAX}`);
    if (type >= 0) return this.#compound(this.#table[type] as TableEntry, depth);
    switch (type) {
      case TYPE.null:
      case TYPE.reserved:
        return { kind: "none" };
      case TYPE.bool: {
        const b = this.#take(1)[0] as number;
        if (b > 1) throw new Invalid("a bool is neither 0 nor 1");
        return { kind: "bool", value: b === 1 };
      }
      case TYPE.nat:
        return { kind: "number", type, value: this.#leb().value };
      case TYPE.int:
        return { kind: "number", type, value: this.#signedBig() };
      case TYPE.text: {
        const text = utf8Decode(this.#take(this.#length()));
        if (text === null) throw new Invalid("a text is not UTF-8");
        return { kind: "text", value: text };
      }
      case TYPE.principal:
        return { kind: "principal", value: this.#principal() };
      case TYPE.float32:
      case TYPE.float64:
        return { kind: "float", type, value: this.#littleEndian(type === TYPE.float32 ? 4 : 8) };
      default:
        return this.#fixed(type);
    }
  }

  #fixed(type: number): CandidValue {
    const natural = type <= TYPE.nat8 && type >= TYPE.nat64;
    const integer = type <= TYPE.int8 && type >= TYPE.int64;
    if (!natural && !integer) throw new Invalid(`a value of type ${type}`);
    const size = 2 ** (natural ? TYPE.nat8 - type : TYPE.int8 - type);
    const value = this.#littleEndian(size);
    return { kind: "number", type, value: natural ? value : BigInt.asIntN(8 * size, value) };
  }

  #littleEndian(size: number): bigint {
    let value = 0n;
    this.#take(size).forEach((b, i) => {
      value |= BigInt(b) << BigInt(8 * i);
    });
    return value;
  }

  #principal(): Principal {
    if ((this.#take(1)[0] as number) !== 1) throw new Invalid("an opaque reference");
    const length = this.#length();
    if (length > PRINCIPAL_BYTES_MAX)
      throw new Invalid(`a principal has more than ${PRINCIPAL_BYTES_MAX} bytes`);
    return this.#take(length) as Principal;
  }

  #compound(entry: TableEntry, depth: number): CandidValue {
    switch (entry.type) {
      case TYPE.opt: {
        const flag = this.#take(1)[0] as number;
        if (flag > 1) throw new Invalid("an opt is neither 0 nor 1");
        return { kind: "opt", value: flag === 0 ? null : this.#value(entry.inner, depth + 1) };
      }
      case TYPE.vec: {
        const count = this.#length();
        if (entry.inner === TYPE.nat8) return { kind: "blob", value: this.#take(count) };
        const items: CandidValue[] = [];
        for (let i = 0; i < count; i++) items.push(this.#value(entry.inner, depth + 1));
        return { kind: "vec", value: items };
      }
      case TYPE.record:
        return {
          kind: "record",
          value: new Map(entry.fields.map(([id, type]) => [id, this.#value(type, depth + 1)])),
        };
      case TYPE.variant: {
        const chosen = entry.fields[this.#length()];
        if (chosen === undefined) throw new Invalid("a variant's index is out of range");
        return { kind: "variant", tag: chosen[0], value: this.#value(chosen[1], depth + 1) };
      }
      default:
        return this.#reference(entry.type);
    }
  }

  #reference(type: typeof TYPE.func | typeof TYPE.service): CandidValue {
    if (type === TYPE.func && (this.#take(1)[0] as number) !== 1) throw new Invalid("an opaque reference");
    const principal = this.#principal();
    if (type !== TYPE.func) return { kind: "other" };
    const method = utf8Decode(this.#take(this.#length()));
    if (method === null) throw new Invalid("a method's name is not UTF-8");
    return { kind: "func", principal, method };
  }
}

/**
 * Decodes a message whose first argument is a record (or that has no argument) and reads it with `read`; the error is a sentence
 * for the caller.
 */
export function decodeRecord<T>(bytes: Uint8Array, read: (record: CandidRecord) => T): Result<T, string> {
  try {
    const first = new Reader(bytes).arguments()[0];
    if (first !== undefined && first.kind !== "record") throw new Invalid("the argument is not a record");
    return ok(read(first?.value ?? new Map()));
  } catch (cause) {
    if (cause instanceof Invalid) return err(cause.message);
    throw cause;
  }
}

export type Read<T> = (value: CandidValue, what: string) => T;

export function required<T>(record: CandidRecord, name: string, read: Read<T>): T {
  const value = record.get(candidFieldId(name));
  if (value === undefined) throw new Invalid(`field ${name} is missing`);
  return read(value, name);
}

/**
 * `opt` fields: absent and null are null, a plain value is itself. A value of another type is refused rather than taken for null:
 * a setting that cannot be read must not look as if it had been applied.
 */
export function optional<T>(record: CandidRecord, name: string, read: Read<T>): T | null {
  const value = record.get(candidFieldId(name));
  if (value === undefined || value.kind === "none") return null;
  const inner = value.kind === "opt" ? value.value : value;
  return inner === null ? null : read(inner, name);
}

function wrong(what: string, expected: string): Invalid {
  return new Invalid(`field ${what} is not ${expected}`);
}

function readNumber(type: "nat" | "nat32" | "nat64" | "int32" | "int64"): Read<bigint> {
  return (value, what) => {
    if (value.kind !== "number" || value.type !== TYPE[type])
      throw wrong(what, `${type.startsWith("i") ? "an" : "a"} ${type}`);
    return value.value;
  };
}

export const readNat: Read<bigint> = readNumber("nat");
export const readNat64: Read<bigint> = readNumber("nat64");
export const readNat32: Read<bigint> = readNumber("nat32");

export const readBool: Read<boolean> = (value, what) => {
  if (value.kind !== "bool") throw wrong(what, "a bool");
  return value.value;
};

export const readText: Read<string> = (value, what) => {
  if (value.kind !== "text") throw wrong(what, "a text");
  return value.value;
};

export const readPrincipal: Read<Principal> = (value, what) => {
  if (value.kind !== "principal") throw wrong(what, "a principal");
  return value.value;
};

export const readBlob: Read<Uint8Array> = (value, what) => {
  if (value.kind !== "blob") throw wrong(what, "a blob");
  return value.value;
};

/** A blob with a bounded length. */
export function readBlobOf(bytes: { readonly min: number; readonly max: number }): Read<Uint8Array> {
  return (value, what) => {
    const blob = readBlob(value, what);
    if (blob.length < bytes.min || blob.length > bytes.max)
      throw wrong(what, `a blob of ${bytes.min} to ${bytes.max} bytes, but of ${blob.length}`);
    return blob;
  };
}

/** A signed integer of fixed width. */
export function readInteger(type: "int32" | "int64"): Read<bigint> {
  return readNumber(type);
}

/** The bits of a floating-point number. */
export function readFloat(type: "float32" | "float64"): Read<bigint> {
  return (value, what) => {
    if (value.kind !== "float" || value.type !== TYPE[type]) throw wrong(what, `a ${type}`);
    return value.value;
  };
}

export const readFunc: Read<{ readonly principal: Principal; readonly method: string }> = (value, what) => {
  if (value.kind !== "func") throw wrong(what, "a function reference");
  return value;
};

export const readRecord: Read<CandidRecord> = (value, what) => {
  if (value.kind !== "record") throw wrong(what, "a record");
  return value.value;
};

/** A vector with a bounded length. */
export function readVec<T>(read: Read<T>, max: number = Number.POSITIVE_INFINITY): Read<readonly T[]> {
  return (value, what) => {
    // An empty vector of anything may come as an empty blob and the other way round.
    if (value.kind === "blob" && value.value.length === 0) return [];
    if (value.kind !== "vec") throw wrong(what, "a vector");
    if (value.value.length > max)
      throw new Invalid(`Deserialize error: The number of elements exceeds maximum allowed ${max}`);
    return value.value.map((item) => read(item, what));
  };
}

/** Reads a variant whose tags are the keys of `cases`. */
export function readVariant<T>(cases: Readonly<Record<string, Read<T>>>): Read<T> {
  const byTag = new Map(Object.entries(cases).map(([name, read]) => [candidFieldId(name), read]));
  return (value, what) => {
    if (value.kind !== "variant") throw wrong(what, "a variant");
    const read = byTag.get(value.tag);
    if (read === undefined) throw wrong(what, `one of ${Object.keys(cases).join(", ")}`);
    return read(value.value, what);
  };
}
