/**
 * Building blocks of the durable encoding: a `Codec<T>` writes a value as CBOR and reads it strictly back. Records become
 * maps with their field names, so the bytes are deterministic (RFC 8949 §4.2.1) and one value has one encoding. `record` asks for
 * a codec of every field of the type: a new field does not compile until its durable form is written. Whatever is not exactly
 * as encoded is `record_invalid`.
 */
import { compareBytes, equalBytes } from "@orrery/base";
import { CborReader, recordInvalid } from "./cbor-reader.ts";
import { CborWriter, sortedKeys } from "./cbor-writer.ts";

export interface Codec<T> {
  write(out: CborWriter, value: T): void;
  read(from: CborReader): T;
  /** As a field of a record it may be missing. */
  readonly isOptional?: true;
}

/** Writers between uses. */
const writers: CborWriter[] = [];
const KEPT_BYTES_MAX: number = 1 << 20;

/** One value as bytes. */
export function encodeWith<T>(codec: Codec<T>, value: T): Uint8Array {
  const out = writers.pop() ?? new CborWriter();
  codec.write(out, value);
  const encoded = out.finish();
  // A buffer that one huge record made grow is not kept.
  if (encoded.length <= KEPT_BYTES_MAX) writers.push(out);
  return encoded;
}

/** Strict: refuses bytes that are not the one encoding of their value. */
export function decodeWith<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const reader = new CborReader(bytes);
  const value = codec.read(reader);
  if (!reader.isAtEnd) throw recordInvalid("its end");
  return value;
}

/** The decoded piece is a copy, which does not keep the whole file buffer alive. */
export const bytes: Codec<Uint8Array> = {
  write: (out, value) => out.bytes(value),
  read: (from) => from.bytes(),
};

/** Bytes under a brand of the vocabulary (principals). */
export function branded<T extends Uint8Array>(): Codec<T> {
  return bytes as unknown as Codec<T>;
}

export const text: Codec<string> = {
  write: (out, value) => out.text(value),
  read: (from) => from.text(),
};

export const bool: Codec<boolean> = {
  write: (out, value) => out.bool(value),
  read: (from) => from.bool(),
};

/** A safe integer of either sign. */
export const integer: Codec<number> = {
  write(out, value) {
    if (!Number.isSafeInteger(value)) throw recordInvalid(`a safe integer, not ${value}`);
    out.integer(value);
  },
  read: (from) => from.integer(),
};

const U64_END: bigint = 1n << 64n;
const BYTES_MAJOR = 2;

/** An integer of any size and sign: CBOR's own below 2^64, otherwise sign byte (0 or 1) and big-endian magnitude. */
export const bigInteger: Codec<bigint> = {
  write(writer, value) {
    if (value >= 0n && value < U64_END) {
      writer.unsigned(value);
      return;
    }
    const digits = (value < 0n ? -value : value).toString(16);
    const hex = digits.length % 2 === 0 ? digits : `0${digits}`;
    const out = new Uint8Array(1 + hex.length / 2);
    out[0] = value < 0n ? 1 : 0;
    for (let i = 1; i < out.length; i++) out[i] = Number.parseInt(hex.slice(2 * i - 2, 2 * i), 16);
    writer.bytes(out);
  },
  read(from) {
    if (from.major !== BYTES_MAJOR) return from.unsigned();
    const [sign, ...digits] = from.bytes();
    let n = 0n;
    for (const digit of digits) n = (n << 8n) | BigInt(digit);
    const isShortest = digits[0] !== 0 && (sign === 1 ? n > 0n : sign === 0 && n >= U64_END);
    if (!isShortest) throw recordInvalid("an integer in its shortest form");
    return sign === 0 ? n : -n;
  },
};

export function nullable<T>(inner: Codec<T>): Codec<T | null> {
  return {
    write: (out, value) => (value === null ? out.null() : inner.write(out, value)),
    read: (from) => (from.takesNull() ? null : inner.read(from)),
  };
}

/** A field that may be missing; it is then not written. Only as a field of a record. */
export function optional<T>(inner: Codec<T>): Codec<T | undefined> {
  return {
    write: (out, value) => {
      if (value !== undefined) inner.write(out, value);
    },
    read: (from) => inner.read(from),
    isOptional: true,
  };
}

export function list<T>(inner: Codec<T>): Codec<T[]> {
  return {
    write(out, value) {
      out.list(value.length);
      for (const item of value) inner.write(out, item);
    },
    read(from) {
      const items: T[] = [];
      for (let left = from.list(); left > 0; left--) items.push(inner.read(from));
      return items;
    },
  };
}

type FieldCodecs<T> = { readonly [K in keyof T]-?: Codec<T[K]> };

export function record<T extends object>(fields: FieldCodecs<T>): Codec<T> {
  const codecs = fields as unknown as Readonly<Record<string, Codec<unknown>>>;
  const entries = sortedKeys(Object.keys(fields)).map(({ key, encoded }) => ({
    key,
    encoded,
    codec: codecs[key] as Codec<unknown>,
  }));
  const needed = entries.filter(({ codec }) => codec.isOptional !== true).map(({ key }) => [key, null]);
  // An object that got so many fields one by one would be kept as a hash table, of eight times the size.
  const empty = JSON.parse(JSON.stringify(Object.fromEntries(needed))) as Record<string, unknown>;
  return {
    write(out, value) {
      const values = value as Readonly<Record<string, unknown>>;
      let present = 0;
      for (const { key } of entries) if (values[key] !== undefined) present++;
      out.map(present);
      for (const { key, encoded, codec } of entries) {
        if (values[key] === undefined) continue;
        out.raw(encoded);
        codec.write(out, values[key]);
      }
    },
    read(from) {
      let left = from.map();
      const out: Record<string, unknown> = { ...empty };
      for (const { key, encoded, codec } of entries) {
        if (left > 0 && from.takes(encoded)) {
          out[key] = codec.read(from);
          left--;
        } else if (codec.isOptional !== true) throw recordInvalid(`the field \`${key}\` in its place`);
      }
      if (left > 0) throw recordInvalid("no other fields, each in its place");
      return out as T;
    },
  };
}

/** A union told apart by `kind`: a codec of the remaining fields for each. */
export function union<T extends { readonly kind: string }>(
  variants: {
    readonly [K in T["kind"]]: FieldCodecs<Omit<Extract<T, { readonly kind: K }>, "kind">>;
  },
): Codec<T> {
  const codecs = new Map<string, Codec<object>>();
  for (const [kind, fields] of Object.entries(variants)) {
    codecs.set(kind, record<object>({ kind: text, ...(fields as object) } as FieldCodecs<object>));
  }
  const codecOf = (kind: string | null): Codec<object> => {
    const codec = kind === null ? undefined : codecs.get(kind);
    if (codec === undefined) throw recordInvalid(`one of the kinds ${[...codecs.keys()].join(", ")}`);
    return codec;
  };
  return {
    write: (out, value) => codecOf(value.kind).write(out, value),
    read: (from) => codecOf(kindAhead(from)).read(from) as T,
  };
}

const [KIND] = sortedKeys(["kind"]).map(({ encoded }) => encoded) as [Uint8Array];

/** The kind of the union that comes next, which stays unread; null: it has none. */
function kindAhead(from: CborReader): string | null {
  const { at } = from;
  let kind: string | null = null;
  for (let left = from.map(); left > 0 && kind === null; left--) {
    if (from.takes(KIND)) kind = from.text();
    else {
      from.skip();
      from.skip();
    }
  }
  from.goBack(at);
  return kind;
}

export function literal<T extends string>(...allowed: readonly T[]): Codec<T> {
  return {
    write: (out, value) => out.text(value),
    read(from) {
      const value = from.text() as T;
      if (!allowed.includes(value)) throw recordInvalid(`one of ${allowed.join(", ")}`);
      return value;
    },
  };
}

/** A map with text keys, as a CBOR map. */
export function textMap<V>(inner: Codec<V>): Codec<Map<string, V>> {
  return {
    write(out, value) {
      out.map(value.size);
      for (const { key, encoded } of sortedKeys(value.keys())) {
        out.raw(encoded);
        inner.write(out, value.get(key) as V);
      }
    },
    read(from) {
      const map = new Map<string, V>();
      let before: Uint8Array | null = null;
      for (let left = from.map(); left > 0; left--) {
        const { at } = from;
        const key = from.text();
        const encoded = from.since(at);
        if (before !== null && compareBytes(before, encoded) >= 0) throw recordInvalid("keys in their order");
        before = encoded;
        map.set(key, inner.read(from));
      }
      return map;
    },
  };
}

/** A map whose values carry their own number: the list of values by ascending number. */
export function numberedMap<V extends { readonly id: number }>(inner: Codec<V>): Codec<Map<number, V>> {
  const values = list(inner);
  return {
    write: (out, map) =>
      values.write(
        out,
        [...map.values()].sort((a, b) => a.id - b.id),
      ),
    read(from) {
      const items = values.read(from);
      for (const [i, { id }] of items.entries()) {
        if (i > 0 && (items[i - 1] as V).id >= id) throw recordInvalid("numbers in their order");
      }
      return new Map(items.map((item) => [item.id, item]));
    },
  };
}

/** Encodings that are remembered, and how long they may be. */
const REMEMBERED_MAX = 64;
const REMEMBERED_BYTES_MAX: number = 64 * 1024;

/** What many records have alike and nobody changes in place: read once, and the same value for the same bytes. */
export function remembered<T>(inner: Codec<T>): Codec<T> {
  let seen: { readonly encoded: Uint8Array; readonly value: T }[] = [];
  return {
    write: (out, value) => inner.write(out, value),
    read(from) {
      const { at } = from;
      from.skip();
      const encoded = from.since(at);
      const known = seen.find((one) => equalBytes(one.encoded, encoded));
      if (known !== undefined) return known.value;
      from.goBack(at);
      const value = inner.read(from);
      if (encoded.length <= REMEMBERED_BYTES_MAX) {
        if (seen.length >= REMEMBERED_MAX) seen = [];
        seen.push({ encoded: encoded.slice(), value });
      }
      return value;
    },
  };
}
