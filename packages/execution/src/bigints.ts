/** Minimum and maximum of bigints, which `Math` does not know. */

export function minOf(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}

export function maxOf(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}
