/**
 * Unsigned and signed LEB128 of arbitrary size (interface spec, "Hash of data" and "State tree" encodings).
 */
import { OrreryError } from "./errors.ts";

/** Longest encoding accepted: 19 bytes hold 128 bits. */
const LEB128_BYTES_MAX = 19;

/** Bits taken from a big number at once, since each operation on one makes another: four groups of seven. */
const CHUNK_BITS = 28n;

export function encodeUleb128(value: bigint | number): Uint8Array {
  let rest = BigInt(value);
  if (rest < 0n) throw new OrreryError("leb128_invalid", `unsigned LEB128 of a negative number: ${rest}`);
  const out: number[] = [];
  for (;;) {
    let low = Number(BigInt.asUintN(Number(CHUNK_BITS), rest));
    rest >>= CHUNK_BITS;
    if (rest === 0n) {
      for (; low >= 0x80; low >>= 7) out.push((low & 0x7f) | 0x80);
      out.push(low);
      return Uint8Array.from(out);
    }
    for (let group = 0; group < 4; group++, low >>= 7) out.push((low & 0x7f) | 0x80);
  }
}

export function encodeSleb128(value: bigint | number): Uint8Array {
  let v = BigInt(value);
  const out: number[] = [];
  for (;;) {
    const low = Number(v & 0x7fn);
    v >>= 7n;
    const last = (v === 0n && (low & 0x40) === 0) || (v === -1n && (low & 0x40) !== 0);
    out.push(last ? low : low | 0x80);
    if (last) return Uint8Array.from(out);
  }
}

/** Decodes at `offset`; `next` is the offset after it. Refuses truncated input and more than 19 bytes. */
export function decodeUleb128(bytes: Uint8Array, offset = 0): { value: bigint; next: number } {
  let value = 0n;
  for (let i = 0; i < LEB128_BYTES_MAX; i++) {
    const b = bytes[offset + i];
    if (b === undefined) break;
    value |= BigInt(b & 0x7f) << BigInt(7 * i);
    if ((b & 0x80) === 0) return { value, next: offset + i + 1 };
  }
  throw new OrreryError("leb128_invalid", `truncated or overlong LEB128 at offset ${offset}`);
}
