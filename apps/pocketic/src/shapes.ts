/**
 * Readers of JSON values by the shapes of the protocol. Each takes a value and where it stands, and returns it in a type of ours or throws a
 * `ShapeError` that names the place and what was expected. Fields nobody asked for are passed over, as clients of other versions send some.
 */
import { type Json, JsonError, type JsonObject, parseJson } from "./json.ts";

/** A request of the wrong shape: the client's fault. */
export class ShapeError extends Error {}

export type Reader<T> = (value: Json, at: string) => T;

function described(value: Json): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  switch (typeof value) {
    case "object":
      return "an object";
    case "string":
      return `the string ${JSON.stringify(value.slice(0, 40))}`;
    default:
      return String(value);
  }
}

function wrong(value: Json, at: string, expected: string): never {
  const place = at === "" ? "the body" : `\`${at}\``;
  throw new ShapeError(`${place} is ${described(value)}, expected ${expected}`);
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export const string: Reader<string> = (value, at) =>
  typeof value === "string" ? value : wrong(value, at, "a string");

function unsigned(bits: number): Reader<bigint> {
  const end = 1n << BigInt(bits);
  return (value, at) =>
    typeof value === "bigint" && value >= 0n && value < end
      ? value
      : wrong(value, at, `an integer from 0 to 2^${bits}-1`);
}

export const u64: Reader<bigint> = unsigned(64);
export const u128: Reader<bigint> = unsigned(128);

/** One that a `number` holds. */
export const u16: Reader<number> = (value, at) => Number(unsigned(16)(value, at));
/** A count or an id. */
export const index: Reader<number> = (value, at) => Number(unsigned(53)(value, at));

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Standard base64, padded. */
export const bytes: Reader<Uint8Array> = (value, at) => {
  if (typeof value !== "string") wrong(value, at, "bytes in base64");
  if (value.length % 4 !== 0 || !BASE64.test(value)) wrong(value, at, "bytes in padded standard base64");
  return new Uint8Array(Buffer.from(value, "base64"));
};

export function list<T>(item: Reader<T>): Reader<readonly T[]> {
  return (value, at) =>
    Array.isArray(value)
      ? (value as readonly Json[]).map((one, place) => item(one, `${at}[${place}]`))
      : wrong(value, at, "an array");
}

/** Null when the field is absent or null. */
export function optional<T>(reader: Reader<T>): Reader<T | null> {
  return (value, at) => (value === null ? null : reader(value, at));
}

export function oneOf<const T extends string>(...names: readonly T[]): Reader<T> {
  return (value, at) =>
    names.find((name) => name === value) ??
    wrong(value, at, `one of ${names.map((name) => `"${name}"`).join(", ")}`);
}

type Fields = Readonly<Record<string, Reader<unknown>>>;
type Read<F extends Fields> = { readonly [K in keyof F]: ReturnType<F[K]> };

/** An object with these fields; an absent one is read as null. */
export function record<const F extends Fields>(fields: F): Reader<Read<F>> {
  return (value, at) => {
    if (!isObject(value)) wrong(value, at, "an object");
    const read = Object.entries(fields).map(([name, reader]) => [
      name,
      reader(value[name] ?? null, at === "" ? name : `${at}.${name}`),
    ]);
    return Object.fromEntries(read) as Read<F>;
  };
}

/** The one field of an object that wraps a value: `{"canister_id": …}`. */
export function wrapped<T>(name: string, reader: Reader<T>): Reader<T> {
  return (value, at) => (record({ [name]: reader })(value, at) as Readonly<Record<string, T>>)[name] as T;
}

/** `{"Name": payload}` for one of the names. */
export function variant<const V extends Fields>(
  variants: V,
): Reader<{ [K in keyof V]: { readonly kind: K; readonly value: ReturnType<V[K]> } }[keyof V]> {
  return (value, at) => {
    const names = Object.keys(variants);
    const expected = `an object with one of ${names.map((name) => `\`${name}\``).join(", ")}`;
    if (!isObject(value)) wrong(value, at, expected);
    const [name, ...others] = Object.keys(value);
    if (name === undefined || others.length > 0 || !Object.hasOwn(variants, name)) wrong(value, at, expected);
    const reader = variants[name] as Reader<unknown>;
    return { kind: name, value: reader(value[name] as Json, at === "" ? name : `${at}.${name}`) } as never;
  };
}

/** Reads a body; an empty one is an empty object, which some clients leave out. */
export function readBody<T>(body: Uint8Array, reader: Reader<T>): T {
  let value: Json;
  try {
    value = body.length === 0 ? {} : parseJson(body);
  } catch (error) {
    if (error instanceof JsonError) throw new ShapeError(`the body is no JSON: ${error.message}`);
    throw error;
  }
  return reader(value, "");
}
