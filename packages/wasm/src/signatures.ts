/**
 * Operand and result types of the instructions that have the same in every place, by opcode number (opcodes.ts), and what their
 * immediates may be at most (Wasm specification, "Instructions", "Vector Instructions"). Only asked when a module is invalid and
 * somebody is to be told why.
 */
import { immediates, PREFIX_FC, PREFIX_SIMD, pops, pushes } from "./opcodes.ts";

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;
export const FUNCREF = 0x70;
export const EXTERNREF = 0x6f;
/** The type of addresses: i64 where the memory is 64-bit, else i32. */
export const ADDRESS = 1;

export interface Signature {
  readonly params: readonly number[];
  readonly results: readonly number[];
}

const LETTERS: Readonly<Record<string, number>> = { i: I32, l: I64, f: F32, d: F64, v: V128, A: ADDRESS };

function parse(text: string): Signature {
  const [params = [], results = []] = text
    .split(":")
    .map((side) => [...side].map((letter) => LETTERS[letter] as number));
  return { params, results };
}

/** First and last opcode, and the types before and after the colon. */
const PLAIN: readonly (readonly [first: number, last: number, types: string])[] = [
  [0x01, 0x01, ":"],
  [0x28, 0x28, "A:i"],
  [0x29, 0x29, "A:l"],
  [0x2a, 0x2a, "A:f"],
  [0x2b, 0x2b, "A:d"],
  [0x2c, 0x2f, "A:i"],
  [0x30, 0x35, "A:l"],
  [0x36, 0x36, "Ai:"],
  [0x37, 0x37, "Al:"],
  [0x38, 0x38, "Af:"],
  [0x39, 0x39, "Ad:"],
  [0x3a, 0x3b, "Ai:"],
  [0x3c, 0x3e, "Al:"],
  [0x3f, 0x3f, ":A"],
  [0x40, 0x40, "A:A"],
  [0x41, 0x41, ":i"],
  [0x42, 0x42, ":l"],
  [0x43, 0x43, ":f"],
  [0x44, 0x44, ":d"],
  [0x45, 0x45, "i:i"],
  [0x46, 0x4f, "ii:i"],
  [0x50, 0x50, "l:i"],
  [0x51, 0x5a, "ll:i"],
  [0x5b, 0x60, "ff:i"],
  [0x61, 0x66, "dd:i"],
  [0x67, 0x69, "i:i"],
  [0x6a, 0x78, "ii:i"],
  [0x79, 0x7b, "l:l"],
  [0x7c, 0x8a, "ll:l"],
  [0x8b, 0x91, "f:f"],
  [0x92, 0x98, "ff:f"],
  [0x99, 0x9f, "d:d"],
  [0xa0, 0xa6, "dd:d"],
  [0xa7, 0xa7, "l:i"],
  [0xa8, 0xa9, "f:i"],
  [0xaa, 0xab, "d:i"],
  [0xac, 0xad, "i:l"],
  [0xae, 0xaf, "f:l"],
  [0xb0, 0xb1, "d:l"],
  [0xb2, 0xb3, "i:f"],
  [0xb4, 0xb5, "l:f"],
  [0xb6, 0xb6, "d:f"],
  [0xb7, 0xb8, "i:d"],
  [0xb9, 0xba, "l:d"],
  [0xbb, 0xbb, "f:d"],
  [0xbc, 0xbc, "f:i"],
  [0xbd, 0xbd, "d:l"],
  [0xbe, 0xbe, "i:f"],
  [0xbf, 0xbf, "l:d"],
  [0xc0, 0xc1, "i:i"],
  [0xc2, 0xc4, "l:l"],
  [PREFIX_FC, PREFIX_FC + 1, "f:i"],
  [PREFIX_FC + 2, PREFIX_FC + 3, "d:i"],
  [PREFIX_FC + 4, PREFIX_FC + 5, "f:l"],
  [PREFIX_FC + 6, PREFIX_FC + 7, "d:l"],
  [PREFIX_FC + 8, PREFIX_FC + 8, "Aii:"],
  [PREFIX_FC + 9, PREFIX_FC + 9, ":"],
  [PREFIX_FC + 10, PREFIX_FC + 10, "AAA:"],
  [PREFIX_FC + 11, PREFIX_FC + 11, "AiA:"],
  [PREFIX_FC + 13, PREFIX_FC + 13, ":"],
];

/** Vector instructions whose operands are not all vectors, or whose result is none. */
const VECTOR: readonly (readonly [types: string, ...numbers: number[]])[] = [
  ["A:v", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 92, 93],
  ["Av:", 11, 88, 89, 90, 91],
  ["Av:v", 84, 85, 86, 87],
  [":v", 12],
  ["i:v", 15, 16, 17],
  ["l:v", 18],
  ["f:v", 19],
  ["d:v", 20],
  ["v:i", 21, 22, 24, 25, 27, 83, 99, 100, 131, 132, 163, 164, 195, 196],
  ["vi:v", 23, 26, 28, 107, 108, 109, 139, 140, 141, 171, 172, 173, 203, 204, 205],
  ["v:l", 29],
  ["vl:v", 30],
  ["v:f", 31],
  ["vf:v", 32],
  ["v:d", 33],
  ["vd:v", 34],
];

const SIGNATURES: readonly (Signature | undefined)[] = signatures();

function signatures(): (Signature | undefined)[] {
  const out: (Signature | undefined)[] = [];
  for (const [first, last, types] of PLAIN) {
    for (let op = first; op <= last; op++) out[op] = parse(types);
  }
  for (let op = PREFIX_SIMD; op < immediates.length; op++)
    out[op] = parse(`${"v".repeat(pops[op] as number)}:${"v".repeat(pushes[op] as number)}`);
  for (const [types, ...numbers] of VECTOR) for (const n of numbers) out[PREFIX_SIMD + n] = parse(types);
  return out;
}

/** Undefined where the types depend on the place: control, variables, tables, references. */
export function signatureOf(op: number): Signature | undefined {
  return SIGNATURES[op];
}

/** log2 of the natural alignment, by opcode from 0x28 on. */
const ALIGNMENTS: readonly number[] = [2, 3, 2, 3, 0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 2, 3, 2, 3, 0, 1, 0, 1, 2];
const VECTOR_ALIGNMENTS: readonly (readonly [alignment: number, ...numbers: number[]])[] = [
  [0, 7, 84, 88],
  [1, 8, 85, 89],
  [2, 9, 86, 90, 92],
  [3, 1, 2, 3, 4, 5, 6, 10, 87, 91, 93],
  [4, 0, 11],
];

/** log2 of the natural alignment of a load or store. */
export function alignmentOf(op: number): number {
  if (op < PREFIX_SIMD) return ALIGNMENTS[op - 0x28] ?? 0;
  return VECTOR_ALIGNMENTS.find(([, ...numbers]) => numbers.includes(op - PREFIX_SIMD))?.[0] ?? 0;
}

const LANES: readonly (readonly [lanes: number, ...numbers: number[]])[] = [
  [16, 21, 22, 23, 84, 88],
  [8, 24, 25, 26, 85, 89],
  [4, 27, 28, 31, 32, 86, 90],
  [2, 29, 30, 33, 34, 87, 91],
];

/** Lanes of the vector that an instruction picks one of. */
export function lanesOf(op: number): number {
  return LANES.find(([, ...numbers]) => numbers.includes(op - PREFIX_SIMD))?.[0] ?? 0;
}
