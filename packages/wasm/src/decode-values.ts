/** Value types and constant expressions in the binary format (Wasm specification, "Types", "Constant Expressions"). */
import { localGlobal, type Reader } from "./reader.ts";
import type { ValueType } from "./types.ts";

export function valueType(r: Reader): ValueType {
  const code = r.u8();
  switch (code) {
    case 0x7f:
      return "i32";
    case 0x7e:
      return "i64";
    case 0x7d:
      return "f32";
    case 0x7c:
      return "f64";
    case 0x7b:
      return "v128";
    case 0x70:
      return "funcref";
    case 0x6f:
      return "externref";
    default:
      throw r.fail(`invalid value type 0x${code.toString(16)}`);
  }
}

export function readRefType(r: Reader): ValueType {
  const type = valueType(r);
  if (type !== "funcref" && type !== "externref") throw r.fail("malformed reference type");
  return type;
}

/**
 * Skips a constant expression; returns its only instruction's value when it is a single i32.const or i64.const. `refersTo` hears of the
 * functions that it refers to.
 */
export function skipConstant(
  r: Reader,
  refersTo?: (index: number) => void,
): { type: "i32" | "i64"; value: bigint } | null {
  let only: { type: "i32" | "i64"; value: bigint } | null = null;
  for (let n = 0; ; n++) {
    const op = r.u8();
    if (op === 0x0b) return n === 1 ? only : null;
    only = null;
    if (op === 0x41) only = { type: "i32", value: BigInt(r.s32()) };
    else if (op === 0x42) only = { type: "i64", value: r.s64() };
    else if (op === 0x43) r.skip(4);
    else if (op === 0x44) r.skip(8);
    else if (op === 0xd2) {
      const index = r.u32();
      refersTo?.(index);
    } else if (op === 0x23) throw localGlobal(r);
    else if (op === 0xd0) readRefType(r);
    else if (op === 0xfd) {
      if (r.u32() !== 12) throw r.fail("constant expression required");
      r.skip(16);
    } else if (!(op >= 0x6a && op <= 0x6c) && !(op >= 0x7c && op <= 0x7e))
      throw r.fail("constant expression required");
  }
}
