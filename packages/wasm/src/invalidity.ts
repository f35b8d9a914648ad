/**
 * Why a module is invalid that decodes well and that the engine refuses (Wasm specification, "Validation"): sections in their
 * order, with the words of the replica's validator and the place. Whatever is not found here, or not soon, is told in one fixed
 * sentence, so that what is told is the same on every host.
 */
import {
  type DecodedModule,
  functionType,
  KIND_FUNCTION,
  KIND_GLOBAL,
  KIND_MEMORY,
  KIND_TABLE,
} from "./decode.ts";
import { skipConstant } from "./decode-values.ts";
import { BODY_BYTES_MAX, memoryPagesMax, TYPES_MAX } from "./limits.ts";
import { InvalidModule, invalidInReplica, invalidInReplicaAt, Reader } from "./reader.ts";
import { FUNCREF, I32, I64 } from "./signatures.ts";
import { TooLong, typeName } from "./typed-stack.ts";
import { type Context, checkBody, checkConstant } from "./typing.ts";
import { TYPE_BYTES } from "./value-types.ts";

/** Operands that are looked at before the search is given up. */
export const OPERANDS_MAX = 20_000_000;
/** What the engines allow. */
const PARAMETERS_MAX = 1_000;
const TABLE_ENTRIES_MAX = 10_000_000;
const DATA_SEGMENTS_MAX = 100_000;
/** Imports, functions, globals, exports. */
const ENTRIES_MAX = 1_000_000;

/** For what was not found: the same words whatever the engine says. */
export const UNEXPLAINED =
  "Wasmtime failed to validate wasm module wasmtime::Module::validate() failed with an invalid module";

/** The reason for a refusal of the engine. */
export function invalidity(m: DecodedModule, operandsMax: number = OPERANDS_MAX): InvalidModule {
  try {
    new Sections(m, operandsMax).check();
  } catch (error) {
    if (error instanceof InvalidModule) return error;
    if (!(error instanceof TooLong)) throw error;
  }
  return new InvalidModule("engine_validation", UNEXPLAINED);
}

class Sections {
  readonly #module: DecodedModule;
  readonly #segments: number[] = [];
  readonly #declared = new Set<number>();
  readonly #context: Context;

  constructor(m: DecodedModule, operandsMax: number) {
    this.#module = m;
    this.#context = {
      module: m,
      is64: m.memories[0]?.is64 === true,
      globals: m.globals.map(({ type, mutable }) => ({ type: TYPE_BYTES[type], mutable })),
      segments: this.#segments,
      declared: this.#declared,
      budget: { left: operandsMax },
    };
  }

  check(): void {
    const m = this.#module;
    const { bytes } = m;
    const r = new Reader(bytes, 8);
    while (r.at < bytes.length) {
      const id = r.u8();
      const end = r.u32() + r.at;
      this.#section(id, new Reader(bytes, r.at, end));
      r.at = end;
    }
    for (const index of m.bodies.keys()) checkBody(this.#context, index);
  }

  /** Reads how many entries a section has. */
  #count(r: Reader, what: string, max: number): number {
    const start = r.at;
    const count = r.u32();
    if (count > max) throw invalidInReplicaAt(start, `${what} count exceeds limit of ${max}`);
    return count;
  }

  #section(id: number, r: Reader): void {
    switch (id) {
      case 1:
        this.#types(r);
        return;
      case 2:
        this.#count(r, "imports", ENTRIES_MAX);
        return;
      case 3:
        this.#count(r, "functions", ENTRIES_MAX);
        return;
      case 4:
        this.#tables(r);
        return;
      case 5:
        this.#memories(r);
        return;
      case 6:
        this.#count(r, "globals", ENTRIES_MAX);
        for (const { type } of this.#context.globals) {
          r.skip(2);
          this.#declareFrom(r);
          checkConstant(this.#context, r, type);
        }
        return;
      case 7:
        this.#exports(r);
        return;
      case 8:
        this.#start(r);
        return;
      case 9:
        for (let n = r.u32(); n > 0; n--) this.#element(r);
        return;
      case 10:
        for (const { start, end } of this.#module.bodies) {
          if (end - start > BODY_BYTES_MAX)
            throw invalidInReplicaAt(start, "function body size is out of bounds");
        }
        return;
      case 11:
        for (let n = this.#count(r, "data segments", DATA_SEGMENTS_MAX); n > 0; n--) this.#data(r);
        return;
      default:
    }
  }

  #types(r: Reader): void {
    this.#count(r, "types", TYPES_MAX);
    for (const { params, results } of this.#module.types) {
      if (params.length > PARAMETERS_MAX) throw invalidInReplica(r, "function params size is out of bounds");
      if (results.length > PARAMETERS_MAX)
        throw invalidInReplica(r, "function returns size is out of bounds");
    }
  }

  #tables(r: Reader): void {
    for (const { min } of this.#module.tables) {
      if (min > TABLE_ENTRIES_MAX) throw invalidInReplica(r, "minimum table size is out of bounds");
    }
  }

  #memories(r: Reader): void {
    for (const { min, max, is64 } of this.#module.memories) {
      const pages = is64 ? 2 ** 48 : memoryPagesMax(false);
      if (min > pages || (max ?? 0) > pages)
        throw invalidInReplica(r, `memory size must be at most 0x${pages.toString(16)} 65536-byte pages`);
    }
  }

  #exports(r: Reader): void {
    const m = this.#module;
    const names = new Set<string>();
    for (let n = this.#count(r, "exports", ENTRIES_MAX); n > 0; n--) {
      const start = r.at;
      const name = r.name();
      const kind = r.u8();
      const index = r.u32();
      const [what, count] =
        kind === KIND_TABLE
          ? ["table", m.tables.length]
          : kind === KIND_MEMORY
            ? ["memory", m.memories.length]
            : kind === KIND_GLOBAL
              ? ["global", m.globals.length]
              : kind === KIND_FUNCTION
                ? ["function", m.importedFunctions.length + m.functions.length]
                : ["tag", 0];
      if (index >= count)
        throw invalidInReplicaAt(start, `unknown ${what} ${index}: exported ${what} index out of bounds`);
      if (kind === KIND_FUNCTION) this.#declared.add(index);
      if (names.has(name))
        throw invalidInReplicaAt(start, `duplicate export name \`${name}\` already defined`);
      names.add(name);
    }
  }

  #start(r: Reader): void {
    const start = r.at;
    const { params, results } = functionType(this.#module, r.u32());
    if (params.length + results.length > 0) throw invalidInReplicaAt(start, "invalid start function type");
  }

  #addressType(): number {
    return this.#context.is64 ? I64 : I32;
  }

  #element(r: Reader): void {
    const at = r.at;
    const flags = r.u32();
    const active = (flags & 1) === 0;
    const explicit = (flags & 2) !== 0;
    const expressions = (flags & 4) !== 0;
    const table = active && explicit ? r.u32() : 0;
    const offsetAt = r.at;
    if (active) skipConstant(r);
    const offsetEnd = r.at;
    let type = FUNCREF;
    if (!active || explicit) {
      const kind = r.u8();
      if (expressions) type = kind;
    }
    if (active) this.#activeElement({ at, table, type, offset: new Reader(r.bytes, offsetAt, offsetEnd) });
    for (let n = r.u32(); n > 0; n--) {
      if (!expressions) this.#declared.add(r.u32());
      else {
        this.#declareFrom(r);
        checkConstant(this.#context, r, type);
      }
    }
    this.#segments.push(type);
  }

  #activeElement(part: {
    readonly at: number;
    readonly table: number;
    readonly type: number;
    readonly offset: Reader;
  }): void {
    const table = this.#module.tables[part.table];
    if (table === undefined)
      throw invalidInReplicaAt(part.at, `unknown table ${part.table}: table index out of bounds`);
    const element = TYPE_BYTES[table.type];
    if (element !== part.type) {
      const types = `\`${typeName(part.type)}\` for table type \`${typeName(element)}\``;
      throw invalidInReplicaAt(part.at, `type mismatch: invalid element type ${types}`);
    }
    checkConstant(this.#context, part.offset, table.is64 ? I64 : I32);
  }

  #data(r: Reader): void {
    const at = r.at;
    if (r.u32() !== 1) {
      if (r.bytes[at] === 2) r.u32();
      if (this.#module.memories.length === 0)
        throw invalidInReplicaAt(at, "unknown memory 0: memory index out of bounds");
      checkConstant(this.#context, r, this.#addressType());
    }
    r.skip(r.u32());
  }

  /** Functions that the constant ahead refers to may be referred to from bodies. */
  #declareFrom(r: Reader): void {
    const ahead = new Reader(r.bytes, r.at, r.end);
    skipConstant(ahead, (index) => this.#declared.add(index));
  }
}
