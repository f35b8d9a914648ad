/**
 * JSON as the protocol uses it: integers of any size are `bigint`, since times and cycles are bare numbers beyond 2^53 in both directions. Strict
 * (RFC 8259, no duplicate names) and bounded in depth; other numbers are `number`. Objects have no prototype.
 */

export type Json = null | boolean | bigint | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}

/** What answers are made of; `undefined` members are left out. */
export type Encodable =
  | null
  | boolean
  | bigint
  | number
  | string
  | readonly Encodable[]
  | { readonly [name: string]: Encodable | undefined };

/** Why a text is not JSON of this kind, with the place. */
export class JsonError extends Error {}

const DEPTH_MAX = 64;
/** More digits than any integer of the protocol has: 128 bits are 39. */
const NUMBER_CHARACTERS_MAX = 64;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const SPACE = /[ \t\n\r]*/y;
/** What a string holds up to its end or the next escape. */
const PLAIN = /[ !#-[\]-\uffff]*/y;
const HEX = /^[0-9a-fA-F]{4}$/;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Json {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) this.#fail("trailing characters");
    return value;
  }

  #fail(why: string): never {
    const before = this.#text.slice(0, this.#at);
    const line = before.split("\n").length;
    throw new JsonError(`${why} at line ${line} column ${this.#at - before.lastIndexOf("\n")}`);
  }

  #space(): void {
    SPACE.lastIndex = this.#at;
    SPACE.test(this.#text);
    this.#at = SPACE.lastIndex;
  }

  #take(expected: string): void {
    if (!this.#text.startsWith(expected, this.#at)) {
      this.#fail(this.#at >= this.#text.length ? "the text ends too early" : `expected \`${expected}\``);
    }
    this.#at += expected.length;
  }

  #value(depth: number): Json {
    if (depth > DEPTH_MAX) this.#fail(`nested deeper than ${DEPTH_MAX}`);
    this.#space();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#array(depth);
      case '"':
        return this.#string();
      case "t":
        this.#take("true");
        return true;
      case "f":
        this.#take("false");
        return false;
      case "n":
        this.#take("null");
        return null;
      default:
        return this.#number();
    }
  }

  #number(): bigint | number {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null)
      this.#fail(this.#at >= this.#text.length ? "the text ends too early" : "expected a value");
    const [text, fraction, exponent] = match as unknown as [string, string?, string?];
    if (text.length > NUMBER_CHARACTERS_MAX)
      this.#fail(`a number of over ${NUMBER_CHARACTERS_MAX} characters`);
    this.#at += text.length;
    return fraction === undefined && exponent === undefined ? BigInt(text) : Number(text);
  }

  #string(): string {
    this.#take('"');
    let whole = "";
    for (;;) {
      PLAIN.lastIndex = this.#at;
      PLAIN.test(this.#text);
      const plain = this.#text.slice(this.#at, PLAIN.lastIndex);
      whole = whole === "" ? plain : whole + plain;
      this.#at = PLAIN.lastIndex;
      const next = this.#text[this.#at];
      if (next === '"') {
        this.#at++;
        return whole;
      }
      if (next !== "\\")
        this.#fail(next === undefined ? "a string does not end" : "a control character in a string");
      whole += this.#escape();
    }
  }

  #escape(): string {
    const kind = this.#text[this.#at + 1] ?? "";
    this.#at += 2;
    if (kind === "u") {
      const digits = this.#text.slice(this.#at, this.#at + 4);
      if (!HEX.test(digits)) this.#fail("an escape of other than four hexadecimal digits");
      this.#at += 4;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    const character = Object.hasOwn(ESCAPES, kind) ? ESCAPES[kind] : undefined;
    return character ?? this.#fail("an unknown escape");
  }

  #array(depth: number): Json[] {
    this.#take("[");
    const items: Json[] = [];
    this.#space();
    if (this.#text[this.#at] === "]") {
      this.#at++;
      return items;
    }
    for (;;) {
      items.push(this.#value(depth + 1));
      this.#space();
      if (this.#text[this.#at] === "]") {
        this.#at++;
        return items;
      }
      this.#take(",");
    }
  }

  #object(depth: number): JsonObject {
    this.#take("{");
    const members: Record<string, Json> = Object.create(null) as Record<string, Json>;
    this.#space();
    if (this.#text[this.#at] === "}") {
      this.#at++;
      return members;
    }
    for (;;) {
      this.#space();
      const name = this.#string();
      if (name in members) this.#fail(`duplicate field \`${name.slice(0, 64)}\``);
      this.#space();
      this.#take(":");
      members[name] = this.#value(depth + 1);
      this.#space();
      if (this.#text[this.#at] === "}") {
        this.#at++;
        return members;
      }
      this.#take(",");
    }
  }
}

/** Parses UTF-8; `JsonError` says what is wrong and where. */
export function parseJson(bytes: Uint8Array): Json {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new JsonError("not UTF-8");
  }
  return new Parser(text).document();
}

export function encodeJson(value: Encodable): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "object":
      break;
    default:
      return String(value);
  }
  if (value === null) return "null";
  if (Array.isArray(value)) return `[${(value as readonly Encodable[]).map(encodeJson).join(",")}]`;
  const members = Object.entries(value as { readonly [name: string]: Encodable | undefined });
  const parts: string[] = [];
  for (const [name, member] of members) {
    if (member !== undefined) parts.push(`${JSON.stringify(name)}:${encodeJson(member)}`);
  }
  return `{${parts.join(",")}}`;
}
