/**
 * Makes a module of the specification's tests runnable as a canister: what it imports from `spectest` becomes its own, and each
 * exported function and global gets a method `canister_update <n>` without parameters, whose operands and results pass through
 * mutable i64 globals ("ports", two for a vector). Index spaces stay as they are, since imports come first in each of them.
 */
import { Cursor } from "./cursor.ts";
import { functionBody, HEADER, leb, section, sleb, TYPE_BYTES, text, vector } from "./encode.testing.ts";

export interface Entry {
  readonly exportName: string;
  /** The method that calls the function or reads the global. */
  readonly method: string;
  readonly params: readonly number[];
  readonly results: readonly number[];
}

export interface Internalised {
  readonly wasm: Uint8Array;
  readonly entries: readonly Entry[];
  /** Index of the first port, and how many there are. */
  readonly firstPort: number;
  readonly ports: number;
}

/** Why a module cannot be made to stand alone. */
export class NotAlone extends Error {}

const { i32: I32 = 0, i64: I64 = 0, f32: F32 = 0, f64: F64 = 0, v128: V128 = 0 } = TYPE_BYTES;
const FUNCREF = 0x70;
const GET = 0x23;
const SET = 0x24;
const END = 0x0b;

const GLOBALS: Readonly<Record<string, readonly number[]>> = {
  global_i32: [0x41, ...sleb(666)],
  global_i64: [0x42, ...sleb(666)],
  global_f32: [0x43, ...new Uint8Array(Float32Array.of(666.6).buffer)],
  global_f64: [0x44, ...new Uint8Array(Float64Array.of(666.6).buffer)],
};

interface FunctionType {
  readonly params: readonly number[];
  readonly results: readonly number[];
}

/** The sections of a module in pieces: what it imports first, then its own. */
interface Pieces {
  readonly stubs: boolean;
  readonly types: FunctionType[];
  /** Type indices. */
  readonly functions: number[];
  readonly tables: number[][];
  readonly memories: number[][];
  readonly globals: { readonly type: number; readonly bytes: readonly number[] }[];
  readonly exports: { readonly name: string; readonly kind: number; readonly index: number }[];
  readonly elements: number[][];
  readonly bodies: number[][];
  readonly data: number[][];
  /** Sections kept as they are: start and the count of data segments. */
  readonly kept: Map<number, readonly number[]>;
  readonly customs: number[][];
  /** Constants of the imported globals. */
  readonly constants: (readonly number[])[];
}

/** Name of the export of port `index`, for engines that see exports only. */
export function portExport(index: number): string {
  return `port ${index}`;
}

/** With `stubs`, functions imported from anywhere become ones that return zeros; otherwise only those of `spectest`. */
export function internalise(bytes: Uint8Array, options: { readonly stubs?: boolean } = {}): Internalised {
  const pieces = takeApart(bytes, options.stubs === true);
  const callables: { name: string; params: readonly number[]; results: readonly number[]; code: number[] }[] =
    [];
  for (const { name, kind, index } of pieces.exports) {
    if (kind === 0) {
      const { params, results } = pieces.types[pieces.functions[index] as number] as FunctionType;
      callables.push({ name, params, results, code: [0x10, ...leb(index)] });
    } else if (kind === 3) {
      const { type } = pieces.globals[index] as { type: number };
      callables.push({ name, params: [], results: [type], code: [GET, ...leb(index)] });
    }
  }
  const words = (types: readonly number[]): number => types.reduce((sum, type) => sum + wordCount(type), 0);
  const ports = Math.max(1, ...callables.map((item) => Math.max(words(item.params), words(item.results))));
  const firstPort = pieces.globals.length;
  const firstMethod = pieces.functions.length;
  for (let i = 0; i < ports; i++) {
    pieces.globals.push({ type: I64, bytes: [I64, 1, 0x42, 0, END] });
    pieces.exports.push({ name: portExport(i), kind: 3, index: firstPort + i });
  }
  const entries = callables.map((item, i) => {
    const method = `canister_update ${i}`;
    pieces.functions.push(pieces.types.length);
    pieces.exports.push({ name: method, kind: 0, index: firstMethod + i });
    pieces.bodies.push(methodBody(item, firstPort));
    return { exportName: item.name, method, params: item.params, results: item.results };
  });
  pieces.types.push({ params: [], results: [] });
  return { wasm: putTogether(pieces), entries, firstPort, ports };
}

function takeApart(bytes: Uint8Array, stubs: boolean): Pieces {
  const pieces: Pieces = {
    stubs,
    types: [],
    functions: [],
    tables: [],
    memories: [],
    globals: [],
    exports: [],
    elements: [],
    bodies: [],
    data: [],
    kept: new Map(),
    customs: [],
    constants: [],
  };
  const c = new Cursor(bytes, 8);
  while (c.at < bytes.length) {
    const id = c.byte();
    const size = c.unsigned();
    takeSection(pieces, id, new Cursor(bytes, c.at, c.at + size), bytes.subarray(c.at, c.at + size));
    c.at += size;
  }
  return pieces;
}

function takeSection(p: Pieces, id: number, c: Cursor, content: Uint8Array): void {
  if (id === 0) p.customs.push(section(0, [...content]));
  else if (id === 1) p.types.push(...c.list(() => functionType(c)));
  else if (id === 2) c.list(() => takeImport(p, c));
  else if (id === 3) p.functions.push(...c.list(() => c.unsigned()));
  else if (id === 4) p.tables.push(...c.list(() => [c.byte(), ...limits(c)]));
  else if (id === 5) p.memories.push(...c.list(() => limits(c)));
  else if (id === 6)
    p.globals.push(
      ...c.list(() => {
        const type = c.byte();
        return { type, bytes: [type, c.byte(), ...expression(p, c)] };
      }),
    );
  else if (id === 7)
    p.exports.push(...c.list(() => ({ name: c.name(), kind: c.byte(), index: c.unsigned() })));
  else if (id === 8 || id === 12) p.kept.set(id, [...content]);
  else if (id === 9) p.elements.push(...c.list(() => element(p, c)));
  else if (id === 10)
    p.bodies.push(
      ...c.list(() => {
        const body = c.slice(c.unsigned());
        return [...leb(body.length), ...body];
      }),
    );
  else if (id === 11) p.data.push(...c.list(() => dataSegment(p, c)));
  else throw new NotAlone(`section ${id}`);
}

function functionType(c: Cursor): FunctionType {
  if (c.byte() !== 0x60) throw new NotAlone("types of later proposals");
  return { params: c.list(() => valueType(c)), results: c.list(() => valueType(c)) };
}

function valueType(c: Cursor): number {
  const type = c.byte();
  if (!Object.values(TYPE_BYTES).includes(type)) throw new NotAlone("types of later proposals");
  return type;
}

function limits(c: Cursor): number[] {
  const flags = c.byte();
  const min = leb(c.unsignedBig());
  return [flags, ...min, ...((flags & 1) === 1 ? leb(c.unsignedBig()) : [])];
}

function takeImport(p: Pieces, c: Cursor): void {
  const [module, name, kind] = [c.name(), c.name(), c.byte()];
  if (kind === 0 && p.stubs) {
    p.functions.push(c.unsigned());
    const { results } = p.types[p.functions.at(-1) as number] as FunctionType;
    p.bodies.push(functionBody([], [...results.flatMap(zero), END]));
    return;
  }
  if (module !== "spectest") throw new NotAlone("imports from another module");
  if (kind === 0) {
    p.functions.push(c.unsigned());
    const { results } = p.types[p.functions.at(-1) as number] as FunctionType;
    if (!name.startsWith("print") || results.length > 0) throw new NotAlone("imports that do not exist");
    p.bodies.push(functionBody([], [END]));
  } else if (kind === 1) {
    const type = c.byte();
    const wide = (limits(c)[0] as number) & 4;
    p.tables.push([type, 1 | wide, 10, 20]);
  } else if (kind === 2) {
    limits(c);
    p.memories.push([1, 1, 2]);
  } else {
    const constant = GLOBALS[name];
    const [type, mutable] = [c.byte(), c.byte()];
    if (constant === undefined || mutable !== 0) throw new NotAlone("imports that do not exist");
    p.constants.push(constant);
    p.globals.push({ type, bytes: [type, 0, ...constant, END] });
  }
}

function zero(type: number): number[] {
  if (type === I32 || type === I64) return [type === I32 ? 0x41 : 0x42, 0];
  if (type === F32) return [0x43, 0, 0, 0, 0];
  if (type === F64) return [0x44, 0, 0, 0, 0, 0, 0, 0, 0];
  return type === V128 ? [0xfd, 12, ...new Uint8Array(16)] : [0xd0, type];
}

/** Copies a constant expression; an imported global becomes its value. */
function expression(p: Pieces, c: Cursor): number[] {
  const out: number[] = [];
  for (;;) {
    const opcode = c.byte();
    if (opcode === GET) {
      const index = c.unsigned();
      out.push(...(p.constants[index] ?? [GET, ...leb(index)]));
      continue;
    }
    out.push(opcode);
    if (opcode === END) return out;
    if (opcode === 0x41 || opcode === 0x42) out.push(...sleb(c.signedBig()));
    else if (opcode === 0x43) out.push(...c.slice(4));
    else if (opcode === 0x44) out.push(...c.slice(8));
    else if (opcode === 0xd0) out.push(c.byte());
    else if (opcode === 0xd2) out.push(...leb(c.unsigned()));
    else if (opcode === 0xfd) out.push(...leb(c.unsigned()), ...c.slice(16));
    else if (![0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e].includes(opcode))
      throw new NotAlone("constants of later proposals");
  }
}

function element(p: Pieces, c: Cursor): number[] {
  const flags = c.unsigned();
  const out = leb(flags);
  if ((flags & 3) === 2) out.push(...leb(c.unsigned()));
  if ((flags & 1) === 0) out.push(...expression(p, c));
  if ((flags & 3) !== 0) out.push(c.byte());
  const items = c.list(() => ((flags & 4) !== 0 ? expression(p, c) : leb(c.unsigned())));
  return [...out, ...vector(items)];
}

function dataSegment(p: Pieces, c: Cursor): number[] {
  const flags = c.unsigned();
  const out = leb(flags);
  if (flags === 2) out.push(...leb(c.unsigned()));
  if (flags !== 1) out.push(...expression(p, c));
  const content = c.slice(c.unsigned());
  return [...out, ...leb(content.length), ...content];
}

function wordCount(type: number): number {
  return type === V128 ? 2 : 1;
}

/** Fetches the operands from the ports, runs `code`, and puts the results into the ports. */
function methodBody(
  item: {
    readonly params: readonly number[];
    readonly results: readonly number[];
    readonly code: readonly number[];
  },
  firstPort: number,
): number[] {
  const code: number[] = [];
  let port = firstPort;
  for (const type of item.params) {
    const fetch = [GET, ...leb(port)];
    if (type === V128) code.push(...fetch, 0xfd, 18, GET, ...leb(port + 1), 0xfd, 30, 1);
    else if (type === FUNCREF || type === 0x6f) code.push(0xd0, type);
    else code.push(...fetch, ...fromWord(type));
    port += wordCount(type);
  }
  code.push(...item.code);
  // The last result is on top: results go to locals first.
  for (let i = item.results.length - 1; i >= 0; i--) code.push(0x21, ...leb(i));
  port = firstPort;
  for (const [i, type] of item.results.entries()) {
    const get = [0x20, ...leb(i)];
    if (type === V128) {
      code.push(...get, 0xfd, 29, 0, SET, ...leb(port), ...get, 0xfd, 29, 1, SET, ...leb(port + 1));
    } else code.push(...get, ...toWord(type), SET, ...leb(port));
    port += wordCount(type);
  }
  return functionBody(item.results, [...code, END]);
}

function fromWord(type: number): number[] {
  if (type === I32) return [0xa7];
  if (type === F32) return [0xa7, 0xbe];
  return type === F64 ? [0xbf] : [];
}

function toWord(type: number): number[] {
  if (type === I32) return [0xad];
  if (type === F32) return [0xbc, 0xad];
  if (type === F64) return [0xbd];
  return type === I64 ? [] : [0xd1, 0xad];
}

function putTogether(p: Pieces): Uint8Array {
  const types = p.types.map(({ params, results }) => [
    0x60,
    ...vector(params.map((type) => [type])),
    ...vector(results.map((type) => [type])),
  ]);
  const kept = (id: number): number[] => {
    const content = p.kept.get(id);
    return content === undefined ? [] : section(id, content);
  };
  const list = (id: number, items: readonly (readonly number[])[]): number[] =>
    items.length === 0 ? [] : section(id, vector(items));
  const exports = p.exports.map(({ name, kind, index }) => [...text(name), kind, ...leb(index)]);
  return Uint8Array.from(
    [
      HEADER,
      list(1, types),
      list(
        3,
        p.functions.map((type) => leb(type)),
      ),
      list(4, p.tables),
      list(5, p.memories),
      list(
        6,
        p.globals.map(({ bytes }) => bytes),
      ),
      list(7, exports),
      kept(8),
      list(9, p.elements),
      kept(12),
      list(10, p.bodies),
      list(11, p.data),
      ...p.customs,
    ].flat(),
  );
}
