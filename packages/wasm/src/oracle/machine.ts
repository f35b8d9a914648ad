/**
 * Part of the oracle (tests only): a slow, plain interpreter of canister modules that counts instructions by the text of the
 * metering rules (interface digest §4.5.1). It runs modules as they are uploaded; nothing is rewritten and nothing is shared
 * with the package's instrumentation, so that the two can be held against each other.
 *
 * Covered: 32- and 64-bit memories, multiple values, bulk operators, references, vectors. Not covered: imports other than
 * functions, and every proposal that canisters may not use.
 */
import { execute } from "./execute.ts";
import type { Instruction } from "./instructions.ts";
import { OracleMemory, OracleTable, unsignedOf } from "./memory.ts";
import { type Charge, chargesOf } from "./metering.ts";
import { decodeOracleModule, type OracleBody, type OracleFunctionType, type OracleModule } from "./module.ts";
import { OracleTrap, type Reference, type Value } from "./values.ts";

/** A function of the module, or an import. */
export interface OracleFunction {
  readonly index: number;
  readonly type: OracleFunctionType;
  readonly body: OracleBody | null;
  readonly charges: ReadonlyMap<number, Charge>;
  /** Name of the imported function; empty for the module's own. */
  readonly importName: string;
}

export interface OracleOptions {
  /** Imported functions by name; they may call `charge` and read `counter`. */
  readonly imports?: Readonly<Record<string, (...args: Value[]) => readonly Value[]>>;
  /** Charged, with a check, when an import is called, before it runs. */
  readonly importCosts?: Readonly<Record<string, number>>;
  /** The counter is below zero: throw to stop (without it: a trap), return to go on. */
  readonly outOfInstructions?: () => void;
  /** Calls inside calls before the stack is exhausted. */
  readonly callDepthMax?: number;
  /** Most pages of a memory, by the width of its addresses. */
  readonly memoryPagesMax?: (is64: boolean) => number;
}

const CALL_DEPTH_MAX = 2000;
const COUNTER_MIN: bigint = -(1n << 40n);

/** The canister heaps' most pages of 64 KiB: 4 GiB and 6 GiB (interface digest §2.1). */
const heapPagesMax = (is64: boolean): number => (is64 ? 98_304 : 65_536);

export class OracleMachine {
  readonly module: OracleModule;
  readonly functions: readonly OracleFunction[];
  readonly memories: readonly OracleMemory[];
  readonly tables: readonly OracleTable[];
  readonly globals: Value[] = [];
  /** Segments that `init` reads; empty once dropped. */
  readonly elements: Reference[][];
  readonly data: Uint8Array[];
  readonly options: OracleOptions;
  readonly is64: boolean;
  counter = 0n;
  depth = 0;

  /** Decodes and instantiates; a segment outside its memory or table is a trap. The start function does not run. */
  constructor(wasm: Uint8Array, options: OracleOptions = {}) {
    this.options = options;
    const m = decodeOracleModule(wasm);
    this.module = m;
    this.is64 = m.memories[0]?.is64 === true;
    this.functions = [
      ...m.imports.map((entry, index) => ({
        index,
        type: m.types[entry.type] as OracleFunctionType,
        body: null,
        charges: new Map<number, Charge>(),
        importName: entry.name,
      })),
      ...m.functions.map((type, i) => ({
        index: m.imports.length + i,
        type: m.types[type] as OracleFunctionType,
        body: m.bodies[i] as OracleBody,
        charges: chargesOf((m.bodies[i] as OracleBody).code, this.is64),
        importName: "",
      })),
    ];
    const pagesMax = options.memoryPagesMax ?? heapPagesMax;
    this.memories = m.memories.map(
      ({ min, max, is64 }) =>
        new OracleMemory(min, Math.min(max ?? Number.POSITIVE_INFINITY, pagesMax(is64)), is64),
    );
    this.tables = m.tables.map(({ min, max, is64 }) => new OracleTable(min, max ?? 2 ** 32 - 1, is64));
    for (const { init } of m.globals) this.globals.push(this.constant(init));
    this.elements = m.elements.map(({ items }) => items.map((item) => this.constant(item) as Reference));
    this.data = m.data.map(({ bytes }) => bytes);
    this.#applySegments();
  }

  #applySegments(): void {
    for (const [i, { target, declared }] of this.module.elements.entries()) {
      if (target !== null) {
        const at = unsignedOf(this.constant(target.offset));
        (this.tables[target.index] as OracleTable).write(at, this.elements[i] as Reference[]);
      }
      if (target !== null || declared) this.elements[i] = [];
    }
    for (const [i, { target, bytes }] of this.module.data.entries()) {
      if (target === null) continue;
      const memory = this.memories[target.index] as OracleMemory;
      const view = memory.view(unsignedOf(this.constant(target.offset)), BigInt(bytes.length));
      new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(bytes);
      this.data[i] = new Uint8Array(0);
    }
  }

  /** The value of a constant expression; it costs nothing. */
  constant(expression: readonly Instruction[]): Value {
    const stack: Value[] = [];
    execute(this, { code: expression, charges: new Map(), locals: [], stack, results: 1 });
    return stack[0] as Value;
  }

  /** Runs the function exported under `name`; a trap is thrown and leaves counter, memory and globals as they were at it. */
  call(name: string, ...args: Value[]): Value[] {
    const entry = this.module.exports.find((item) => item.name === name && item.kind === 0);
    if (entry === undefined) throw new Error(`no function is exported as '${name}'`);
    return this.run(entry.index, args);
  }

  start(): void {
    if (this.module.start !== null) this.run(this.module.start, []);
  }

  run(index: number, args: readonly Value[]): Value[] {
    this.depth = 0;
    return this.invoke(this.functions[index] as OracleFunction, [...args]);
  }

  invoke(target: OracleFunction, args: Value[]): Value[] {
    if (target.body === null) return this.#callImport(target.importName, args);
    if (this.depth >= (this.options.callDepthMax ?? CALL_DEPTH_MAX))
      throw new OracleTrap("call stack exhausted");
    this.depth++;
    const locals = [...args, ...target.body.locals.map(zeroOf)];
    const stack: Value[] = [];
    const results = target.type.results.length;
    execute(this, { code: target.body.code, charges: target.charges, locals, stack, results });
    this.depth--;
    return stack;
  }

  #callImport(name: string, args: Value[]): Value[] {
    this.charge(BigInt(this.options.importCosts?.[name] ?? 0));
    const run = this.options.imports?.[name];
    if (run === undefined) throw new Error(`no import '${name}'`);
    return [...run(...args)];
  }

  /** Subtracts without a look at the counter. */
  pay(cost: bigint): void {
    this.counter = BigInt.asIntN(64, this.counter - cost);
  }

  /** A dynamic charge: stops at the smallest counter, then looks. */
  charge(cost: bigint): void {
    const left = this.counter - cost;
    this.counter = left < COUNTER_MIN ? COUNTER_MIN : left;
    this.check();
  }

  check(): void {
    if (this.counter >= 0n) return;
    if (this.options.outOfInstructions === undefined) throw new OracleTrap("out of instructions");
    this.options.outOfInstructions();
  }
}

export function zeroOf(type: OracleFunctionType["params"][number]): Value {
  if (type === "i32" || type === "f32") return 0;
  if (type === "i64" || type === "f64") return 0n;
  return type === "v128" ? new Uint8Array(16) : null;
}
