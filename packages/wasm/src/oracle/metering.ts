/**
 * Part of the oracle (tests only). What each instruction costs and where it is paid, from the text of the metering rules alone
 * (interface digest §4.5.1, "Where" and "Weights"); nothing here looks at the package's own weights or rewriter.
 */
import type { Instruction } from "./instructions.ts";

/** Instructions by weight. A `*` stands for any characters; the first row that matches decides. */
const SCALAR_WEIGHTS: readonly (readonly [number, string])[] = [
  [0, "block loop else end"],
  [
    1,
    "i32.const i64.const f32.const f64.const v128.const local.* select select_typed drop nop return unreachable ref.null",
  ],
  [2, "global.get global.set if br br_if br_table f32.copysign"],
  [3, "f32.div f64.copysign"],
  [5, "f64.div f32.sqrt call table.get table.set ref.is_null"],
  [8, "f64.sqrt"],
  [10, "i32.div_* i32.rem_* i64.div_* i64.rem_* call_indirect"],
  [20, "memory.size"],
  [100, "table.size memory.fill memory.copy memory.init table.fill table.copy table.init"],
  [130, "ref.func"],
  [300, "memory.grow table.grow data.drop elem.drop"],
  [18, "f32.min f32.max f64.min f64.max"],
  [2, "f32.add f32.sub f32.mul f32.ceil f32.floor f32.trunc f32.nearest"],
  [2, "f64.add f64.sub f64.mul f64.ceil f64.floor f64.trunc f64.nearest"],
  [3, "f32.eq f32.ne f32.lt f32.gt f32.le f32.ge f64.eq f64.ne f64.lt f64.gt f64.le f64.ge"],
  [3, "f32.convert_*_s f64.convert_*_s"],
  [16, "f32.convert_*_u f64.convert_*_u"],
  [20, "i32.trunc_* i64.trunc_*"],
];

const VECTOR_WEIGHTS: readonly (readonly [number, string])[] = [
  [2, "i8x16.lt_u i16x8.lt_u i32x4.lt_u i8x16.gt_u i16x8.gt_u i32x4.gt_u i8x16.shr_u"],
  [2, "i16x8.shl i16x8.shr_s i16x8.shr_u i32x4.shl i32x4.shr_s i32x4.shr_u i64x2.shl i64x2.shr_u"],
  [2, "i16x8.extadd_pairwise_*_u i16x8.extmul_high_* i32x4.mul i32x4.extmul_*"],
  [2, "f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest f32x4.abs f32x4.neg f32x4.add f32x4.sub f32x4.mul"],
  [2, "f64x2.ceil f64x2.floor f64x2.trunc f64x2.nearest f64x2.abs f64x2.neg f64x2.add f64x2.sub f64x2.mul"],
  [2, "i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f64x2_s_zero"],
  [3, "i8x16.shuffle i8x16.popcnt i8x16.shl i8x16.shr_s i64x2.shr_s i32x4.extadd_pairwise_*_u"],
  [3, "i32x4.trunc_sat_f64x2_u_zero"],
  [4, "i64x2.mul f32x4.min f32x4.max f64x2.min i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_u"],
  [5, "f32x4.sqrt f64x2.max"],
  [10, "f32x4.div"],
  [12, "f64x2.div"],
  [14, "f64x2.sqrt"],
];

const ROWS: readonly (readonly [number, RegExp])[] = [...SCALAR_WEIGHTS, ...VECTOR_WEIGHTS].flatMap(
  ([weight, names]) =>
    names
      .split(" ")
      .map((name): [number, RegExp] => [
        weight,
        new RegExp(`^${name.replace(".", "\\.").replaceAll("*", ".*")}$`),
      ]),
);
const ACCESS = /^(i32|i64|f32|f64|v128)\.(load|store)/;
const known = new Map<string, number>();

/** The weight of an instruction of this name; a load or store costs twice as much with 64-bit addresses. */
export function weightOf(name: string, is64: boolean): number {
  if (ACCESS.test(name)) return is64 ? 2 : 1;
  let weight = known.get(name);
  if (weight === undefined) {
    weight = ROWS.find(([, pattern]) => pattern.test(name))?.[0] ?? 1;
    known.set(name, weight);
  }
  return weight;
}

/** A run ends after these. */
const RUN_ENDS: ReadonlySet<string> = new Set([
  "loop",
  "if",
  "else",
  "end",
  "br",
  "br_if",
  "br_table",
  "return",
  "unreachable",
]);

/** What is paid before the instruction at a position runs, and whether the counter is looked at then. */
export interface Charge {
  readonly cost: bigint;
  readonly checked: boolean;
}

/** The charges of a function body by position. */
export function chargesOf(code: readonly Instruction[], is64: boolean): Map<number, Charge> {
  const charges = new Map<number, Charge>();
  let start = 0;
  let cost = 1; // What a body opens with.
  for (const [at, { name }] of code.entries()) {
    cost += weightOf(name, is64);
    if (!RUN_ENDS.has(name)) continue;
    const checked = start === 0 || code[start - 1]?.name === "loop";
    if (cost > 0 || checked) charges.set(start, { cost: BigInt(cost), checked });
    start = at + 1;
    cost = 0;
  }
  return charges;
}

/** Instructions that pay their length operand (the last one) before they run, with a look at the counter. */
export const PAY_BY_LENGTH: ReadonlySet<string> = new Set([
  "memory.fill",
  "memory.copy",
  "memory.init",
  "table.fill",
  "table.copy",
  "table.init",
]);
