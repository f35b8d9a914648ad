/**
 * Assembles the instrumented module (reference: metering, exact; design, "Pages"): imports of the hooks, the pooled memory
 * and the page map come first, the bodies are rewritten (body.ts), helpers are appended, active data segments become empty
 * passive ones, the start function becomes an export, and custom sections are left out.
 */
import { BodyRewriter } from "./body.ts";
import type { Form } from "./code-context.ts";
import { type DecodedModule, type FunctionType, KIND_FUNCTION, KIND_TABLE } from "./decode.ts";
import { callingConvention, type GeneratedFunction, generatedFunctions } from "./generated.ts";
import {
  EXPORT_GLOBAL,
  EXPORT_START,
  EXPORT_TABLE,
  HOOK_ENTER,
  HOOK_LEAVE,
  HOOK_MEMORY_GROWN,
  HOOK_TRAP,
  HOOKS,
  IMPORT_MAP,
  IMPORT_MEMORY,
  type Layout,
  layoutOf,
  MAP_WASM_PAGES,
  mapFunction,
  RESERVED,
} from "./layout.ts";
import { BODY_BYTES_MAX, IMPORTS_MAX, memoryPagesMax, TYPES_MAX } from "./limits.ts";
import { outgrown, Reader } from "./reader.ts";
import type { ValueType } from "./types.ts";
import { TYPE_BYTES } from "./value-types.ts";
import { Writer } from "./writer.ts";

export interface InstrumentOptions {
  readonly form: Form;
}

/**
 * Instruments a valid module; see the file's header. The result has imports of "~" and "ic0" only. Throws `InvalidModule` when it
 * would be more than engines take.
 */
export function instrument(m: DecodedModule, options: InstrumentOptions): Uint8Array {
  const layout = layoutOf(m, options.form);
  const types = new TypeTable(m, layout);
  const callback = callingConvention({ params: [layout.is64 ? "i64" : "i32"], results: [] }, layout);
  const generated = generatedFunctions(m, layout, types.index(callback.params, callback.results));
  const generatedTypes = generated.map((f) => types.index(f.params, f.results));
  const hookTypes = HOOKS.map((_, hook) => types.index(hookParams(hook), []));
  const referenced = new Set<number>();
  const { code, hints } = codeSection(m, layout, options, types, generated, referenced);

  const out = new Writer(m.bytes.length * 2);
  out.code(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00);
  out.section(1, types.section());
  out.section(2, importSection(m, layout, hookTypes));
  out.section(3, functionSection(m, generatedTypes));
  if (m.tableSection !== null) {
    const tables = new Writer();
    tables.copy(m.bytes, m.tableSection.start, m.tableSection.end);
    out.section(4, tables);
  }
  out.section(6, globalSection(m));
  out.section(7, exportSection(m, layout, generated));
  const elements = elementSection(m, layout, referenced);
  if (elements !== null) out.section(9, elements);
  if (m.data.length > 0) {
    const count = new Writer();
    count.u32(m.data.length);
    out.section(12, count);
  }
  if (hints.length > 0) out.section(0, hints);
  out.section(10, code);
  if (m.data.length > 0) out.section(11, dataSection(m));
  return out.view().slice();
}

function hookParams(hook: number): ValueType[] {
  if (hook === HOOK_MEMORY_GROWN) return ["i32", "i32"];
  if (hook === HOOK_ENTER) return ["i32", "f64"];
  if (hook === HOOK_LEAVE) return ["f64"];
  return hook === HOOK_TRAP ? ["i32"] : [];
}

/**
 * The types of the canister's functions at the indices that its code calls them by, then, where the calling convention makes those
 * other types, the module's own for imports and blocks, then those that the added functions need.
 */
class TypeTable {
  readonly #module: DecodedModule;
  readonly #layout: Layout;
  readonly #added: FunctionType[] = [];
  readonly #indices: Map<string, number> = new Map();

  constructor(module: DecodedModule, layout: Layout) {
    this.#module = module;
    this.#layout = layout;
  }

  index(params: readonly ValueType[], results: readonly ValueType[]): number {
    const key = `${params.join()}>${results.join()}`;
    let index = this.#indices.get(key);
    if (index === undefined) {
      index = this.#layout.ownTypes + this.#module.types.length + this.#added.length;
      this.#added.push({ params, results });
      this.#indices.set(key, index);
    }
    return index;
  }

  section(): Writer {
    const { bytes, types, typeSection } = this.#module;
    const w = new Writer();
    const count = this.#layout.ownTypes + types.length + this.#added.length;
    if (count > TYPES_MAX) throw outgrown(`${count} types, at most ${TYPES_MAX}`);
    w.u32(count);
    if (this.#layout.ownTypes > 0) {
      for (const type of types) writeType(w, callingConvention(type, this.#layout));
    }
    if (types.length > 0) {
      const r = new Reader(bytes, typeSection.start, typeSection.end);
      r.u32();
      w.copy(bytes, r.at, typeSection.end);
    }
    for (const type of this.#added) writeType(w, type);
    return w;
  }
}

function writeType(w: Writer, { params, results }: FunctionType): void {
  w.u8(0x60);
  for (const list of [params, results]) {
    w.u32(list.length);
    for (const t of list) w.u8(TYPE_BYTES[t]);
  }
}

function codeSection(
  m: DecodedModule,
  layout: Layout,
  options: InstrumentOptions,
  types: TypeTable,
  generated: readonly GeneratedFunction[],
  referenced: Set<number>,
): { code: Writer; hints: Writer } {
  const code = new Writer(m.bytes.length * 2);
  const hinted = new Writer();
  let hintedFunctions = 0;
  code.u32(m.bodies.length + generated.length);
  const rewriter = new BodyRewriter({
    module: m,
    layout,
    form: options.form,
    resultType: (results) => types.index([], results),
    referenced,
  });
  for (const [i, body] of m.bodies.entries()) {
    const before = code.length;
    const unlikely = rewriter.rewrite(body, m.types[m.functions[i] as number] as FunctionType, code);
    const bytes = code.length - before;
    if (bytes > BODY_BYTES_MAX)
      throw outgrown(`function ${i} takes ${bytes} bytes with its metering, at most ${BODY_BYTES_MAX}`);
    if (unlikely.length === 0) continue;
    hintedFunctions++;
    hinted.u32(HOOKS.length + layout.importCount + i);
    hinted.u32(unlikely.length);
    for (const at of unlikely) {
      hinted.u32(at);
      hinted.code(1, 0);
    }
  }
  for (const f of generated) {
    code.u32(f.body.length);
    code.append(f.body);
  }
  const hints = new Writer();
  if (hintedFunctions > 0) {
    hints.name("metadata.code.branch_hint");
    hints.u32(hintedFunctions);
    hints.append(hinted);
  }
  return { code, hints };
}

function importSection(m: DecodedModule, layout: Layout, hookTypes: readonly number[]): Writer {
  const w = new Writer();
  const count = HOOKS.length + m.imports.length + (layout.hasMemory ? 2 : 0);
  if (count > IMPORTS_MAX) throw outgrown(`${count} imports, at most ${IMPORTS_MAX}`);
  w.u32(count);
  for (const [i, hook] of HOOKS.entries()) {
    w.name(RESERVED);
    w.name(hook);
    w.u8(KIND_FUNCTION);
    w.u32(hookTypes[i] as number);
  }
  for (const entry of m.imports) {
    w.name(entry.module);
    w.name(entry.name);
    w.u8(KIND_FUNCTION);
    w.u32(layout.ownTypes + entry.typeIndex);
  }
  if (!layout.hasMemory) return w;
  w.name(RESERVED);
  w.name(IMPORT_MEMORY);
  w.code(2, layout.is64 ? 5 : 1);
  w.u32(m.memories[0]?.min ?? 0);
  w.u32(memoryPagesMax(layout.is64));
  w.name(RESERVED);
  w.name(IMPORT_MAP);
  w.code(2, 1);
  w.u32(MAP_WASM_PAGES);
  w.u32(MAP_WASM_PAGES);
  return w;
}

function functionSection(m: DecodedModule, generatedTypes: readonly number[]): Writer {
  const w = new Writer();
  w.u32(m.functions.length + generatedTypes.length);
  for (const type of m.functions) w.u32(type);
  for (const type of generatedTypes) w.u32(type);
  return w;
}

/** The module's globals, then the instructions and the stack left. */
function globalSection(m: DecodedModule): Writer {
  const w = new Writer();
  w.u32(m.globals.length + 1);
  if (m.globalSection !== null) {
    const r = new Reader(m.bytes, m.globalSection.start, m.globalSection.end);
    r.u32();
    w.copy(m.bytes, r.at, m.globalSection.end);
  }
  w.code(0x7e, 1, 0x42, 0, 0x0b);
  return w;
}

function exportSection(m: DecodedModule, layout: Layout, generated: readonly GeneratedFunction[]): Writer {
  const w = new Writer();
  let count = 0;
  const add = (name: string, kind: number, index: number): void => {
    w.name(name);
    w.u8(kind);
    w.u32(index);
    count++;
  };
  for (const entry of m.exports) {
    if (!layout.passesCounter && entry.kind === KIND_FUNCTION && entry.name.startsWith("canister_")) {
      add(entry.name, KIND_FUNCTION, mapFunction(layout, entry.index));
    }
  }
  for (const [i, f] of generated.entries()) {
    if (f.exportName !== undefined) add(f.exportName, KIND_FUNCTION, layout.wrapperBase + i);
  }
  if (!layout.passesCounter && m.start !== null)
    add(EXPORT_START, KIND_FUNCTION, mapFunction(layout, m.start));
  if (m.tables.length > 0) add(EXPORT_TABLE, KIND_TABLE, 0);
  for (const [i, global] of m.globals.entries()) {
    if (global.mutable && (global.type === "i32" || global.type === "i64")) add(`${EXPORT_GLOBAL}${i}`, 3, i);
  }
  const section = new Writer();
  section.u32(count);
  section.append(w);
  return section;
}

/** The module's segments with mapped function indices, and a declaration of every function that code takes a reference to. */
function elementSection(m: DecodedModule, layout: Layout, referenced: ReadonlySet<number>): Writer | null {
  if (m.elements.length === 0 && referenced.size === 0) return null;
  const w = new Writer();
  w.u32(m.elements.length + (referenced.size > 0 ? 1 : 0));
  for (const segment of m.elements) {
    let at = segment.start;
    for (const entry of segment.functions) {
      w.copy(m.bytes, at, entry.start);
      w.u32(mapFunction(layout, new Reader(m.bytes, entry.start, entry.end).u32()));
      at = entry.end;
    }
    w.copy(m.bytes, at, segment.end);
  }
  if (referenced.size > 0) {
    w.code(3, 0);
    w.u32(referenced.size);
    for (const index of referenced) w.u32(index);
  }
  return w;
}

/** Passive segments as they are; active ones passive and empty, which is what they are once a module is instantiated. */
function dataSection(m: DecodedModule): Writer {
  const w = new Writer();
  w.u32(m.data.length);
  for (const segment of m.data) {
    w.u8(1);
    const length = segment.offset === null ? segment.end - segment.start : 0;
    w.u32(length);
    w.copy(m.bytes, segment.start, segment.start + length);
  }
  return w;
}
