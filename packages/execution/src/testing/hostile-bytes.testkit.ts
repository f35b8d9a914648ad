/** Pieces of Wasm modules in the binary format, for modules that no assembler would make (Wasm specification, "Binary Format"). */
import { gzipSync } from "node:zlib";

type Part = number | Uint8Array | readonly number[];

export const HEADER: readonly number[] = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
/** Section ids. */
export const TYPE = 1;
export const IMPORT = 2;
export const FUNCTION = 3;
export const TABLE = 4;
export const MEMORY = 5;
export const GLOBAL = 6;
export const EXPORT = 7;
export const START = 8;
export const ELEMENT = 9;
export const CODE = 10;
export const DATA = 11;
export const I32 = 0x7f;
/** Flags of a memory's limits. */
export const WITH_MAXIMUM = 1;
export const WITH_64_BITS = 4;
export const NO_PARAMETERS: readonly number[] = [0x60, 0, 0];
export const NOP = 0x01;
export const END = 0x0b;
export const MIB: number = 1024 * 1024;

export function leb(value: number): number[] {
  const out: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...out, rest];
    out.push((rest % 128) + 128);
  }
}

export function join(...parts: readonly Part[]): Uint8Array {
  return joinAll(parts);
}

export function joinAll(parts: readonly Part[]): Uint8Array {
  const arrays = parts.map((part) => (typeof part === "number" ? [part] : part));
  const out = new Uint8Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    out.set(array, at);
    at += array.length;
  }
  return out;
}

export function section(id: number, ...parts: readonly Part[]): Uint8Array {
  const content = join(...parts);
  return join(id, leb(content.length), content);
}

/** The same element `count` times. */
export function vector(count: number, element: Part | ((index: number) => Part)): Uint8Array {
  const make = typeof element === "function" ? element : (): Part => element;
  return join(leb(count), joinAll(Array.from({ length: count }, (_, index) => make(index))));
}

export function text(value: string): Uint8Array {
  const bytes = new TextEncoder().encode(value);
  return join(leb(bytes.length), bytes);
}

export function module(...sections: readonly Uint8Array[]): Uint8Array {
  return join(HEADER, ...sections);
}

export function body(locals: Part, ...code: readonly Part[]): Uint8Array {
  const content = join(locals, ...code, END);
  return join(leb(content.length), content);
}

export function fill(count: number, ...bytes: readonly number[]): Uint8Array {
  const out = new Uint8Array(count * bytes.length);
  for (let i = 0; i < out.length; i++) out[i] = bytes[i % bytes.length] as number;
  return out;
}

/** Functions of no parameters with these bodies. */
export function functions(...bodies: readonly Uint8Array[]): readonly [Uint8Array, Uint8Array, Uint8Array] {
  return [
    section(TYPE, vector(1, NO_PARAMETERS)),
    section(FUNCTION, vector(bodies.length, 0)),
    section(CODE, leb(bodies.length), joinAll(bodies)),
  ];
}

/** `count` exports of function 0. */
export function exporting(count: number, name: (index: number) => string): Uint8Array {
  const [types, declared, code] = functions(body(0));
  const exported = section(
    EXPORT,
    vector(count, (index) => join(text(name(index)), 0, 0)),
  );
  return module(types, declared, exported, code);
}

export function one(code: Part, locals: Part = 0): Uint8Array {
  return module(...functions(body(locals, code)));
}

export function custom(name: string, bytes: number): Uint8Array {
  return section(0, text(name), new Uint8Array(bytes));
}

export function brTable(targets: number): Uint8Array {
  return one(join(0x41, 0, 0x0e, leb(targets), fill(targets + 1, 0)));
}

export function parameters(count: number): Uint8Array {
  const type = join(0x60, leb(count), fill(count, I32), 0);
  const code = body(0);
  return module(
    section(TYPE, vector(1, type)),
    section(FUNCTION, vector(1, 0)),
    section(CODE, vector(1, code)),
  );
}

export function results(count: number): Uint8Array {
  return module(
    section(TYPE, vector(1, join(0x60, 0, leb(count), fill(count, I32)))),
    section(FUNCTION, vector(1, 0)),
    section(CODE, vector(1, body(0, fill(count, 0x41, 0)))),
  );
}

export function types(count: number): Uint8Array {
  return module(section(TYPE, leb(count), fill(count, ...NO_PARAMETERS)));
}

export function dataSegments(count: number): Uint8Array {
  return module(section(MEMORY, 1, 0, 1), section(DATA, leb(count), fill(count, 0, 0x41, 0, END, 0)));
}

export function elementSegments(count: number): Uint8Array {
  return module(section(TABLE, 1, 0x70, 0, 1), section(ELEMENT, leb(count), fill(count, 0, 0x41, 0, END, 0)));
}

/** `ic0.time` again and again; with a length, a function of a name so long that does not exist. */
export function imports(count: number, nameBytes?: number): Uint8Array {
  const name = nameBytes === undefined ? text("time") : text("t".repeat(nameBytes));
  const entry = join(text("ic0"), name, 0, 0);
  return module(
    section(TYPE, vector(1, [0x60, 0, 1, 0x7e])),
    section(IMPORT, leb(count), fill(count, ...entry)),
  );
}

/** A function whose name in the name section is so long. */
export function functionNamed(bytes: number): Uint8Array {
  const names = join(1, 0, leb(bytes), fill(bytes, 0x61));
  const [declared, defined, code] = functions(body(0));
  return module(declared, defined, code, section(0, text("name"), 1, leb(names.length), names));
}

/** A function of so many bytes, of the longest instructions that there are. */
export function longBody(bytes: number): Uint8Array {
  const constant = [0xfd, 12, ...new Array<number>(16).fill(7), 0x1a];
  const count = Math.floor((bytes - 2) / constant.length);
  return one(join(fill(bytes - 2 - count * constant.length, NOP), fill(count, ...constant)));
}

/** A module of so many bytes, nearly all of them in a custom section that nobody reads. */
export function padded(bytes: number): Uint8Array {
  const out = new Uint8Array(bytes);
  const lead = join(HEADER, 0, leb(bytes - HEADER.length - 5), text("a"));
  out.set(lead);
  return out;
}

export function table(elements: number): Uint8Array {
  return module(section(TABLE, vector(1, join(0x70, 0, leb(elements)))));
}

/** A table of a million entries that one segment fills. */
export function filledTable(elements: number): Uint8Array {
  const [types, declared, code] = functions(body(0));
  const tables = section(TABLE, vector(1, join(0x70, 0, leb(elements))));
  const segment = join(0, 0x41, 0, END, leb(elements), fill(elements, 0));
  return module(types, declared, tables, section(ELEMENT, vector(1, segment)), code);
}

/** Functions of `nop`s whose code section has so many bytes. */
export function codeSection(bytes: number): Uint8Array {
  const FUNCTION_BYTES = 500_000;
  const bodies: Uint8Array[] = [];
  let left = bytes - leb(Math.ceil(bytes / FUNCTION_BYTES)).length;
  const count = Math.ceil(bytes / FUNCTION_BYTES);
  for (let index = 0; index < count; index++) {
    const share = Math.floor(left / (count - index));
    // Two bytes are locals and end, three the size.
    bodies.push(body(0, fill(share - 5, NOP)));
    left -= share;
  }
  return module(...functions(...bodies));
}

/** A gzip stream that says it holds as much as it likes. */
export function zeros(bytes: number): Uint8Array {
  return new Uint8Array(gzipSync(new Uint8Array(bytes), { level: 9 }));
}

/** The same stream, its trailer saying something else. */
export function claiming(zipped: Uint8Array, bytes: number): Uint8Array {
  const out = zipped.slice();
  new DataView(out.buffer).setUint32(out.length - 4, bytes, true);
  return out;
}

export function startLoop(): Uint8Array {
  const [types, declared, code] = functions(body(0, [0x03, 0x40, 0x0c, 0, END]));
  return module(types, declared, section(START, 0), code);
}

/** A body of calls through a table, jump tables of 65,520 labels in five bytes each, and instructions that do nothing. */
export function indirectCalls(count: {
  readonly calls: number;
  readonly jumpTables: number;
  readonly nops: number;
}): Uint8Array {
  const jumps = join(0x02, 0x40, 0x41, 0, 0x0e, leb(65_519), fill(65_520, 0x80, 0x80, 0x80, 0x80, 0), END);
  const code = [
    fill(count.calls, 0x41, 0, 0x11, 0, 0),
    ...Array.from({ length: count.jumpTables }, () => jumps),
    fill(count.nops, NOP),
  ];
  return module(
    section(TYPE, vector(1, NO_PARAMETERS)),
    section(FUNCTION, vector(1, 0)),
    section(TABLE, 1, 0x70, 0, 1),
    section(CODE, vector(1, body(0, ...code))),
  );
}
