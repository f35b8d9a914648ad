/**
 * Decodes a module's sections into indices, types and byte ranges (Wasm specification, "Binary Format"). Strict: section
 * order, sizes and counts are checked here; operand types are left to the engine, which validates the module as well.
 * What canisters may not use at all (tags, GC types, shared or custom-page memories, table initialisers) is refused.
 */
import { readRefType, skipConstant, valueType } from "./decode-values.ts";
import {
  ELEMENT_SEGMENTS_MAX,
  FrameReader,
  InvalidModule,
  invalidInReplica,
  invalidInReplicaAt,
  Reader,
} from "./reader.ts";
import type { ValueType } from "./types.ts";

export const MODULE_BYTES_MAX: number = 100 * 1024 * 1024;
export const CODE_SECTION_BYTES_MAX: number = 10 * 1024 * 1024;

export const KIND_FUNCTION = 0;
export const KIND_TABLE = 1;
export const KIND_MEMORY = 2;
export const KIND_GLOBAL = 3;
export const KIND_TAG = 4;

export interface FunctionType {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}
export interface Limits {
  readonly min: number;
  readonly max: number | null;
  readonly is64: boolean;
}
export interface Import {
  readonly module: string;
  readonly name: string;
  readonly kind: number;
  /** Of functions. */
  readonly typeIndex: number;
}
export interface Global {
  readonly type: ValueType;
  readonly mutable: boolean;
}
export interface Export {
  readonly name: string;
  readonly kind: number;
  readonly index: number;
}
/** Bytes `[start, end)` of the module. */
export interface Range {
  readonly start: number;
  readonly end: number;
}
export interface DataSegment extends Range {
  /** Byte offset of an active segment; null when passive; undefined when it is not one plain constant of the memory's type. */
  readonly offset: bigint | null | undefined;
}
export interface ElementSegment extends Range {
  /** The ranges holding one function index each, in order. */
  readonly functions: readonly Range[];
}

export interface DecodedModule {
  readonly bytes: Uint8Array;
  readonly types: readonly FunctionType[];
  readonly typeSection: Range;
  readonly imports: readonly Import[];
  readonly importedFunctions: readonly Import[];
  /** Type index of every local function. */
  readonly functions: readonly number[];
  readonly tables: readonly (Limits & { readonly type: ValueType })[];
  readonly tableSection: Range | null;
  readonly memories: readonly Limits[];
  readonly globals: readonly Global[];
  readonly globalSection: Range | null;
  readonly exports: readonly Export[];
  readonly start: number | null;
  readonly elements: readonly ElementSegment[];
  readonly dataCount: number | null;
  readonly data: readonly DataSegment[];
  /** Function bodies: local declarations and code, without the size. */
  readonly bodies: readonly Range[];
  readonly customSections: readonly (Range & { readonly name: string })[];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer U)[] ? U[] : T[K] };
type Building = Mutable<DecodedModule>;

const SECTION_CODE = 10;

/** Order in which the sections must appear, by section id; custom sections (0) may stand anywhere. */
const SECTION_RANK: readonly number[] = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 11];

/** Decodes a raw (not gzipped) module; throws `InvalidModule`. */
export function decodeModule(bytes: Uint8Array): DecodedModule {
  if (bytes.length > MODULE_BYTES_MAX) {
    throw new InvalidModule(
      "module_size",
      `Wasm module size of ${bytes.length} exceeds the maximum allowed size of ${MODULE_BYTES_MAX}.`,
    );
  }
  let r: Reader = new FrameReader(bytes);
  const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  for (const [i, expected] of header.entries()) {
    if (bytes[i] !== expected) throw r.fail("not a Wasm module of version 1");
  }
  r.at = header.length;
  const m = emptyModule(bytes);
  let rank = 0;
  while (r.at < bytes.length) {
    const id = r.u8();
    const size = r.u32();
    const start = r.at;
    if (size > bytes.length - start) throw r.fail("section extends past the end of the module");
    const end = start + size;
    const section = new Reader(bytes, start, end);
    if (id !== 0) {
      const next = SECTION_RANK[id];
      if (next === undefined) throw invalidInReplica(r, `malformed section id: ${id}`);
      if (next <= rank) throw invalidInReplica(r, "section out of order");
      rank = next;
    }
    readSection(m, id, section);
    if (section.at !== end) throw section.fail(`section ${id} has trailing bytes`);
    // What follows the code is read by the validator only.
    if (id === SECTION_CODE) r = new Reader(bytes);
    r.at = end;
  }
  checkCounts(m, r);
  return m;
}

function emptyModule(bytes: Uint8Array): Building {
  return {
    bytes,
    types: [],
    typeSection: { start: 0, end: 0 },
    imports: [],
    importedFunctions: [],
    functions: [],
    tables: [],
    tableSection: null,
    memories: [],
    globals: [],
    globalSection: null,
    exports: [],
    start: null,
    elements: [],
    dataCount: null,
    data: [],
    bodies: [],
    customSections: [],
  };
}

function readSection(m: Building, id: number, r: Reader): void {
  switch (id) {
    case 0:
      readCustom(m, r);
      return;
    case 1:
      m.typeSection = { start: r.at, end: r.end };
      readVector(r, "types", () => m.types.push(readType(r)));
      return;
    case 2:
      readVector(r, "imports", () => readImport(m, r));
      return;
    case 3:
      readVector(r, "functions", () => m.functions.push(typeIndex(m, r)));
      return;
    case 4:
      m.tableSection = { start: r.at, end: r.end };
      readVector(r, "tables", () => m.tables.push({ type: readRefType(r), ...readLimits(r) }));
      return;
    case 5:
      readMemories(m, r);
      return;
    case 6:
      m.globalSection = { start: r.at, end: r.end };
      readVector(r, "globals", () => m.globals.push(readGlobal(r)));
      return;
    case 7:
      readVector(r, "exports", () => m.exports.push(readExport(m, r)));
      return;
    case 8:
      m.start = r.u32();
      if (m.start >= m.importedFunctions.length + m.functions.length) throw r.fail("unknown start function");
      return;
    case 9:
      readVector(r, "element segments", () => m.elements.push(readElement(m, r)), ELEMENT_SEGMENTS_MAX);
      return;
    case 10:
      readCode(m, r);
      return;
    case 11:
      readVector(r, "data segments", () => m.data.push(readData(m, r)));
      return;
    default:
      m.dataCount = r.u32();
  }
}

function readMemories(m: Building, r: Reader): void {
  const start = r.at;
  readVector(r, "memories", () => m.memories.push(readLimits(r)));
  if (m.memories.length > 1) throw invalidInReplicaAt(start, "multiple memories");
}

function readVector(r: Reader, what: string, element: () => unknown, max?: number): void {
  for (let n = r.count(what, max); n > 0; n--) element();
}

function readCustom(m: Building, r: Reader): void {
  const name = r.name();
  m.customSections.push({ name, start: r.at, end: r.end });
  r.at = r.end;
}

function readType(r: Reader): FunctionType {
  if (r.u8() !== 0x60) throw r.fail("only function types are allowed");
  const params: ValueType[] = [];
  const results: ValueType[] = [];
  readVector(r, "parameters", () => params.push(valueType(r)));
  readVector(r, "results", () => results.push(valueType(r)));
  return { params, results };
}

function typeIndex(m: Building, r: Reader): number {
  const index = r.u32();
  if (index >= m.types.length) throw r.fail(`unknown type ${index}`);
  return index;
}

function readLimits(r: Reader): Limits {
  const flags = r.u8();
  if (flags > 7 || (flags & 2) !== 0) throw r.fail(`limits flags 0x${flags.toString(16)} are not allowed`);
  const is64 = (flags & 4) !== 0;
  const min = is64 ? r.u64() : r.u32();
  const max = (flags & 1) === 0 ? null : is64 ? r.u64() : r.u32();
  if (max !== null && min > max) throw r.fail("size minimum must not be greater than maximum");
  return { min, max, is64 };
}

function readImport(m: Building, r: Reader): void {
  const module = r.boundedName();
  const name = r.boundedName();
  const kind = r.u8();
  let type = 0;
  if (kind === KIND_FUNCTION) type = typeIndex(m, r);
  else if (kind === KIND_TABLE) {
    readRefType(r);
    readLimits(r);
  } else if (kind === KIND_MEMORY) readLimits(r);
  else if (kind === KIND_GLOBAL) {
    valueType(r);
    r.u8();
  } else if (kind === KIND_TAG) {
    r.u8();
    r.u32();
  } else throw r.fail(`malformed import kind ${kind}`);
  const entry = { module, name, kind, typeIndex: type };
  m.imports.push(entry);
  if (kind === KIND_FUNCTION) m.importedFunctions.push(entry);
}

function readGlobal(r: Reader): Global {
  const type = valueType(r);
  const mutable = r.u8();
  if (mutable > 1) throw r.fail("malformed mutability");
  skipConstant(r);
  return { type, mutable: mutable === 1 };
}

function readExport(m: Building, r: Reader): Export {
  const name = r.boundedName();
  const kind = r.u8();
  const index = r.u32();
  if (kind > KIND_TAG) throw r.fail(`malformed export kind ${kind}`);
  if (kind === KIND_FUNCTION && index >= m.importedFunctions.length + m.functions.length) {
    throw r.fail(`unknown function ${index}`);
  }
  return { name, kind, index };
}

function readElement(m: Building, r: Reader): ElementSegment {
  const start = r.at;
  const flags = r.u32();
  if (flags > 7) throw r.fail("malformed element segment flags");
  const passive = (flags & 1) !== 0;
  const explicit = (flags & 2) !== 0;
  const expressions = (flags & 4) !== 0;
  if (!passive) {
    if (explicit) r.u32();
    skipConstant(r);
  }
  if (passive || explicit) {
    if (expressions) readRefType(r);
    else if (r.u8() !== 0) throw r.fail("malformed element kind");
  }
  const functions: Range[] = [];
  const functionCount = m.importedFunctions.length + m.functions.length;
  const readIndex = (): void => {
    const at = r.at;
    if (r.u32() >= functionCount) throw r.fail("unknown function in an element segment");
    functions.push({ start: at, end: r.at });
  };
  readVector(r, "elements", () => {
    if (!expressions) readIndex();
    else if (r.bytes[r.at] === 0xd2) {
      r.at++;
      readIndex();
      if (r.u8() !== 0x0b) throw r.fail("constant expression required");
    } else skipConstant(r);
  });
  return { start, end: r.at, functions };
}

function readCode(m: Building, r: Reader): void {
  const size = r.end - r.at;
  if (size > CODE_SECTION_BYTES_MAX) {
    throw new InvalidModule(
      "code_section_size",
      `Wasm module code section size of ${size} exceeds the maximum allowed size of ${CODE_SECTION_BYTES_MAX}.`,
    );
  }
  readVector(r, "function bodies", () => {
    const bytes = r.u32();
    const start = r.at;
    r.skip(bytes);
    m.bodies.push({ start, end: r.at });
  });
}

function readData(m: Building, r: Reader): DataSegment {
  const flags = r.u32();
  if (flags > 2) throw r.fail("malformed data segment flags");
  if (flags === 2 && r.u32() !== 0) throw r.fail("unknown memory of a data segment");
  const constant = flags === 1 ? null : skipConstant(r);
  const is64 = m.memories[0]?.is64 === true;
  const length = r.u32();
  const start = r.at;
  r.skip(length);
  let offset: bigint | null | undefined = null;
  if (flags !== 1) {
    offset =
      constant?.type === (is64 ? "i64" : "i32")
        ? BigInt.asUintN(is64 ? 64 : 32, (constant as { value: bigint }).value)
        : undefined;
  }
  return { start, end: r.at, offset };
}

function checkCounts(m: DecodedModule, r: Reader): void {
  if (m.functions.length !== m.bodies.length)
    throw invalidInReplica(r, "function and code section have inconsistent lengths");
  if (m.dataCount !== null && m.dataCount !== m.data.length) {
    throw invalidInReplica(r, "data count and data section have inconsistent lengths");
  }
}

/** Type of function `index`, imported or local. */
export function functionType(m: DecodedModule, index: number): FunctionType {
  const imported = m.importedFunctions.length;
  const type = index < imported ? m.importedFunctions[index]?.typeIndex : m.functions[index - imported];
  return m.types[type as number] as FunctionType;
}
