/** Traps of canister code with the replica's texts, and how the engine's own errors map to them. */
import { OrreryError } from "@orrery/base";
import type { Form } from "./code-context.ts";

export type TrapKind =
  | "unreachable"
  | "heap_out_of_bounds"
  | "table_out_of_bounds"
  | "integer_division_by_zero"
  | "stack_overflow"
  | "bad_signature"
  | "function_not_found"
  | "out_of_instructions"
  | "other";

/** What follows "Canister trapped: "; for the kinds that are reported in another way, a description. */
export const TRAP_TEXTS: Readonly<Record<TrapKind, string>> = {
  unreachable: "unreachable",
  heap_out_of_bounds: "heap out of bounds",
  table_out_of_bounds: "table out of bounds",
  integer_division_by_zero: "integer division by 0",
  stack_overflow: "stack overflow",
  bad_signature: "function invocation does not match its signature",
  function_not_found: "non-existent Wasm function",
  out_of_instructions: "out of instructions",
  other: "unknown",
};

/** Canister code trapped. Exceptions thrown by System API functions are not wrapped in it; they pass as they are. */
export class WasmTrap extends Error {
  readonly kind: TrapKind;
  /**
   * `kind` is final, and the counter is the replica's at this trap; when instructions ran out in the fast form, it is only below
   * zero as the replica's is. False asks for a run in the exact form.
   */
  readonly exactCounter: boolean;

  constructor(kind: TrapKind, exactCounter: boolean, cause?: unknown) {
    super(TRAP_TEXTS[kind], cause === undefined ? undefined : { cause });
    this.name = "WasmTrap";
    this.kind = kind;
    this.exactCounter = exactCounter;
  }
}

/** The host refuses memory: not a trap and never -1, since another host would come to another result. */
export function hostMemoryError(cause?: unknown): OrreryError {
  return new OrreryError(
    "wasm_host_memory",
    "the host has no memory left for a canister to grow: free some or add more",
    cause === undefined ? {} : { cause },
  );
}

/** Patterns of engine messages: V8's first, then SpiderMonkey's and JavaScriptCore's wordings. */
const PATTERNS: readonly (readonly [RegExp, TrapKind])[] = [
  [/unreachable/i, "unreachable"],
  [
    /table index is out of bounds|table access|out of bounds (table|call_indirect)|table index/i,
    "table_out_of_bounds",
  ],
  [/memory access out of bounds|index out of bounds|out of bounds memory/i, "heap_out_of_bounds"],
  [/data segment|memory/i, "heap_out_of_bounds"],
  [/divide by zero|remainder by zero|division by zero/i, "integer_division_by_zero"],
  [/signature/i, "bad_signature"],
];

/**
 * The trap behind an error that came out of an instance, or null when it is not a trap but an exception of the host.
 * In the fast form the counter was written back before calls and `unreachable` only, and a null table entry looks like a
 * wrong type; such traps have `exactCounter` false.
 */
export function classifyTrap(error: unknown, form: Form): WasmTrap | null {
  if (error instanceof RangeError && /call stack/i.test(error.message))
    return new WasmTrap("stack_overflow", false, error);
  if (!(error instanceof WebAssembly.RuntimeError)) return null;
  const kind = PATTERNS.find(([pattern]) => pattern.test(error.message))?.[1] ?? "other";
  return new WasmTrap(kind, form !== "fast" || kind === "unreachable", error);
}
