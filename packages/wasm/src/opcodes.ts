/**
 * Every instruction that a canister may use, as flat tables indexed by an opcode number: 0x00-0xff for one-byte opcodes,
 * 0x100 + n for the 0xfc prefix and 0x200 + n for the 0xfd prefix (SIMD without the relaxed instructions). An instruction
 * that has no entry (threads, exceptions, tail calls, GC, function references, relaxed SIMD) is `IMM_ILLEGAL`.
 * Weights and complexities are the replica's (reference: metering, exact); stack arities are the Wasm specification's.
 */

export const PREFIX_FC = 0x100;
export const PREFIX_SIMD = 0x200;
const TABLE_LENGTH = 0x300;

/** Shapes of an instruction's immediate operands. */
export const IMM_NONE = 0;
export const IMM_BLOCK = 1;
export const IMM_LABEL = 2;
export const IMM_LABELS = 3;
export const IMM_FUNCTION = 4;
export const IMM_INDIRECT = 5;
export const IMM_LOCAL = 6;
export const IMM_GLOBAL = 7;
export const IMM_TABLE = 8;
export const IMM_MEMARG = 9;
export const IMM_MEMORY = 10;
export const IMM_I32 = 11;
export const IMM_I64 = 12;
export const IMM_F32 = 13;
export const IMM_F64 = 14;
export const IMM_SELECT_TYPES = 15;
export const IMM_REF_TYPE = 16;
export const IMM_DATA_MEMORY = 17;
export const IMM_DATA = 18;
export const IMM_MEMORY_MEMORY = 19;
export const IMM_ELEM_TABLE = 20;
export const IMM_ELEM = 21;
export const IMM_TABLE_TABLE = 22;
export const IMM_LANE = 23;
export const IMM_MEMARG_LANE = 24;
export const IMM_BYTES16 = 25;
export const IMM_ILLEGAL = 255;

/** What the float result of an instruction needs so that every host produces the same NaN bits. */
export const CANON_NONE = 0;
export const CANON_F32 = 1;
export const CANON_F64 = 2;
export const CANON_F32X4 = 3;
export const CANON_F64X2 = 4;

export const OP_UNREACHABLE = 0x00;
export const OP_BLOCK = 0x02;
export const OP_LOOP = 0x03;
export const OP_IF = 0x04;
export const OP_ELSE = 0x05;
export const OP_END = 0x0b;
export const OP_BR = 0x0c;
export const OP_BR_IF = 0x0d;
export const OP_BR_TABLE = 0x0e;
export const OP_RETURN = 0x0f;
export const OP_CALL = 0x10;
export const OP_CALL_INDIRECT = 0x11;
export const OP_LOCAL_GET = 0x20;
export const OP_LOCAL_SET = 0x21;
export const OP_LOCAL_TEE = 0x22;
export const OP_GLOBAL_GET = 0x23;
export const OP_GLOBAL_SET = 0x24;
export const OP_MEMORY_GROW = 0x40;
export const OP_I32_CONST = 0x41;
export const OP_I64_CONST = 0x42;
export const OP_I32_ADD = 0x6a;
export const OP_I32_SUB = 0x6b;
export const OP_I64_ADD = 0x7c;
export const OP_I64_SUB = 0x7d;
export const OP_REF_FUNC = 0xd2;
export const OP_MEMORY_INIT: number = PREFIX_FC + 8;
export const OP_DATA_DROP: number = PREFIX_FC + 9;
export const OP_MEMORY_COPY: number = PREFIX_FC + 10;
export const OP_MEMORY_FILL: number = PREFIX_FC + 11;
export const OP_ELEM_DROP: number = PREFIX_FC + 13;

/** Instructions that the replica refuses although its engine knows them: tables of a canister never change. */
export const REFUSED_TABLE_OPERATORS: ReadonlyMap<number, string> = new Map([
  [0x26, "table.set"],
  [PREFIX_FC + 12, "table.init"],
  [PREFIX_FC + 14, "table.copy"],
  [PREFIX_FC + 15, "table.grow"],
  [PREFIX_FC + 17, "table.fill"],
]);

export const immediates: Uint8Array = new Uint8Array(TABLE_LENGTH).fill(IMM_ILLEGAL);
export const pops: Uint8Array = new Uint8Array(TABLE_LENGTH);
export const pushes: Uint8Array = new Uint8Array(TABLE_LENGTH);
/** Instructions charged in a module whose memory is 32-bit, and in one whose memory is 64-bit. */
export const weights32: Uint16Array = new Uint16Array(TABLE_LENGTH).fill(1);
export const weights64: Uint16Array = new Uint16Array(TABLE_LENGTH).fill(1);
export const complexities: Uint8Array = new Uint8Array(TABLE_LENGTH).fill(1);
export const canonicalise: Uint8Array = new Uint8Array(TABLE_LENGTH);
/** True where the result depends on its float operands only through their being NaN, never through a NaN's bits. */
export const ignoresNanBits: Uint8Array = new Uint8Array(TABLE_LENGTH);
/** Bytes written by a store, 0 for everything else; and the type of the stored value (a value type byte). */
export const storeBytes: Uint8Array = new Uint8Array(TABLE_LENGTH);
export const storeType: Uint8Array = new Uint8Array(TABLE_LENGTH);

type Row = readonly [first: number, last: number, immediate: number, pops: number, pushes: number];

const ROWS: readonly Row[] = [
  [0x00, 0x01, IMM_NONE, 0, 0], // unreachable nop
  [0x02, 0x03, IMM_BLOCK, 0, 0],
  [0x04, 0x04, IMM_BLOCK, 1, 0],
  [0x05, 0x05, IMM_NONE, 0, 0],
  [0x0b, 0x0b, IMM_NONE, 0, 0],
  [0x0c, 0x0c, IMM_LABEL, 0, 0],
  [0x0d, 0x0d, IMM_LABEL, 1, 0],
  [0x0e, 0x0e, IMM_LABELS, 1, 0],
  [0x0f, 0x0f, IMM_NONE, 0, 0],
  [0x10, 0x10, IMM_FUNCTION, 0, 0],
  [0x11, 0x11, IMM_INDIRECT, 1, 0],
  [0x1a, 0x1a, IMM_NONE, 1, 0], // drop
  [0x1b, 0x1b, IMM_NONE, 3, 1], // select
  [0x1c, 0x1c, IMM_SELECT_TYPES, 3, 1],
  [0x20, 0x20, IMM_LOCAL, 0, 1],
  [0x21, 0x21, IMM_LOCAL, 1, 0],
  [0x22, 0x22, IMM_LOCAL, 1, 1],
  [0x23, 0x23, IMM_GLOBAL, 0, 1],
  [0x24, 0x24, IMM_GLOBAL, 1, 0],
  [0x25, 0x25, IMM_TABLE, 1, 1],
  [0x26, 0x26, IMM_TABLE, 2, 0],
  [0x28, 0x35, IMM_MEMARG, 1, 1],
  [0x36, 0x3e, IMM_MEMARG, 2, 0],
  [0x3f, 0x3f, IMM_MEMORY, 0, 1],
  [0x40, 0x40, IMM_MEMORY, 1, 1],
  [0x41, 0x41, IMM_I32, 0, 1],
  [0x42, 0x42, IMM_I64, 0, 1],
  [0x43, 0x43, IMM_F32, 0, 1],
  [0x44, 0x44, IMM_F64, 0, 1],
  [0x45, 0x45, IMM_NONE, 1, 1], // i32.eqz
  [0x46, 0x4f, IMM_NONE, 2, 1],
  [0x50, 0x50, IMM_NONE, 1, 1], // i64.eqz
  [0x51, 0x66, IMM_NONE, 2, 1], // i64, f32, f64 compares
  [0x67, 0x69, IMM_NONE, 1, 1],
  [0x6a, 0x78, IMM_NONE, 2, 1],
  [0x79, 0x7b, IMM_NONE, 1, 1],
  [0x7c, 0x8a, IMM_NONE, 2, 1],
  [0x8b, 0x91, IMM_NONE, 1, 1], // f32 abs…sqrt
  [0x92, 0x98, IMM_NONE, 2, 1],
  [0x99, 0x9f, IMM_NONE, 1, 1], // f64 abs…sqrt
  [0xa0, 0xa6, IMM_NONE, 2, 1],
  [0xa7, 0xc4, IMM_NONE, 1, 1], // conversions, sign extension
  [0xd0, 0xd0, IMM_REF_TYPE, 0, 1],
  [0xd1, 0xd1, IMM_NONE, 1, 1],
  [0xd2, 0xd2, IMM_FUNCTION, 0, 1],
  [PREFIX_FC, PREFIX_FC + 7, IMM_NONE, 1, 1], // trunc_sat
  [PREFIX_FC + 8, PREFIX_FC + 8, IMM_DATA_MEMORY, 3, 0],
  [PREFIX_FC + 9, PREFIX_FC + 9, IMM_DATA, 0, 0],
  [PREFIX_FC + 10, PREFIX_FC + 10, IMM_MEMORY_MEMORY, 3, 0],
  [PREFIX_FC + 11, PREFIX_FC + 11, IMM_MEMORY, 3, 0],
  [PREFIX_FC + 12, PREFIX_FC + 12, IMM_ELEM_TABLE, 3, 0],
  [PREFIX_FC + 13, PREFIX_FC + 13, IMM_ELEM, 0, 0],
  [PREFIX_FC + 14, PREFIX_FC + 14, IMM_TABLE_TABLE, 3, 0],
  [PREFIX_FC + 15, PREFIX_FC + 15, IMM_TABLE, 2, 1],
  [PREFIX_FC + 16, PREFIX_FC + 16, IMM_TABLE, 0, 1],
  [PREFIX_FC + 17, PREFIX_FC + 17, IMM_TABLE, 3, 0],
];

for (const [first, last, immediate, popped, pushed] of ROWS) {
  for (let op = first; op <= last; op++) define(op, immediate, popped, pushed);
}

function define(op: number, immediate: number, popped: number, pushed: number): void {
  immediates[op] = immediate;
  pops[op] = popped;
  pushes[op] = pushed;
}

function simd(numbers: readonly number[], immediate: number, popped: number, pushed: number): void {
  for (const n of numbers) define(PREFIX_SIMD + n, immediate, popped, pushed);
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

const SIMD_RESERVED: ReadonlySet<number> = new Set([
  154, 162, 165, 166, 175, 176, 178, 179, 180, 187, 194, 197, 198, 207, 208, 210, 211, 212, 226, 238,
]);
const SIMD_UNARY: readonly number[] = [
  77,
  83,
  ...range(94, 106),
  116,
  117,
  122,
  ...range(124, 129),
  131,
  132,
  ...range(135, 138),
  148,
  160,
  161,
  163,
  164,
  ...range(167, 170),
  192,
  193,
  195,
  196,
  ...range(199, 202),
  224,
  225,
  227,
  236,
  237,
  239,
  ...range(248, 255),
].filter((n) => n !== 101 && n !== 102);

simd(
  range(14, 255).filter((n) => !SIMD_RESERVED.has(n)),
  IMM_NONE,
  2,
  1,
);
simd(SIMD_UNARY, IMM_NONE, 1, 1);
simd([...range(0, 10), 92, 93], IMM_MEMARG, 1, 1);
simd([11], IMM_MEMARG, 2, 0);
simd([12], IMM_BYTES16, 0, 1);
simd([13], IMM_BYTES16, 2, 1);
simd(range(15, 20), IMM_NONE, 1, 1); // splats
simd([21, 22, 24, 25, 27, 29, 31, 33], IMM_LANE, 1, 1);
simd([23, 26, 28, 30, 32, 34], IMM_LANE, 2, 1);
simd([82], IMM_NONE, 3, 1); // bitselect
simd(range(84, 87), IMM_MEMARG_LANE, 2, 1);
simd(range(88, 91), IMM_MEMARG_LANE, 2, 0);

const I32 = 0x7f;
const I64 = 0x7e;
const F32 = 0x7d;
const F64 = 0x7c;
const V128 = 0x7b;

const STORES: readonly (readonly [op: number, bytes: number, type: number])[] = [
  [0x36, 4, I32],
  [0x37, 8, I64],
  [0x38, 4, F32],
  [0x39, 8, F64],
  [0x3a, 1, I32],
  [0x3b, 2, I32],
  [0x3c, 1, I64],
  [0x3d, 2, I64],
  [0x3e, 4, I64],
  [PREFIX_SIMD + 11, 16, V128],
  [PREFIX_SIMD + 88, 1, V128],
  [PREFIX_SIMD + 89, 2, V128],
  [PREFIX_SIMD + 90, 4, V128],
  [PREFIX_SIMD + 91, 8, V128],
];
for (const [op, bytes, type] of STORES) {
  storeBytes[op] = bytes;
  storeType[op] = type;
}

/** `[weight, …opcodes]`; everything else weighs 1. */
const WEIGHTS: readonly (readonly number[])[] = [
  [0, 0x02, 0x03, 0x05, 0x0b],
  [2, 0x04, 0x0c, 0x0d, 0x0e, 0x23, 0x24, 0x8d, 0x8e, 0x8f, 0x90, 0x92, 0x93, 0x94, 0x98],
  [2, 0x9b, 0x9c, 0x9d, 0x9e, 0xa0, 0xa1, 0xa2],
  [3, ...range(0x5b, 0x66), 0x95, 0xa6, 0xb2, 0xb4, 0xb7, 0xb9],
  [5, 0x10, 0x25, 0x26, 0x91, 0xa3, 0xd1],
  [8, 0x9f],
  [10, 0x11, ...range(0x6d, 0x70), ...range(0x7f, 0x82)],
  [16, 0xb3, 0xb5, 0xb8, 0xba],
  [18, 0x96, 0x97, 0xa4, 0xa5],
  [20, 0x3f, ...range(0xa8, 0xab), ...range(0xae, 0xb1), ...range(PREFIX_FC, PREFIX_FC + 7)],
  [100, ...[8, 10, 11, 12, 14, 16, 17].map((n) => PREFIX_FC + n)],
  [130, 0xd2],
  [300, 0x40, ...[9, 13, 15].map((n) => PREFIX_FC + n)],
];
const SIMD_WEIGHTS: readonly (readonly number[])[] = [
  [
    2, 38, 40, 48, 50, 58, 60, 109, 125, 139, 140, 141, 157, 159, 171, 172, 173, 181, 188, 189, 190, 191, 203,
    205,
  ],
  [2, 103, 104, 105, 106, 116, 117, 122, 148, 224, 225, 228, 229, 230, 236, 237, 240, 241, 242, 248, 252],
  [3, 13, 98, 107, 108, 127, 204, 253],
  [4, 213, 232, 233, 244, 249, 251],
  [5, 227, 245],
  [10, 231],
  [12, 243],
  [14, 239],
];
for (const [weight = 0, ...ops] of WEIGHTS) for (const op of ops) weights32[op] = weight;
for (const [weight = 0, ...ops] of SIMD_WEIGHTS) for (const op of ops) weights32[PREFIX_SIMD + op] = weight;
weights64.set(weights32);
for (const op of [...range(0x28, 0x3e), ...[...range(0, 11), ...range(84, 93)].map((n) => PREFIX_SIMD + n)]) {
  weights64[op] = 2;
}

/** `[complexity, …opcodes]`; everything else counts 1. */
const COMPLEXITIES: readonly (readonly number[])[] = [
  [50, 0x02, 0x03, 0x04, 0x0c, 0x0d, 0x0e, 0x10, 0x11, 0x40],
  [14, 0x25],
  [8, 0xd2],
  [6, 0xd1],
  [5, ...range(0xa8, 0xab), 0xac, 0xad, ...range(0xae, 0xb1), ...range(0xb2, 0xba)],
  [4, 0x8b, 0x8c, 0x99, 0x9a, PREFIX_FC + 10],
  [3, 0x98, 0xa6, 0x61, ...range(0x6d, 0x70), ...range(0x7f, 0x82), PREFIX_FC + 11, ...range(0x28, 0x35)],
  [3, ...range(PREFIX_FC, PREFIX_FC + 7)],
  [2, 0x23, 0x69, 0x7b, 0x1b, 0x3f, ...range(0x36, 0x3e), ...range(0x45, 0x60), ...range(0x62, 0x66)],
  [2, 0x8d, 0x8e, 0x8f, 0x91, 0x9b, 0x9c, 0x9d, 0x9f, 0xa7, ...range(0xbb, 0xc4)],
];
for (const [complexity = 0, ...ops] of COMPLEXITIES) for (const op of ops) complexities[op] = complexity;

/**
 * Float arithmetic whose NaN results are made canonical, as the replica's compiler does: add sub mul div min max sqrt ceil
 * floor trunc nearest, promotion and demotion, scalar and vector; never neg, abs, copysign, pmin or pmax.
 */
const CANONICAL: readonly (readonly number[])[] = [
  [CANON_F32, ...range(0x8d, 0x97), 0xb6],
  [CANON_F64, ...range(0x9b, 0xa5), 0xbb],
  [CANON_F32X4, ...[94, 103, 104, 105, 106, 227, 228, 229, 230, 231, 232, 233].map((n) => PREFIX_SIMD + n)],
  [CANON_F64X2, ...[95, 116, 117, 122, 148, 239, 240, 241, 242, 243, 244, 245].map((n) => PREFIX_SIMD + n)],
];
for (const [kind = 0, ...ops] of CANONICAL) for (const op of ops) canonicalise[op] = kind;
for (let op = 0; op < TABLE_LENGTH; op++) if (canonicalise[op] !== CANON_NONE) ignoresNanBits[op] = 1;
for (const op of [
  ...range(0x5b, 0x66),
  ...range(0xa8, 0xab),
  ...range(0xae, 0xb1),
  ...range(PREFIX_FC, PREFIX_FC + 7),
]) {
  ignoresNanBits[op] = 1; // compares and truncations to integers
}
