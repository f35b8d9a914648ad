/**
 * Part of the oracle (tests only). Values as bits, so that a NaN never passes through a JavaScript number on its way: i32 and
 * f32 are signed 32-bit numbers, i64 and f64 signed 64-bit bigints, v128 sixteen bytes (little-endian, never changed in place),
 * references a function or null. The NaN of an arithmetic result is the canonical one (interface digest §2.1).
 */

/** What a function reference points to; compared by identity. */
export type Reference = object | null;
export type Value = number | bigint | Uint8Array | Reference;

export type OracleTrapKind =
  | "unreachable"
  | "out of bounds memory access"
  | "out of bounds table access"
  | "undefined element"
  | "uninitialized element"
  | "indirect call type mismatch"
  | "integer divide by zero"
  | "integer overflow"
  | "invalid conversion to integer"
  | "call stack exhausted"
  | "out of instructions";

export class OracleTrap extends Error {
  readonly kind: OracleTrapKind;

  constructor(kind: OracleTrapKind) {
    super(kind);
    this.kind = kind;
  }
}

export const CANONICAL_NAN_32 = 0x7fc00000;
export const CANONICAL_NAN_64 = 0x7ff8000000000000n;

const scratch = new DataView(new ArrayBuffer(8));

export function floatOf32(bits: number): number {
  scratch.setInt32(0, bits);
  return scratch.getFloat32(0);
}

export function floatOf64(bits: bigint): number {
  scratch.setBigInt64(0, bits);
  return scratch.getFloat64(0);
}

/** Rounds to f32; every NaN becomes the canonical one. */
export function bitsOf32(value: number): number {
  if (Number.isNaN(value)) return CANONICAL_NAN_32;
  scratch.setFloat32(0, value);
  return scratch.getInt32(0);
}

export function bitsOf64(value: number): bigint {
  if (Number.isNaN(value)) return CANONICAL_NAN_64;
  scratch.setFloat64(0, value);
  return scratch.getBigInt64(0);
}
