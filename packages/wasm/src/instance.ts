/** One instance of an instrumented canister module: its entry points, counter, globals and dirty pages. */
import { OrreryError } from "@orrery/base";
import { withFrames } from "./backtrace.ts";
import type { Form } from "./code-context.ts";
import type { CompiledCanister } from "./engine.ts";
import { WORD_BYTES } from "./frame.ts";
import {
  COUNTER_MAX,
  EXPORT_CALLBACK,
  EXPORT_CHARGE,
  EXPORT_COUNTER_GET,
  EXPORT_COUNTER_SET,
  EXPORT_GLOBAL,
  EXPORT_GLOBAL_GET,
  EXPORT_GLOBAL_SET,
  EXPORT_STACK_SET,
  EXPORT_START,
  EXPORT_TABLE,
  IMPORT_MAP,
  IMPORT_MEMORY,
  RESERVED,
  TRAP_HOST_MEMORY,
  TRAP_STACK_OVERFLOW,
} from "./layout.ts";
import type { PageMap } from "./page-map.ts";
import { type FunctionProfile, ProfileRecorder } from "./profile.ts";
import { classifyTrap, hostMemoryError, WasmTrap } from "./traps.ts";

export interface InstanceHooks {
  /** The counter is below zero. Throw to stop (without the hook: a `WasmTrap`); return to go on with the counter as it is then. */
  outOfInstructions?(): void;
  /** The memory has grown (64 KiB pages); throw to refuse. */
  memoryGrown?(previousPages: number, deltaPages: number): void;
}

export interface InstanceParts {
  readonly compiled: CompiledCanister;
  readonly module: WebAssembly.Module;
  readonly form: Form;
  readonly memory: WebAssembly.Memory | null;
  readonly map: PageMap;
  readonly ic0: Readonly<Record<string, (...args: never[]) => unknown>>;
  readonly hooks: InstanceHooks;
  readonly stackBytes: number;
}

interface Accessor {
  read(): bigint;
  write(bits: bigint): void;
}

const LAST_PAGE_32 = 0xfffff;
const BYTES_32: number = 2 ** 32;
const PAGE_BYTES = 4096;
const MASK_64: bigint = (1n << 64n) - 1n;

export class CanisterInstance {
  readonly compiled: CompiledCanister;
  readonly form: Form;
  readonly memory: WebAssembly.Memory | null;
  readonly #map: PageMap;
  readonly #stackWords: number;
  readonly #exports: Record<string, unknown>;
  readonly #stackSet: (words: number) => void;
  readonly #counterGet: () => bigint;
  readonly #counterSet: (value: bigint) => void;
  readonly #charge: (amount: number) => void;
  readonly #globals: readonly Accessor[];
  /** Of the profiling form. */
  readonly #recorder: ProfileRecorder | null;

  constructor(parts: InstanceParts) {
    const { compiled, memory, map } = parts;
    this.compiled = compiled;
    this.form = parts.form;
    this.memory = memory;
    this.#map = map;
    this.#stackWords = Math.floor(parts.stackBytes / WORD_BYTES);
    this.#recorder = parts.form === "profile" ? new ProfileRecorder() : null;
    const reserved: Record<string, WebAssembly.ImportValue> = hostHooks(parts.hooks, this.#recorder);
    if (compiled.info.memory !== null) {
      if (memory === null)
        throw new OrreryError("wasm_memory_missing", "the module has a memory: pass one of its kind");
      reserved[IMPORT_MEMORY] = memory;
      reserved[IMPORT_MAP] = map.memory;
    }
    const instance = new WebAssembly.Instance(parts.module, { [RESERVED]: reserved, ic0: { ...parts.ic0 } });
    this.#exports = instance.exports;
    this.#stackSet = instance.exports[EXPORT_STACK_SET] as (words: number) => void;
    this.#counterGet = instance.exports[EXPORT_COUNTER_GET] as () => bigint;
    this.#counterSet = instance.exports[EXPORT_COUNTER_SET] as (value: bigint) => void;
    this.#charge = instance.exports[EXPORT_CHARGE] as (amount: number) => void;
    this.#globals = compiled.info.mutableGlobals.map(({ index, type }) =>
      accessor(instance.exports, index, type),
    );
  }

  hasExport(name: string): boolean {
    return name.startsWith("canister_") && typeof this.#exports[name] === "function";
  }

  /** Runs an exported method or hook. Throws `WasmTrap`, or what a System API function or hook threw. */
  call(exportName: string): void {
    if (!this.hasExport(exportName))
      throw new OrreryError("wasm_export_missing", `the module exports no function '${exportName}'`);
    this.#enter(() => (this.#exports[exportName] as () => void)());
  }

  /** Runs the module's start function, when it has one. */
  start(): void {
    const start = this.#exports[EXPORT_START] as (() => void) | undefined;
    if (start !== undefined) this.#enter(start);
  }

  /** Runs entry `index` of the table as a callback `(env: I) -> ()`; `env` is taken modulo the type's range. */
  callTable(index: number, env: number | bigint): void {
    const table = this.#exports[EXPORT_TABLE] as WebAssembly.Table | undefined;
    const callback = this.#exports[EXPORT_CALLBACK] as
      | ((index: number | bigint, env: number | bigint) => void)
      | undefined;
    const { info } = this.compiled;
    const position = info.tables[0]?.is64 === true ? BigInt(index) : index;
    if (
      table === undefined ||
      callback === undefined ||
      index >= Number(table.length) ||
      table.get(position) === null
    ) {
      throw new WasmTrap("function_not_found", true);
    }
    const argument = info.is64 ? BigInt.asIntN(64, BigInt(env)) : Number(BigInt.asIntN(32, BigInt(env)));
    this.#enter(() => callback(position, argument));
  }

  #enter(run: () => void): void {
    this.#stackSet(this.#stackWords);
    this.#recorder?.begin(Number(this.counter()));
    try {
      withFrames(run);
    } catch (error) {
      throw this.#unsure(error)
        ? new WasmTrap("stack_overflow", false, error)
        : (classifyTrap(error, this.form) ?? error);
    } finally {
      this.#recorder?.end(Number(this.counter()));
    }
  }

  /**
   * The stack ended with the instructions used up: they may have ended first, at a loop's head where only the exact form checks,
   * since a function that is called there checks both.
   */
  #unsure(error: unknown): boolean {
    return (
      this.form === "fast" &&
      error instanceof WasmTrap &&
      error.kind === "stack_overflow" &&
      this.counter() < 0n
    );
  }

  /** What was executed since it was last asked, by function; null but in the profiling form. */
  takeProfile(): FunctionProfile | null {
    return this.#recorder?.take(this.compiled.wasm) ?? null;
  }

  /** Instructions left; negative after running out. */
  counter(): bigint {
    return this.#counterGet();
  }

  /** At most `COUNTER_MAX`. */
  setCounter(value: bigint): void {
    if (value > COUNTER_MAX) {
      throw new OrreryError(
        "wasm_counter_range",
        `a limit of ${value} instructions: at most ${COUNTER_MAX} can be counted, pass fewer`,
      );
    }
    this.#recorder?.refilled(Number(this.counter()), Number(value));
    this.#counterSet(value);
  }

  /** Charges `amount` (an integer from 0) instructions, for System API functions; runs the out-of-instructions hook below zero. */
  charge(amount: number): void {
    this.#charge(amount);
  }

  /** Bits of the mutable globals, in the order of `info.mutableGlobals`; narrower types zero-extended. */
  readGlobals(): bigint[] {
    return this.#globals.map((global) => global.read());
  }

  writeGlobals(bits: readonly bigint[]): void {
    if (bits.length !== this.#globals.length) {
      throw new OrreryError(
        "wasm_globals_mismatch",
        `${bits.length} global values for a module with ${this.#globals.length}`,
      );
    }
    for (const [i, global] of this.#globals.entries()) global.write(bits[i] as bigint);
  }

  /** A view of the whole memory; stale after a growth. */
  memoryBytes(): Uint8Array {
    return this.memory === null ? new Uint8Array(0) : new Uint8Array(this.memory.buffer);
  }

  /** Marks bytes that the host has written or is about to write. */
  markDirty(address: number, length: number): void {
    this.#map.markRange(address, length);
  }

  /** Writes to memory and marks; a range that is not all in memory is a RangeError and writes nothing. */
  write(address: number, bytes: Uint8Array): void {
    this.memoryBytes().set(bytes, address);
    this.#map.markRange(address, bytes.length);
  }

  /** 4 KiB pages marked since the last `clearDirty` of the engine, without duplicates; a superset of those changed. */
  dirtyPages(): Uint32Array {
    // Page caches start at the last 32-bit page, so its own marks can be missed; only a full 4 GiB memory has it.
    const bytes = this.memory?.buffer.byteLength ?? 0;
    if (!this.compiled.info.is64 && bytes === BYTES_32) this.#map.mark(LAST_PAGE_32);
    return this.#map.pages(bytes / PAGE_BYTES);
  }

  /** Forgets all marks; before each message. */
  clearDirty(): void {
    this.#map.clear();
  }
}

function hostHooks(
  hooks: InstanceHooks,
  recorder: ProfileRecorder | null,
): Record<string, (...args: never[]) => unknown> {
  return {
    enter: recorder?.enter ?? ((): void => {}),
    leave: recorder?.leave ?? ((): void => {}),
    out_of_instructions: () => {
      if (hooks.outOfInstructions === undefined) throw new WasmTrap("out_of_instructions", true);
      hooks.outOfInstructions();
    },
    memory_grown: (previous: number, delta: number) => hooks.memoryGrown?.(previous >>> 0, delta >>> 0),
    trap: (code: number) => {
      if (code === TRAP_HOST_MEMORY) throw hostMemoryError();
      throw new WasmTrap(code === TRAP_STACK_OVERFLOW ? "stack_overflow" : "other", true);
    },
  };
}

function accessor(exports: Record<string, unknown>, index: number, type: string): Accessor {
  if (type === "i32" || type === "i64") {
    const global = exports[`${EXPORT_GLOBAL}${index}`] as WebAssembly.Global;
    return type === "i32"
      ? {
          read: () => BigInt.asUintN(32, BigInt(global.value)),
          write: (bits) => {
            global.value = Number(BigInt.asIntN(32, bits));
          },
        }
      : {
          read: () => BigInt.asUintN(64, global.value as bigint),
          write: (bits) => {
            global.value = BigInt.asIntN(64, bits);
          },
        };
  }
  const get = exports[`${EXPORT_GLOBAL_GET}${index}`] as () => bigint | [bigint, bigint];
  const set = exports[`${EXPORT_GLOBAL_SET}${index}`] as (...words: bigint[]) => void;
  if (type !== "v128") return { read: () => BigInt.asUintN(64, get() as bigint), write: (bits) => set(bits) };
  return {
    read: () => {
      const [low, high] = get() as [bigint, bigint];
      return BigInt.asUintN(64, low) | (BigInt.asUintN(64, high) << 64n);
    },
    write: (bits) => set(bits & MASK_64, bits >> 64n),
  };
}
