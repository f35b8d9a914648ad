/**
 * Names and index spaces of an instrumented module, shared by the rewriter and the engine.
 *
 * Functions: hooks of the host, the canister's imports, the canister's functions, then what is generated. The canister's
 * calls to an import go to a generated wrapper that makes the import's static charge first, in tables and exports too.
 */
import type { Form } from "./code-context.ts";
import type { DecodedModule } from "./decode.ts";

/** Import module of the host's hooks and memories; exports that begin with it are generated. */
export const RESERVED = "~";

export const IMPORT_MEMORY = "memory";
export const IMPORT_MAP = "map";

export const HOOK_OUT_OF_INSTRUCTIONS = 0;
export const HOOK_MEMORY_GROWN = 1;
export const HOOK_TRAP = 2;
/** Called by the profiling form only. */
export const HOOK_ENTER = 3;
export const HOOK_LEAVE = 4;
export const HOOKS = ["out_of_instructions", "memory_grown", "trap", "enter", "leave"] as const;

/** Operands of the trap hook. */
export const TRAP_STACK_OVERFLOW = 1;
export const TRAP_INDIRECT_CALL_TO_NULL = 2;
export const TRAP_HOST_MEMORY = 3;

export const EXPORT_START = "~start";
export const EXPORT_TABLE = "~table";
export const EXPORT_STACK_SET = "~stack_set";
export const EXPORT_COUNTER_GET = "~counter_get";
export const EXPORT_COUNTER_SET = "~counter_set";
export const EXPORT_CHARGE = "~charge";
export const EXPORT_CALLBACK = "~callback";
/** Followed by the global's index: a global of type i32 or i64, or accessor functions for the others. */
export const EXPORT_GLOBAL = "~g";
export const EXPORT_GLOBAL_GET = "~get";
export const EXPORT_GLOBAL_SET = "~set";

/**
 * The page map, a memory shared by all instances of an engine: a byte for each 4 KiB page of the canister's memory (1 when
 * dirty), then the list of dirty pages (u32 each, in order of first marking), then their number. Sized for 18 GiB of heap.
 */
export const MAP_PAGES_MAX: number = (18 * 1024 * 1024) / 4;
export const MAP_LIST_OFFSET: number = 1 * MAP_PAGES_MAX;
export const MAP_COUNT_OFFSET: number = MAP_LIST_OFFSET + 4 * MAP_PAGES_MAX;
export const MAP_WASM_PAGES: number = MAP_COUNT_OFFSET / 65_536 + 1;

/**
 * The counter's global holds two numbers, so that a call passes both at once: the instructions left, times `COUNTER_UNIT`, plus
 * the words of stack left. Below zero means that the instructions are used up; with `STACK_OVERFLOW_BIT` set, the stack is.
 */
export const COUNTER_SHIFT = 23;
export const COUNTER_UNIT: number = 2 ** COUNTER_SHIFT;
export const STACK_OVERFLOW_BIT: number = COUNTER_UNIT / 2;
/** Instructions that the counter can hold; more than any message may execute. */
export const COUNTER_MAX: number = 2 ** (63 - COUNTER_SHIFT) - 1;

/** Which index a generated thing has in the instrumented module. */
export interface Layout {
  readonly importCount: number;
  readonly functionCount: number;
  readonly wrapperBase: number;
  /** Where the functions around those of the module are in the profiling form; -1 in the others. */
  readonly profileBase: number;
  readonly fnCharge: number;
  readonly fnGrow: number;
  readonly fnMark: number;
  readonly fnMarkRange: number;
  /** The first function that only the host calls. */
  readonly fnHostBase: number;
  /** i64: instructions and stack left. */
  readonly counterGlobal: number;
  /**
   * The canister's functions take the counter as one more parameter and return it as one more result, which keeps it in
   * registers: the fast form, unless a type has no room for one more. Otherwise calls pass it in its global.
   */
  readonly passesCounter: boolean;
  /** Where the module's own types are when its functions' types have grown; 0 when they have not. */
  readonly ownTypes: number;
  readonly is64: boolean;
  readonly hasMemory: boolean;
}

/** Parameters and results that the engine allows a function. */
const ARITY_MAX = 1000;

export function layoutOf(m: DecodedModule, form: Form): Layout {
  const importCount = m.importedFunctions.length;
  const functionCount = m.functions.length;
  const hasMemory = m.memories.length > 0;
  const passesCounter =
    form === "fast" &&
    m.types.every(({ params, results }) => params.length < ARITY_MAX && results.length < ARITY_MAX);
  const wrapperBase = HOOKS.length + importCount + functionCount;
  const wrappersEnd = wrapperBase + importCount;
  const profileBase = form === "profile" ? wrappersEnd : -1;
  const fnCharge = profileBase < 0 ? wrappersEnd : wrappersEnd + importCount + functionCount;
  return {
    importCount,
    functionCount,
    wrapperBase,
    profileBase,
    fnCharge,
    fnGrow: fnCharge + 1,
    fnMark: fnCharge + 2,
    fnMarkRange: fnCharge + 3,
    fnHostBase: fnCharge + (hasMemory ? 4 : 1),
    counterGlobal: m.globals.length,
    passesCounter,
    ownTypes: passesCounter ? m.types.length : 0,
    is64: m.memories[0]?.is64 === true,
    hasMemory,
  };
}

/** Where the canister's function `index` is in the instrumented module. */
export function mapFunction(layout: Layout, index: number): number {
  if (layout.profileBase >= 0) return layout.profileBase + index;
  return index < layout.importCount ? layout.wrapperBase + index : HOOKS.length + index;
}
