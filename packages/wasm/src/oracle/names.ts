/**
 * Part of the oracle (tests only). Instruction names by binary opcode, from the index of instructions of the Wasm core
 * specification, so that the rest of the oracle reads like the text it follows. The key of a prefixed opcode is its prefix
 * times 0x100 plus the number that follows.
 */

const INTEGER_COMPARES = "eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const FLOAT_COMPARES = "eq ne lt gt le ge";
const INTEGER_ARITHMETIC =
  "clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr";
const FLOAT_ARITHMETIC = "abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign";
const LANE_COMPARES = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const FLOAT_LANES = "abs neg . sqrt add sub mul div min max pmin pmax";

function prefixed(type: string, operations: string): string {
  return operations
    .split(" ")
    .map((operation) => (operation === "." ? "." : `${type}.${operation}`))
    .join(" ");
}

const PLAIN: readonly (readonly [number, string])[] = [
  [0x00, "unreachable nop block loop if else"],
  [0x0b, "end br br_if br_table return call call_indirect"],
  [0x1a, "drop select select_typed"],
  [0x20, "local.get local.set local.tee global.get global.set table.get table.set"],
  [0x28, prefixed("i32", "load")],
  [0x29, "i64.load f32.load f64.load"],
  [0x2c, prefixed("i32", "load8_s load8_u load16_s load16_u")],
  [0x30, prefixed("i64", "load8_s load8_u load16_s load16_u load32_s load32_u")],
  [0x36, "i32.store i64.store f32.store f64.store i32.store8 i32.store16"],
  [0x3c, "i64.store8 i64.store16 i64.store32 memory.size memory.grow"],
  [0x41, "i32.const i64.const f32.const f64.const"],
  [0x45, prefixed("i32", INTEGER_COMPARES)],
  [0x50, prefixed("i64", INTEGER_COMPARES)],
  [0x5b, prefixed("f32", FLOAT_COMPARES)],
  [0x61, prefixed("f64", FLOAT_COMPARES)],
  [0x67, prefixed("i32", INTEGER_ARITHMETIC)],
  [0x79, prefixed("i64", INTEGER_ARITHMETIC)],
  [0x8b, prefixed("f32", FLOAT_ARITHMETIC)],
  [0x99, prefixed("f64", FLOAT_ARITHMETIC)],
  [0xa7, prefixed("i32", "wrap_i64 trunc_f32_s trunc_f32_u trunc_f64_s trunc_f64_u")],
  [0xac, prefixed("i64", "extend_i32_s extend_i32_u trunc_f32_s trunc_f32_u trunc_f64_s trunc_f64_u")],
  [0xb2, prefixed("f32", "convert_i32_s convert_i32_u convert_i64_s convert_i64_u demote_f64")],
  [0xb7, prefixed("f64", "convert_i32_s convert_i32_u convert_i64_s convert_i64_u promote_f32")],
  [0xbc, "i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64"],
  [0xc0, "i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s"],
  [0xd0, "ref.null ref.is_null ref.func"],
  [0xfc00, prefixed("i32", "trunc_sat_f32_s trunc_sat_f32_u trunc_sat_f64_s trunc_sat_f64_u")],
  [0xfc04, prefixed("i64", "trunc_sat_f32_s trunc_sat_f32_u trunc_sat_f64_s trunc_sat_f64_u")],
  [0xfc08, "memory.init data.drop memory.copy memory.fill"],
  [0xfc0c, "table.init elem.drop table.copy table.grow table.size table.fill"],
];

const VECTOR: readonly (readonly [number, string])[] = [
  [0, prefixed("v128", "load load8x8_s load8x8_u load16x4_s load16x4_u load32x2_s load32x2_u")],
  [7, prefixed("v128", "load8_splat load16_splat load32_splat load64_splat store const")],
  [13, "i8x16.shuffle i8x16.swizzle i8x16.splat i16x8.splat i32x4.splat i64x2.splat f32x4.splat f64x2.splat"],
  [21, prefixed("i8x16", "extract_lane_s extract_lane_u replace_lane")],
  [24, prefixed("i16x8", "extract_lane_s extract_lane_u replace_lane")],
  [27, "i32x4.extract_lane i32x4.replace_lane i64x2.extract_lane i64x2.replace_lane"],
  [31, "f32x4.extract_lane f32x4.replace_lane f64x2.extract_lane f64x2.replace_lane"],
  [35, prefixed("i8x16", LANE_COMPARES)],
  [45, prefixed("i16x8", LANE_COMPARES)],
  [55, prefixed("i32x4", LANE_COMPARES)],
  [65, prefixed("f32x4", FLOAT_COMPARES)],
  [71, prefixed("f64x2", FLOAT_COMPARES)],
  [77, prefixed("v128", "not and andnot or xor bitselect any_true")],
  [84, prefixed("v128", "load8_lane load16_lane load32_lane load64_lane")],
  [88, prefixed("v128", "store8_lane store16_lane store32_lane store64_lane load32_zero load64_zero")],
  [94, "f32x4.demote_f64x2_zero f64x2.promote_low_f32x4"],
  [96, prefixed("i8x16", "abs neg popcnt all_true bitmask narrow_i16x8_s narrow_i16x8_u")],
  [103, prefixed("f32x4", "ceil floor trunc nearest")],
  [107, prefixed("i8x16", "shl shr_s shr_u add add_sat_s add_sat_u sub sub_sat_s sub_sat_u")],
  [116, "f64x2.ceil f64x2.floor i8x16.min_s i8x16.min_u i8x16.max_s i8x16.max_u f64x2.trunc i8x16.avgr_u"],
  [124, "i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u"],
  [126, "i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u"],
  [128, prefixed("i16x8", "abs neg q15mulr_sat_s all_true bitmask narrow_i32x4_s narrow_i32x4_u")],
  [135, prefixed("i16x8", "extend_low_i8x16_s extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u")],
  [139, prefixed("i16x8", "shl shr_s shr_u add add_sat_s add_sat_u sub sub_sat_s sub_sat_u")],
  [148, "f64x2.nearest i16x8.mul i16x8.min_s i16x8.min_u i16x8.max_s i16x8.max_u . i16x8.avgr_u"],
  [156, prefixed("i16x8", "extmul_low_i8x16_s extmul_high_i8x16_s extmul_low_i8x16_u extmul_high_i8x16_u")],
  [160, prefixed("i32x4", "abs neg . all_true bitmask . . extend_low_i16x8_s extend_high_i16x8_s")],
  [169, prefixed("i32x4", "extend_low_i16x8_u extend_high_i16x8_u shl shr_s shr_u add . . sub")],
  [181, prefixed("i32x4", "mul min_s min_u max_s max_u dot_i16x8_s")],
  [188, prefixed("i32x4", "extmul_low_i16x8_s extmul_high_i16x8_s extmul_low_i16x8_u extmul_high_i16x8_u")],
  [192, prefixed("i64x2", "abs neg . all_true bitmask . . extend_low_i32x4_s extend_high_i32x4_s")],
  [201, prefixed("i64x2", "extend_low_i32x4_u extend_high_i32x4_u shl shr_s shr_u add . . sub")],
  [213, prefixed("i64x2", "mul eq ne lt_s gt_s le_s ge_s")],
  [220, prefixed("i64x2", "extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u extmul_high_i32x4_u")],
  [224, prefixed("f32x4", FLOAT_LANES)],
  [236, prefixed("f64x2", FLOAT_LANES)],
  [248, "i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_s f32x4.convert_i32x4_u"],
  [252, "i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero"],
  [254, "f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u"],
];

/** Names by opcode; the opcodes that are missing are not covered by the oracle. */
export const INSTRUCTION_NAMES: ReadonlyMap<number, string> = new Map([
  ...PLAIN.flatMap(([first, names]) => named(first, names)),
  ...VECTOR.flatMap(([first, names]) => named(0xfd00 + first, names)),
]);

/** Opcodes by name; for those who write modules. */
export const OPCODES: ReadonlyMap<string, number> = new Map(
  [...INSTRUCTION_NAMES].map(([opcode, name]) => [name, opcode]),
);

function named(first: number, names: string): [number, string][] {
  return names
    .split(" ")
    .map((name, i): [number, string] => [first + i, name])
    .filter(([, name]) => name !== ".");
}
