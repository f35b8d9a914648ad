/** Reading one instruction: its opcode number (opcodes.ts) and its immediates, bounded and strict. */
import {
  IMM_BLOCK,
  IMM_BYTES16,
  IMM_DATA,
  IMM_DATA_MEMORY,
  IMM_ELEM,
  IMM_ELEM_TABLE,
  IMM_F32,
  IMM_F64,
  IMM_FUNCTION,
  IMM_GLOBAL,
  IMM_I32,
  IMM_I64,
  IMM_ILLEGAL,
  IMM_INDIRECT,
  IMM_LABEL,
  IMM_LABELS,
  IMM_LANE,
  IMM_LOCAL,
  IMM_MEMARG,
  IMM_MEMARG_LANE,
  IMM_MEMORY,
  IMM_MEMORY_MEMORY,
  IMM_NONE,
  IMM_REF_TYPE,
  IMM_SELECT_TYPES,
  IMM_TABLE,
  IMM_TABLE_TABLE,
  immediates,
  PREFIX_FC,
  PREFIX_SIMD,
} from "./opcodes.ts";
import { type InvalidModule, invalidInReplica, type Reader } from "./reader.ts";

/** Locals of one function: the engines' limit of 50,000, less the most parameters and what instrumentation adds. */
export const LOCALS_MAX = 48_900;

/** Reads an opcode and refuses those that canisters may not use; the immediates follow. */
export function readOpcode(r: Reader): number {
  let op = r.u8();
  if (op >= 0xfb) {
    const sub = r.u32();
    const prefix = op === 0xfc ? PREFIX_FC : op === 0xfd ? PREFIX_SIMD : -1;
    if (prefix < 0 || sub > 0xff) throw unsupported(r, `0x${op.toString(16)} 0x${sub.toString(16)}`);
    op = prefix + sub;
  }
  if (immediates[op] === IMM_ILLEGAL) throw unsupported(r, `0x${op.toString(16)}`);
  return op;
}

function unsupported(r: Reader, instruction: string): InvalidModule {
  return invalidInReplica(r, `unsupported instruction ${instruction}`);
}

const EMPTY_BLOCK = 0x40;

function isValueType(type: number): boolean {
  return (type >= 0x7b && type <= 0x7f) || isReferenceType(type);
}

function isReferenceType(type: number): boolean {
  return type === 0x70 || type === 0x6f;
}

/** Types of later proposals take more bytes than one: they must not pass as one that is known. */
function skipBlockType(r: Reader): void {
  const start = r.at;
  const type = r.s33();
  if (type >= 0) return;
  if (r.at > start + 1 || (type + 0x80 !== EMPTY_BLOCK && !isValueType(type + 0x80)))
    throw invalidInReplica(r, "invalid block type");
}

/** One memory only: its index is a single zero byte. */
function skipMemoryIndices(r: Reader, immediate: number): void {
  if (immediate === IMM_DATA_MEMORY) r.u32();
  for (let n = immediate === IMM_MEMORY_MEMORY ? 2 : 1; n > 0; n--) {
    if (r.u8() !== 0) throw invalidInReplica(r, "zero byte expected");
  }
}

/** Skips the immediates of kind `immediate`. */
export function skipImmediates(r: Reader, immediate: number): void {
  switch (immediate) {
    case IMM_NONE:
      return;
    case IMM_BLOCK:
      skipBlockType(r);
      return;
    case IMM_LABEL:
    case IMM_FUNCTION:
    case IMM_LOCAL:
    case IMM_GLOBAL:
    case IMM_TABLE:
    case IMM_DATA:
    case IMM_ELEM:
      r.u32();
      return;
    case IMM_MEMORY:
    case IMM_DATA_MEMORY:
    case IMM_MEMORY_MEMORY:
      skipMemoryIndices(r, immediate);
      return;
    case IMM_INDIRECT:
    case IMM_ELEM_TABLE:
    case IMM_TABLE_TABLE:
      r.u32();
      r.u32();
      return;
    case IMM_LABELS:
      for (let n = r.count("br_table"); n >= 0; n--) r.u32();
      return;
    case IMM_MEMARG:
      if (r.u32() > 31) throw r.fail("malformed memop flags");
      r.u64();
      return;
    case IMM_MEMARG_LANE:
      if (r.u32() > 31) throw r.fail("malformed memop flags");
      r.u64();
      r.u8();
      return;
    case IMM_I32:
      r.s32();
      return;
    case IMM_I64:
      r.skipLeb(10);
      return;
    case IMM_F32:
      r.skip(4);
      return;
    case IMM_F64:
      r.skip(8);
      return;
    case IMM_SELECT_TYPES:
      for (let n = r.count("select"); n > 0; n--) {
        if (!isValueType(r.u8())) throw invalidInReplica(r, "invalid value type");
      }
      return;
    case IMM_REF_TYPE:
      if (!isReferenceType(r.u8())) throw invalidInReplica(r, "invalid heap type");
      return;
    case IMM_LANE:
      r.u8();
      return;
    case IMM_BYTES16:
      r.skip(16);
      return;
    default:
      throw r.fail("unsupported instruction");
  }
}

/** Reads the local declarations: calls `declare(count, type)` for each group. Returns the number of locals. */
export function readLocals(r: Reader, declare?: (count: number, type: number) => void): number {
  let total = 0;
  for (let n = r.count("local declarations"); n > 0; n--) {
    const count = r.u32();
    total += count;
    if (total > LOCALS_MAX) throw r.fail(`too many locals: more than ${LOCALS_MAX}`);
    const type = r.u8();
    if (!isValueType(type)) throw r.fail("invalid local type");
    declare?.(count, type);
  }
  return total;
}

/** The opcode number of the next instruction, without reading it; 0 when it has none of interest. */
export function peekOpcode(r: Reader): number {
  const op = r.bytes[r.at] ?? 0;
  if (op < 0xfb) return op;
  const low = r.bytes[r.at + 1] ?? 0;
  const sub = low < 0x80 ? low : (low & 0x7f) | ((r.bytes[r.at + 2] ?? 0) << 7);
  return (op === 0xfc ? PREFIX_FC : PREFIX_SIMD) + (sub & 0xff);
}
