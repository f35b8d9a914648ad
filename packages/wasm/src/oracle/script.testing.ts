/**
 * The text of a test script of the WebAssembly specification (`.wast`): S-expressions, strings and constants. Modules stay text
 * for the assembler, or bytes where the script gives bytes.
 */
import { wat } from "../testing.ts";
import { decodeOracleModule } from "./module.ts";
import type { Value } from "./values.ts";

/** A list; atoms and strings are kept as they are written. */
export interface Expression {
  readonly items: readonly (Expression | string)[];
  readonly text: string;
  readonly line: number;
}

const SPACE = /\s+|;;[^\n]*/y;
const ATOM = /"(?:[^"\\]|\\.)*"|[^\s()";]+|[";]/sy;

/** The top-level lists of a script. */
export function parseScript(text: string): Expression[] {
  const open: { items: (Expression | string)[]; start: number }[] = [{ items: [], start: 0 }];
  let line = 1;
  let counted = 0;
  for (let at = 0; at < text.length; ) {
    SPACE.lastIndex = at;
    ATOM.lastIndex = at;
    if (SPACE.test(text)) at = SPACE.lastIndex;
    else if (text.startsWith("(;", at)) at = commentEnd(text, at);
    else if (text[at] === "(") open.push({ items: [], start: at++ });
    else if (text[at] === ")") {
      const { items, start } = open.pop() as (typeof open)[number];
      for (; counted < start; counted++) if (text[counted] === "\n") line++;
      open.at(-1)?.items.push({ items, text: text.slice(start, ++at), line });
    } else if (ATOM.test(text)) {
      open.at(-1)?.items.push(text.slice(at, ATOM.lastIndex));
      at = ATOM.lastIndex;
    } else throw new Error(`unreadable script near ${JSON.stringify(text.slice(at, at + 20))}`);
  }
  return (open[0]?.items ?? []).filter((item) => typeof item !== "string");
}

function commentEnd(text: string, start: number): number {
  let depth = 0;
  for (let at = start; ; ) {
    if (text.startsWith("(;", at)) {
      depth++;
      at += 2;
    } else if (text.startsWith(";)", at)) {
      depth--;
      at += 2;
      if (depth === 0) return at;
    } else at++;
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  '"': '"',
  "'": "'",
  "\\": "\\",
};

/** The bytes of a string literal with its quotes. */
export function stringBytes(literal: string): Uint8Array {
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  const pattern = /\\u\{([0-9a-fA-F_]+)\}|\\([0-9a-fA-F]{2})|\\(.)|[^\\]+/gsy;
  for (const [whole, unicode, hex, short] of literal.slice(1, -1).matchAll(pattern)) {
    if (unicode !== undefined)
      bytes.push(...encoder.encode(String.fromCodePoint(Number.parseInt(unicode.replaceAll("_", ""), 16))));
    else if (hex !== undefined) bytes.push(Number.parseInt(hex, 16));
    else bytes.push(...encoder.encode(short === undefined ? whole : (ESCAPES[short] ?? short)));
  }
  return Uint8Array.from(bytes);
}

export interface ModuleSource {
  /** Null for text that the assembler cannot read. */
  readonly bytes: Uint8Array | null;
  /** Given as a string of text: a test of the text format. */
  readonly quoted: boolean;
}

/** The binary of a `(module …)`. */
export function moduleSource(expression: Expression): ModuleSource {
  const rest = expression.items.slice(1).filter((item) => typeof item !== "string" || !item.startsWith("$"));
  const form = rest[0];
  if (form !== "binary" && form !== "quote") return { bytes: assemble(expression.text), quoted: false };
  const parts = rest.slice(1).map((item) => stringBytes(item as string));
  const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
  if (form === "binary") return { bytes, quoted: false };
  return { bytes: assemble(new TextDecoder().decode(bytes)), quoted: true };
}

function assemble(text: string): Uint8Array | null {
  try {
    return wat(text);
  } catch {
    return null;
  }
}

/** What a result must be: a value, any NaN of a class (per lane), or a reference that is null or not. */
export interface ExpectedValue {
  readonly type: string;
  readonly words: readonly bigint[];
  /** For floats: lanes that may be any NaN of the class. */
  readonly nans: readonly { readonly lane: number; readonly class: "canonical" | "arithmetic" }[];
  readonly laneBits: number;
}

/** Reads many constants with one run of the assembler. References of the host give null: they cannot be made here. */
export function readConstants(expressions: readonly Expression[]): (ExpectedValue | null)[] {
  const plain = expressions.map((expression) => withoutNans(expression));
  const globals = plain.map(({ type, text }) => (text === "" ? "" : `(global ${type} (${text}))`));
  const module = decodeOracleModule(wat(`(module ${globals.join("\n")})`));
  let index = 0;
  return plain.map(({ type, nans, laneBits }) => {
    if (type === null) return null;
    if (type === "ref") return { type, words: [1n], nans, laneBits };
    const value = module.globals[index++]?.init[0]?.value;
    return { type, words: wordsOf(value as Value), nans, laneBits };
  });
}

interface Plain {
  readonly type: string | null;
  readonly text: string;
  readonly nans: ExpectedValue["nans"];
  readonly laneBits: number;
}

function withoutNans(expression: Expression): Plain {
  const [head, ...operands] = expression.items as string[];
  const none = { nans: [], laneBits: 0 };
  if (head === "ref.null") return { type: "ref", text: "", ...none };
  const type = head?.split(".")[0] ?? "";
  if (!/^(i32|i64|f32|f64|v128)\.const$/.test(head ?? "")) return { type: null, text: "", ...none };
  const shape = type === "v128" ? (operands.shift() as string) : type;
  const nans = operands.flatMap((operand, lane) => {
    const found = /^nan:(canonical|arithmetic)$/.exec(operand)?.[1];
    return found === undefined ? [] : [{ lane, class: found as "canonical" | "arithmetic" }];
  });
  const values = operands.map((operand) => (/^nan:(can|ari)/.test(operand) ? "0" : operand));
  const text = `${head} ${type === "v128" ? `${shape} ` : ""}${values.join(" ")}`;
  return { type, text, nans, laneBits: Number(/^[if](\d+)/.exec(shape)?.[1]) };
}

/** A value as unsigned words of 64 bits, the lowest first; narrow values are zero-extended, a reference is 1 when null. */
export function wordsOf(value: Value): bigint[] {
  if (typeof value === "number") return [BigInt(value >>> 0)];
  if (typeof value === "bigint") return [BigInt.asUintN(64, value)];
  if (!(value instanceof Uint8Array)) return [value === null ? 1n : 0n];
  const view = new DataView(value.buffer, value.byteOffset, 16);
  return [view.getBigUint64(0, true), view.getBigUint64(8, true)];
}

/** Whether words are what was expected. */
export function matches(expected: ExpectedValue, words: readonly bigint[]): boolean {
  const bits = expected.laneBits;
  if (expected.nans.length === 0) return expected.words.every((word, i) => word === words[i]);
  const join = (parts: readonly bigint[]): bigint => (parts[0] ?? 0n) | ((parts[1] ?? 0n) << 64n);
  const lanes = expected.type === "v128" ? 128 / bits : 1;
  const lane = (all: bigint, i: number): bigint => BigInt.asUintN(bits, all >> BigInt(bits * i));
  return Array.from({ length: lanes }, (_, i) => {
    const actual = lane(join(words), i);
    const nan = expected.nans.find((item) => item.lane === i);
    if (nan === undefined) return actual === lane(join(expected.words), i);
    const quiet = bits === 32 ? 0x7fc00000n : 0x7ff8000000000000n;
    const payload = BigInt.asUintN(bits - 1, actual);
    return nan.class === "canonical" ? payload === quiet : (payload & quiet) === quiet;
  }).every((good) => good);
}
