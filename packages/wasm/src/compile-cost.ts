/**
 * The operators that the replica's instrumentation adds to a module besides metering (scan.ts): its helper functions and
 * three globals. They are part of the cost of installing code, so they are counted although nothing of the kind is generated here.
 */

/** The counter's decrement, and the count of clean stable pages. */
const HELPER_OPERATORS: number = 20 + 46;
/** Instruction counter and the two page counters, each an initialiser and its end. */
const GLOBAL_OPERATORS: number = 3 * 2;

/** Functions of the stable memory that the replica runs as Wasm instead of calling the host: operators of each. */
const STABLE_OPERATORS: Readonly<Record<string, number>> = {
  stable_size: 10,
  stable64_size: 2,
  stable_grow: 24,
  stable64_grow: 21,
  stable_read: 106,
  stable64_read: 119,
  stable_write: 91,
  stable64_write: 107,
};

/** Operators added for a module that imports `imports` (names without duplicates). */
export function functionOperatorsAdded(imports: readonly string[]): number {
  return imports.reduce(
    (sum, name) => sum + (STABLE_OPERATORS[name] ?? 0),
    HELPER_OPERATORS + GLOBAL_OPERATORS,
  );
}
