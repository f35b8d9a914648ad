/**
 * Part of the oracle (tests only). Scalar numeric instructions (Wasm core specification, "Numerics"), by name. Operands and
 * results are bits (values.ts).
 */
import { bitsOf32, bitsOf64, floatOf32, floatOf64, OracleTrap, type Value } from "./values.ts";

export type Operator = (...operands: never[]) => Value;

/** Applies to floats of either width; f32 results are rounded by whoever stores them, which is exact for these operations. */
export const FLOAT_UNARY: Readonly<Record<string, (a: number) => number>> = {
  ceil: Math.ceil,
  floor: Math.floor,
  trunc: Math.trunc,
  nearest,
  sqrt: Math.sqrt,
};

export const FLOAT_BINARY: Readonly<Record<string, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: Math.min,
  max: Math.max,
};

export const FLOAT_COMPARE: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  gt: (a, b) => a > b,
  le: (a, b) => a <= b,
  ge: (a, b) => a >= b,
};

/** To the nearest integer, ties to even, the sign of zero kept. */
function nearest(a: number): number {
  if (!Number.isFinite(a) || Math.trunc(a) === a) return a;
  const low = Math.floor(a);
  const difference = a - low;
  const result = difference < 0.5 || (difference === 0.5 && low % 2 === 0) ? low : low + 1;
  return result === 0 && a < 0 ? -0 : result;
}

const SIGN_32: number = 0x80000000 | 0;
const SIGN_64: bigint = -(1n << 63n);
const asI64 = (a: bigint): bigint => BigInt.asIntN(64, a);
const asU64 = (a: bigint): bigint => BigInt.asUintN(64, a);
const flag = (a: boolean): number => (a ? 1 : 0);

type Ints = Readonly<Record<string, (a: bigint, b: bigint) => bigint | boolean>>;

/** Integer instructions of width `n`, on signed bigints. */
function integerOperators(n: number): Ints {
  const u = (a: bigint): bigint => BigInt.asUintN(n, a);
  const width = BigInt(n);
  const by = (b: bigint): bigint => u(b) % width;
  const nonZero = (b: bigint): bigint => {
    if (b === 0n) throw new OracleTrap("integer divide by zero");
    return b;
  };
  return {
    eqz: (a) => a === 0n,
    eq: (a, b) => a === b,
    ne: (a, b) => a !== b,
    lt_s: (a, b) => a < b,
    lt_u: (a, b) => u(a) < u(b),
    gt_s: (a, b) => a > b,
    gt_u: (a, b) => u(a) > u(b),
    le_s: (a, b) => a <= b,
    le_u: (a, b) => u(a) <= u(b),
    ge_s: (a, b) => a >= b,
    ge_u: (a, b) => u(a) >= u(b),
    clz: (a) => width - BigInt(u(a) === 0n ? 0 : u(a).toString(2).length),
    ctz: (a) => (a === 0n ? width : BigInt(u(a & -a).toString(2).length - 1)),
    popcnt: (a) => BigInt(u(a).toString(2).replaceAll("0", "").length),
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: (a, b) => a * b,
    div_s: (a, b) => {
      const quotient = a / nonZero(b);
      if (BigInt.asIntN(n, quotient) !== quotient) throw new OracleTrap("integer overflow");
      return quotient;
    },
    div_u: (a, b) => u(a) / nonZero(u(b)),
    rem_s: (a, b) => a % nonZero(b),
    rem_u: (a, b) => u(a) % nonZero(u(b)),
    and: (a, b) => a & b,
    or: (a, b) => a | b,
    xor: (a, b) => a ^ b,
    shl: (a, b) => a << by(b),
    shr_s: (a, b) => a >> by(b),
    shr_u: (a, b) => u(a) >> by(b),
    rotl: (a, b) => (u(a) << by(b)) | (u(a) >> (width - by(b))),
    rotr: (a, b) => (u(a) >> by(b)) | (u(a) << (width - by(b))),
  };
}

/** Truncates to an integer of `n` bits: traps outside its range, or saturates. */
function truncate(a: number, n: number, signed: boolean, saturating: boolean): bigint {
  if (Number.isNaN(a)) {
    if (saturating) return 0n;
    throw new OracleTrap("invalid conversion to integer");
  }
  const max = signed ? (1n << BigInt(n - 1)) - 1n : (1n << BigInt(n)) - 1n;
  const min = signed ? -max - 1n : 0n;
  const whole = Number.isFinite(a) ? BigInt(Math.trunc(a)) : a > 0 ? max + 1n : min - 1n;
  if (whole >= min && whole <= max) return whole;
  if (!saturating) throw new OracleTrap("integer overflow");
  return whole < min ? min : max;
}

/** i64 → f32 in one rounding: beyond 53 bits the low ones are gathered in a sticky bit first. */
function singleOf(a: bigint): number {
  const magnitude = a < 0n ? -a : a;
  if (magnitude < 1n << 53n) return Number(a);
  const sticky = ((magnitude >> 11n) << 11n) | ((magnitude & 0x7ffn) === 0n ? 0n : 0x800n);
  return a < 0n ? -Number(sticky) : Number(sticky);
}

const operators = new Map<string, Operator>();

for (const [name, run] of Object.entries(integerOperators(32))) {
  operators.set(`i32.${name}`, (a: number, b: number) =>
    Number(BigInt.asIntN(32, BigInt(run(BigInt(a), BigInt(b ?? 0))))),
  );
}
for (const [name, run] of Object.entries(integerOperators(64))) {
  operators.set(`i64.${name}`, (a: bigint, b: bigint) => {
    const result = run(a, b ?? 0n);
    return typeof result === "boolean" ? flag(result) : asI64(result);
  });
}
for (const [name, run] of Object.entries(FLOAT_UNARY)) {
  operators.set(`f32.${name}`, (a: number) => bitsOf32(run(floatOf32(a))));
  operators.set(`f64.${name}`, (a: bigint) => bitsOf64(run(floatOf64(a))));
}
for (const [name, run] of Object.entries(FLOAT_BINARY)) {
  operators.set(`f32.${name}`, (a: number, b: number) => bitsOf32(run(floatOf32(a), floatOf32(b))));
  operators.set(`f64.${name}`, (a: bigint, b: bigint) => bitsOf64(run(floatOf64(a), floatOf64(b))));
}
for (const [name, run] of Object.entries(FLOAT_COMPARE)) {
  operators.set(`f32.${name}`, (a: number, b: number) => flag(run(floatOf32(a), floatOf32(b))));
  operators.set(`f64.${name}`, (a: bigint, b: bigint) => flag(run(floatOf64(a), floatOf64(b))));
}
for (const signed of [true, false]) {
  const sign = signed ? "s" : "u";
  for (const kind of ["trunc", "trunc_sat"]) {
    const saturating = kind === "trunc_sat";
    const to32 = (a: number): number => Number(BigInt.asIntN(32, truncate(a, 32, signed, saturating)));
    const to64 = (a: number): bigint => asI64(truncate(a, 64, signed, saturating));
    operators.set(`i32.${kind}_f32_${sign}`, (a: number) => to32(floatOf32(a)));
    operators.set(`i32.${kind}_f64_${sign}`, (a: bigint) => to32(floatOf64(a)));
    operators.set(`i64.${kind}_f32_${sign}`, (a: number) => to64(floatOf32(a)));
    operators.set(`i64.${kind}_f64_${sign}`, (a: bigint) => to64(floatOf64(a)));
  }
  const from32 = (a: number): number => (signed ? a : a >>> 0);
  const from64 = (a: bigint): bigint => (signed ? a : asU64(a));
  operators.set(`f32.convert_i32_${sign}`, (a: number) => bitsOf32(from32(a)));
  operators.set(`f32.convert_i64_${sign}`, (a: bigint) => bitsOf32(singleOf(from64(a))));
  operators.set(`f64.convert_i32_${sign}`, (a: number) => bitsOf64(from32(a)));
  operators.set(`f64.convert_i64_${sign}`, (a: bigint) => bitsOf64(Number(from64(a))));
  operators.set(`i64.extend_i32_${sign}`, (a: number) => BigInt(from32(a)));
}

/** Scalar numeric instructions; each takes as many operands as it declares. */
export const NUMERIC: ReadonlyMap<string, Operator> = operators
  .set("f32.abs", (a: number) => a & ~SIGN_32)
  .set("f32.neg", (a: number) => a ^ SIGN_32)
  .set("f32.copysign", (a: number, b: number) => (a & ~SIGN_32) | (b & SIGN_32))
  .set("f64.abs", (a: bigint) => a & ~SIGN_64)
  .set("f64.neg", (a: bigint) => a ^ SIGN_64)
  .set("f64.copysign", (a: bigint, b: bigint) => (a & ~SIGN_64) | (b & SIGN_64))
  .set("i32.wrap_i64", (a: bigint) => Number(BigInt.asIntN(32, a)))
  .set("i32.extend8_s", (a: number) => (a << 24) >> 24)
  .set("i32.extend16_s", (a: number) => (a << 16) >> 16)
  .set("i64.extend8_s", (a: bigint) => BigInt.asIntN(8, a))
  .set("i64.extend16_s", (a: bigint) => BigInt.asIntN(16, a))
  .set("i64.extend32_s", (a: bigint) => BigInt.asIntN(32, a))
  .set("f32.demote_f64", (a: bigint) => bitsOf32(floatOf64(a)))
  .set("f64.promote_f32", (a: number) => bitsOf64(floatOf32(a)))
  .set("i32.reinterpret_f32", (a: number) => a)
  .set("i64.reinterpret_f64", (a: bigint) => a)
  .set("f32.reinterpret_i32", (a: number) => a)
  .set("f64.reinterpret_i64", (a: bigint) => a);

const UNARY =
  /\.(eqz|clz|ctz|popcnt|abs|neg|ceil|floor|trunc|nearest|sqrt|wrap_|extend|trunc_|convert_|demote_|promote_|reinterpret_)/;

/** Operands that a scalar numeric instruction takes. */
export function numericArity(name: string): number {
  return UNARY.test(name) ? 1 : 2;
}
