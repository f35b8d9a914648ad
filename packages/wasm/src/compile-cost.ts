/**
 * The operators that the replica's instrumentation adds to a module besides metering (scan.ts): its helper functions and
 * three globals. They are part of the cost of installing code, so they are counted although nothing of the kind is generated here.
 */

/** The counter's decrement, and the count of clean stable pages. */
const HELPER_OPERATORS: number = 20 + 46;
/** Instruction counter and the two page counters, each an initialiser and its end. */
const GLOBAL_OPERATORS: number = 3 * 2;

/** Operators added for a module that imports `imports`. */
export function functionOperatorsAdded(imports: readonly string[], is64: boolean): number {
  return HELPER_OPERATORS + GLOBAL_OPERATORS;
}
