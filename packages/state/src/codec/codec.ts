/**
 * Building blocks of the durable encoding: a `Codec<T>` maps a value to CBOR data and strictly back. Records become maps with
 * their field names, so the bytes are deterministic (RFC 8949 §4.2.1) and one value has one encoding. `record` asks for a codec
 * of every field of the type: a new field does not compile until its durable form is written. Whatever is not exactly as
 * encoded is `record_invalid`.
 */
import { type CborValue, decodeCbor, encodeCborBare, equalBytes, OrreryError } from "@orrery/base";

export interface Codec<T> {
  encode(value: T): CborValue;
  decode(value: CborValue): T;
}

function invalid(expected: string): OrreryError {
  return new OrreryError("record_invalid", `not a durable record of this version: expected ${expected}`);
}

/** One value as bytes. */
export function encodeWith<T>(codec: Codec<T>, value: T): Uint8Array {
  return encodeCborBare(codec.encode(value));
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
  encode: (value) => value,
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
  encode: (value) => value,
  decode(value) {
    if (typeof value !== "string") throw invalid("text");
    return value;
  },
};

export const bool: Codec<boolean> = {
  encode: (value) => value,
  decode(value) {
    if (typeof value !== "boolean") throw invalid("a boolean");
    return value;
  },
};

/** A safe integer of either sign. */
export const integer: Codec<number> = {
  encode(value) {
    if (!Number.isSafeInteger(value)) throw invalid(`a safe integer, not ${value}`);
    return value;
  },
  decode(value) {
    if (typeof value !== "number" || !Number.isSafeInteger(value)) throw invalid("a safe integer");
    return value;
  },
};

/** An integer of any size and sign: CBOR's own below 2^64, otherwise sign byte (0 or 1) and big-endian magnitude. */
export const bigInteger: Codec<bigint> = {
  encode(value) {
    if (value >= 0n && value < 1n << 64n) return value;
    const digits = (value < 0n ? -value : value).toString(16);
    const hex = digits.length % 2 === 0 ? digits : `0${digits}`;
    const out = new Uint8Array(1 + hex.length / 2);
    out[0] = value < 0n ? 1 : 0;
    for (let i = 1; i < out.length; i++) out[i] = Number.parseInt(hex.slice(2 * i - 2, 2 * i), 16);
    return out;
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
    encode: (value) => (value === null ? null : inner.encode(value)),
    decode: (value) => (value === null || value === undefined ? null : inner.decode(value)),
  };
}

/** A field that may be missing. Only as a field of a record. */
export function optional<T>(inner: Codec<T>): Codec<T | undefined> {
  return {
    encode: (value) => (value === undefined ? undefined : inner.encode(value)),
    decode: (value) => (value === undefined ? undefined : inner.decode(value)),
  };
}

export function list<T>(inner: Codec<T>): Codec<T[]> {
  return {
    encode: (value) => value.map((item) => inner.encode(item)),
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
  const entries = Object.entries(fields) as [string, Codec<unknown>][];
  return {
    encode(value) {
      const out = new Map<string, CborValue>();
      for (const [name, codec] of entries)
        out.set(name, codec.encode((value as Record<string, unknown>)[name]));
      return out;
    },
    decode(value) {
      const map = fieldsOf(value);
      const out: Record<string, unknown> = {};
      for (const [name, codec] of entries) {
        const field = codec.decode(map.get(name));
        if (field !== undefined) out[name] = field;
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
    encode: (value) => codecOf(value.kind).encode(value),
    decode: (value) => codecOf(fieldsOf(value).get("kind")).decode(value) as T,
  };
}

export function literal<T extends string>(...allowed: readonly T[]): Codec<T> {
  return {
    encode: (value) => value,
    decode(value) {
      if (!allowed.includes(value as T)) throw invalid(`one of ${allowed.join(", ")}`);
      return value as T;
    },
  };
}

/** A map with text keys, as a CBOR map. */
export function textMap<V>(inner: Codec<V>): Codec<Map<string, V>> {
  return {
    encode: (value) => new Map([...value].map(([key, item]) => [key, inner.encode(item)])),
    decode: (value) => new Map([...fieldsOf(value)].map(([key, item]) => [key, inner.decode(item)])),
  };
}

/** A map whose values carry their own number: the list of values by ascending number. */
export function numberedMap<V extends { readonly id: number }>(inner: Codec<V>): Codec<Map<number, V>> {
  const values = list(inner);
  return {
    encode: (map) => values.encode([...map.values()].sort((a, b) => a.id - b.id)),
    decode: (value) => new Map(values.decode(value).map((item) => [item.id, item])),
  };
}
