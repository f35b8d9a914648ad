/**
 * Arguments in Candid's textual form (Candid specification, "Textual format for values"), encoded with the types that they show. A number
 * without annotation is a `nat`, which every method that takes a `nat` or an `int` accepts, or an `int` when it is negative.
 */

import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { OrreryError } from "@orrery/base";

/** Deeper nesting is no argument that somebody typed. */
const DEPTH_MAX = 64;
const TOKEN =
  /(?:\s|\/\/[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*("(?:[^"\\]|\\[\s\S])*"|[A-Za-z_][A-Za-z_0-9]*|[+-]?0x[0-9a-fA-F][0-9a-fA-F_]*|[+-]?\d[\d_]*(?:\.[\d_]*)?(?:[eE][+-]?\d+)?|[(){};:,=]|$)/y;

interface Typed {
  readonly type: IDL.Type;
  readonly value: unknown;
}

interface Reader {
  readonly tokens: readonly string[];
  at: number;
  depth: number;
}

function invalid(text: string): OrreryError {
  return new OrreryError("candid_invalid", `the argument is not Candid: ${text}`);
}

function tokenize(text: string): readonly string[] {
  const tokens: string[] = [];
  for (TOKEN.lastIndex = 0; TOKEN.lastIndex < text.length; ) {
    const at = TOKEN.lastIndex;
    const token = TOKEN.exec(text)?.[1];
    if (token === undefined) throw invalid(`what is ${JSON.stringify(text.slice(at, at + 20).trim())}?`);
    if (token === "") break;
    tokens.push(token);
  }
  return tokens;
}

function peek(reader: Reader): string {
  return reader.tokens[reader.at] ?? "";
}

function next(reader: Reader): string {
  return reader.tokens[reader.at++] ?? "";
}

function expect(reader: Reader, token: string): void {
  const found = next(reader);
  if (found !== token) throw invalid(`expected "${token}", found ${found === "" ? "its end" : `"${found}"`}`);
}

/** The bytes of a text literal. */
function literal(token: string): Uint8Array {
  const bytes: number[] = [];
  const body = token.slice(1, -1);
  const named: Readonly<Record<string, string>> = {
    n: "\n",
    r: "\r",
    t: "\t",
    "\\": "\\",
    '"': '"',
    "'": "'",
  };
  const pattern = /\\u\{([0-9a-fA-F]+)\}|\\([0-9a-fA-F]{2})|\\([\s\S])|([^\\]+)/g;
  for (const [, code, byte, letter, plain] of body.matchAll(pattern)) {
    if (byte !== undefined) bytes.push(Number.parseInt(byte, 16));
    else if (code !== undefined) {
      const point = Number.parseInt(code, 16);
      if (point > 0x10ffff) throw invalid(`there is no character \\u{${code}}`);
      bytes.push(...new TextEncoder().encode(String.fromCodePoint(point)));
    } else {
      const text = plain ?? named[letter as string];
      if (text === undefined) throw invalid(`there is no escape \\${letter}`);
      bytes.push(...new TextEncoder().encode(text));
    }
  }
  return Uint8Array.from(bytes);
}

function textOf(token: string): string {
  if (!token.startsWith('"')) throw invalid(`expected a text in quotes, found "${token}"`);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(literal(token));
  } catch (error) {
    if (error instanceof OrreryError) throw error;
    throw invalid(`${token} is not UTF-8`);
  }
}

const SIMPLE: Readonly<Record<string, IDL.Type>> = {
  nat: IDL.Nat,
  nat8: IDL.Nat8,
  nat16: IDL.Nat16,
  nat32: IDL.Nat32,
  nat64: IDL.Nat64,
  int: IDL.Int,
  int8: IDL.Int8,
  int16: IDL.Int16,
  int32: IDL.Int32,
  int64: IDL.Int64,
  float32: IDL.Float32,
  float64: IDL.Float64,
  text: IDL.Text,
  bool: IDL.Bool,
  null: IDL.Null,
  reserved: IDL.Reserved,
  principal: IDL.Principal,
  blob: IDL.Vec(IDL.Nat8),
};

function label(token: string): string {
  if (token.startsWith('"')) return textOf(token);
  return /^\d/.test(token) ? `_${BigInt(token.replaceAll("_", ""))}_` : token;
}

function typeOf(reader: Reader): IDL.Type {
  const word = next(reader);
  if (word === "opt") return IDL.Opt(typeOf(reader));
  if (word === "vec") return IDL.Vec(typeOf(reader));
  if (word === "record" || word === "variant") {
    const fields: Record<string, IDL.Type> = {};
    let position = 0;
    expect(reader, "{");
    while (peek(reader) !== "}") {
      const named = reader.tokens[reader.at + 1] === ":";
      const name = named || word === "variant" ? label(next(reader)) : `_${position}_`;
      if (named) expect(reader, ":");
      fields[name] = named || word === "record" ? typeOf(reader) : IDL.Null;
      position++;
      if (peek(reader) !== "}") expect(reader, ";");
    }
    expect(reader, "}");
    return word === "record" ? IDL.Record(fields) : IDL.Variant(fields);
  }
  const simple = SIMPLE[word];
  if (simple === undefined) throw invalid(`there is no type "${word}"`);
  return simple;
}

function numberOf(token: string): Typed {
  const plain = token.replaceAll("_", "");
  if (/^[+-]?(0x|\d+$)/.test(plain)) {
    const negative = plain.startsWith("-");
    const magnitude = BigInt(plain.replace(/^[+-]/, ""));
    return negative ? { type: IDL.Int, value: -magnitude } : { type: IDL.Nat, value: magnitude };
  }
  return { type: IDL.Float64, value: Number(plain) };
}

/** The value under the type that it is annotated with. */
function annotate({ value }: Typed, type: IDL.Type): Typed {
  const fixed = /^(nat|int)(8|16|32)$/.test(type.name);
  const float = type.name.startsWith("float");
  const changed = typeof value === "bigint" && (fixed || float) ? Number(value) : value;
  const result = type === IDL.Reserved ? null : changed;
  try {
    if (type.covariant(result)) return { type, value: result };
  } catch {
    // Told below.
  }
  throw invalid(`a value does not fit its type ${type.name}`);
}

function vector(reader: Reader): Typed {
  expect(reader, "{");
  const items: Typed[] = [];
  while (peek(reader) !== "}") {
    items.push(annotated(reader));
    if (peek(reader) !== "}") expect(reader, ";");
  }
  expect(reader, "}");
  const type = items[0]?.type ?? IDL.Empty;
  if (items.some((item) => item.type.name !== type.name)) {
    throw invalid(`the elements of a vec have several types, ${type.name} first; annotate them`);
  }
  return { type: IDL.Vec(type), value: items.map(({ value }) => value) };
}

function fieldsOf(reader: Reader, variant: boolean): Typed {
  const types: Record<string, IDL.Type> = {};
  const values: Record<string, unknown> = {};
  let position = 0;
  expect(reader, "{");
  while (peek(reader) !== "}") {
    const named = reader.tokens[reader.at + 1] === "=";
    const name = named || variant ? label(next(reader)) : `_${position}_`;
    if (named) expect(reader, "=");
    const field = named || !variant ? annotated(reader) : { type: IDL.Null, value: null };
    types[name] = field.type;
    values[name] = field.value;
    position++;
    if (peek(reader) !== "}") expect(reader, ";");
  }
  expect(reader, "}");
  if (!variant) return { type: IDL.Record(types), value: values };
  if (position !== 1) throw invalid("a variant has one field");
  return { type: IDL.Variant(types), value: values };
}

function principalOf(token: string): Typed {
  try {
    return { type: IDL.Principal, value: Principal.fromText(textOf(token)) };
  } catch (error) {
    if (error instanceof OrreryError) throw error;
    throw invalid(`${token} is not a principal`);
  }
}

function readValue(reader: Reader): Typed {
  const token = next(reader);
  switch (token) {
    case "(": {
      const inner = annotated(reader);
      expect(reader, ")");
      return inner;
    }
    case "true":
    case "false":
      return { type: IDL.Bool, value: token === "true" };
    case "null":
      return { type: IDL.Null, value: null };
    case "opt": {
      const { type, value } = annotated(reader);
      return { type: IDL.Opt(type), value: [value] };
    }
    case "vec":
      return vector(reader);
    case "record":
      return fieldsOf(reader, false);
    case "variant":
      return fieldsOf(reader, true);
    case "blob":
      return { type: IDL.Vec(IDL.Nat8), value: literal(next(reader)) };
    case "principal":
      return principalOf(next(reader));
    default:
      if (token.startsWith('"')) return { type: IDL.Text, value: textOf(token) };
      if (/^[+-]?\d/.test(token)) return numberOf(token);
      throw invalid(token === "" ? "it ends too early" : `what is "${token}"?`);
  }
}

function annotated(reader: Reader): Typed {
  if (++reader.depth > DEPTH_MAX) throw invalid(`it is nested more than ${DEPTH_MAX} deep`);
  const value = readValue(reader);
  reader.depth--;
  if (peek(reader) !== ":") return value;
  next(reader);
  return annotate(value, typeOf(reader));
}

/** Encodes `(…)`. Errors: `candid_invalid`. */
export function encodeCandidText(text: string): Uint8Array {
  const reader: Reader = { tokens: tokenize(text), at: 0, depth: 0 };
  const values: Typed[] = [];
  expect(reader, "(");
  while (peek(reader) !== ")") {
    values.push(annotated(reader));
    if (peek(reader) !== ")") expect(reader, ",");
  }
  expect(reader, ")");
  if (reader.at < reader.tokens.length) throw invalid(`"${peek(reader)}" stands behind its end`);
  return new Uint8Array(
    IDL.encode(
      values.map(({ type }) => type),
      values.map(({ value }) => value),
    ),
  );
}
