/**
 * Building blocks of the durable encoding: a `Codec<T>` writes a value as CBOR and maps decoded CBOR strictly back. Records become
 * maps with their field names, so the bytes are deterministic (RFC 8949 §4.2.1) and one value has one encoding. `record` asks for
 * a codec of every field of the type: a new field does not compile until its durable form is written. Whatever is not exactly
 * as encoded is `record_invalid`.
 */
import { type CborValue, decodeCbor, equalBytes, OrreryError } from "@orrery/base";
import { CborWriter, sortedKeys } from "./cbor-writer.ts";

export interface Codec<T> {
  write(out: CborWriter, value: T): void;
  decode(value: CborValue): T;
}

function invalid(expected: string): OrreryError {
  return new OrreryError("record_invalid", `not a durable record of this version: expected ${expected}`);
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

/** Strict: also refuses bytes that are not the one encoding of their value. */
export function decodeWith<T>(codec: Codec<T>, bytes: Uint8Array): T {
  let value: T;
  try {
    value = codec.decode(decodeCbor(bytes));
  } catch (cause) {
    if (cause instanceof OrreryError && cause.code === "cbor_invalid")
      throw invalid(`CBOR: ${cause.message}`);
    throw cause;
  }
  if (!equalBytes(encodeWith(codec, value), bytes)) throw invalid("the deterministic encoding");
  return value;
}

export const bytes: Codec<Uint8Array> = {
  write: (out, value) => out.bytes(value),
  decode(value) {
    if (!(value instanceof Uint8Array)) throw invalid("a byte string");
    // A copy: the decoded piece must not keep the whole file buffer alive.
    return value.slice();
  },
};

/** Bytes under a brand of the vocabulary (principals). */
export function branded<T extends Uint8Array>(): Codec<T> {
  return bytes as unknown as Codec<T>;
}

export const text: Codec<string> = {
  write: (out, value) => out.text(value),
  decode(value) {
    if (typeof value !== "string") throw invalid("text");
    return value;
  },
};

export const bool: Codec<boolean> = {
  write: (out, value) => out.bool(value),
  decode(value) {
    if (typeof value !== "boolean") throw invalid("a boolean");
    return value;
  },
};

/** A safe integer of either sign. */
export const integer: Codec<number> = {
  write(out, value) {
    if (!Number.isSafeInteger(value)) throw invalid(`a safe integer, not ${value}`);
    out.integer(value);
  },
  decode(value) {
    if (typeof value !== "number" || !Number.isSafeInteger(value)) throw invalid("a safe integer");
    return value;
  },
};

const U64_END: bigint = 1n << 64n;

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
  decode(value) {
    if (typeof value === "bigint") return value;
    if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
    if (!(value instanceof Uint8Array) || value.length < 2) throw invalid("an integer");
    let n = 0n;
    for (const b of value.subarray(1)) n = (n << 8n) | BigInt(b);
    return value[0] === 0 ? n : -n;
  },
};

export function nullable<T>(inner: Codec<T>): Codec<T | null> {
  return {
    write: (out, value) => (value === null ? out.null() : inner.write(out, value)),
    decode: (value) => (value === null || value === undefined ? null : inner.decode(value)),
  };
}

/** A field that may be missing; it is then not written. Only as a field of a record. */
export function optional<T>(inner: Codec<T>): Codec<T | undefined> {
  return {
    write: (out, value) => {
      if (value !== undefined) inner.write(out, value);
    },
    decode: (value) => (value === undefined ? undefined : inner.decode(value)),
  };
}

export function list<T>(inner: Codec<T>): Codec<T[]> {
  return {
    write(out, value) {
      out.list(value.length);
      for (const item of value) inner.write(out, item);
    },
    decode(value) {
      if (!Array.isArray(value)) throw invalid("a list");
      return (value as readonly CborValue[]).map((item) => inner.decode(item));
    },
  };
}

function fieldsOf(value: CborValue): ReadonlyMap<string, CborValue> {
  if (!(value instanceof Map)) throw invalid("a map");
  return value as ReadonlyMap<string, CborValue>;
}

type FieldCodecs<T> = { readonly [K in keyof T]-?: Codec<T[K]> };

export function record<T extends object>(fields: FieldCodecs<T>): Codec<T> {
  const codecs = fields as unknown as Readonly<Record<string, Codec<unknown>>>;
  const entries = sortedKeys(Object.keys(fields)).map(({ key, encoded }) => ({
    key,
    encoded,
    codec: codecs[key] as Codec<unknown>,
  }));
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
    decode(value) {
      const map = fieldsOf(value);
      const out: Record<string, unknown> = {};
      for (const { key, codec } of entries) {
        const field = codec.decode(map.get(key));
        if (field !== undefined) out[key] = field;
      }
      for (const name of map.keys())
        if (!(name in fields)) throw invalid(`no field \`${name.slice(0, 40)}\``);
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
  const codecOf = (kind: CborValue): Codec<object> => {
    const codec = typeof kind === "string" ? codecs.get(kind) : undefined;
    if (codec === undefined) throw invalid(`one of the kinds ${[...codecs.keys()].join(", ")}`);
    return codec;
  };
  return {
    write: (out, value) => codecOf(value.kind).write(out, value),
    decode: (value) => codecOf(fieldsOf(value).get("kind")).decode(value) as T,
  };
}

export function literal<T extends string>(...allowed: readonly T[]): Codec<T> {
  return {
    write: (out, value) => out.text(value),
    decode(value) {
      if (!allowed.includes(value as T)) throw invalid(`one of ${allowed.join(", ")}`);
      return value as T;
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
    decode: (value) => new Map([...fieldsOf(value)].map(([key, item]) => [key, inner.decode(item)])),
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
    decode: (value) => new Map(values.decode(value).map((item) => [item.id, item])),
  };
}
