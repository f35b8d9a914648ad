/**
 * Part of the oracle (tests only). Vector instructions that touch no memory (Wasm core specification, "Vector instructions"):
 * each takes its vectors apart into lanes, works on numbers or bigints, and puts lanes together again. Arithmetic on float lanes
 * gives canonical NaNs, lane by lane.
 */
import type { Instruction } from "./instructions.ts";
import { FLOAT_BINARY, FLOAT_COMPARE, FLOAT_UNARY, NUMERIC } from "./numeric.ts";
import { bitsOf32, bitsOf64, floatOf32, floatOf64, type Value } from "./values.ts";

type Lanes = readonly bigint[];

/** Lanes as signed integers of the shape's width, the first one first. */
function lanesOf(vector: Uint8Array, bits: number): bigint[] {
  const size = bits / 8;
  return Array.from({ length: 16 / size }, (_, i) => {
    let lane = 0n;
    for (let k = size - 1; k >= 0; k--) lane = (lane << 8n) | BigInt(vector[i * size + k] as number);
    return BigInt.asIntN(bits, lane);
  });
}

function vectorOf(lanes: Lanes, bits: number): Uint8Array {
  const size = bits / 8;
  const vector = new Uint8Array(16);
  for (const [i, lane] of lanes.entries()) {
    for (let k = 0; k < size; k++) vector[i * size + k] = Number((lane >> BigInt(8 * k)) & 0xffn);
  }
  return vector;
}

function saturate(value: bigint, bits: number, signed: boolean): bigint {
  const max = signed ? (1n << BigInt(bits - 1)) - 1n : (1n << BigInt(bits)) - 1n;
  const min = signed ? -max - 1n : 0n;
  return value < min ? min : value > max ? max : value;
}

const mask = (condition: boolean): bigint => (condition ? -1n : 0n);

/** Runs an instruction on the stack. */
export function runVector(stack: Value[], instruction: Instruction): void {
  const { name } = instruction;
  const [shape = "", operation = ""] = name.split(".");
  if (shape === "v128") bitwise(stack, operation);
  else if (name === "i8x16.shuffle" || name === "i8x16.swizzle") permute(stack, instruction);
  else if (/splat$|_lane/.test(operation)) lane(stack, instruction);
  else if (shape.startsWith("i")) integer(stack, Number(/\d+/.exec(shape)?.[0]), operation);
  else if (shape.startsWith("f")) float(stack, Number(/\d+/.exec(shape)?.[0]), operation);
  else throw new Error(`${name} is not covered by the oracle`);
}

const popVector = (stack: Value[]): Uint8Array => stack.pop() as Uint8Array;

function bitwise(stack: Value[], operation: string): void {
  if (operation === "any_true") {
    stack.push(popVector(stack).some((byte) => byte !== 0) ? 1 : 0);
    return;
  }
  const c = operation === "bitselect" ? popVector(stack) : new Uint8Array(16);
  const b = operation === "not" ? new Uint8Array(16) : popVector(stack);
  const combine: Record<string, (a: number, b: number, c: number) => number> = {
    not: (a) => ~a,
    and: (a, b) => a & b,
    andnot: (a, b) => a & ~b,
    or: (a, b) => a | b,
    xor: (a, b) => a ^ b,
    bitselect: (a, b, c) => (a & c) | (b & ~c),
  };
  const run = combine[operation];
  if (run === undefined) throw new Error(`v128.${operation} is not covered by the oracle`);
  stack.push(popVector(stack).map((a, i) => run(a, b[i] as number, c[i] as number)));
}

function permute(stack: Value[], { lanes }: Instruction): void {
  const b = popVector(stack);
  const a = popVector(stack);
  if (lanes === undefined) stack.push(b.map((i) => a[i] ?? 0));
  else stack.push(lanes.map((i) => (i < 16 ? a[i] : b[i - 16]) as number));
}

/** Splats, and lanes in and out. */
function lane(stack: Value[], { name, lane: at = 0 }: Instruction): void {
  const [shape = "", operation = ""] = name.split(".");
  const bits = Number(/\d+/.exec(shape)?.[0]);
  if (operation === "splat") {
    const scalar = BigInt(stack.pop() as number | bigint);
    stack.push(vectorOf(Array<bigint>(128 / bits).fill(scalar), bits));
  } else if (operation === "replace_lane") {
    const scalar = BigInt(stack.pop() as number | bigint);
    stack.push(vectorOf(lanesOf(popVector(stack), bits).with(at, scalar), bits));
  } else {
    const value = lanesOf(popVector(stack), bits)[at] as bigint;
    if (bits === 64) stack.push(value);
    else stack.push(Number(operation.endsWith("_u") ? BigInt.asUintN(bits, value) : value));
  }
}

/** Instructions of two vectors of the same shape, lane by lane. */
function integerBinary(bits: number, operation: string): ((a: bigint, b: bigint) => bigint) | null {
  const u = (a: bigint): bigint => BigInt.asUintN(bits, a);
  const table: Record<string, (a: bigint, b: bigint) => bigint> = {
    eq: (a, b) => mask(a === b),
    ne: (a, b) => mask(a !== b),
    lt_s: (a, b) => mask(a < b),
    lt_u: (a, b) => mask(u(a) < u(b)),
    gt_s: (a, b) => mask(a > b),
    gt_u: (a, b) => mask(u(a) > u(b)),
    le_s: (a, b) => mask(a <= b),
    le_u: (a, b) => mask(u(a) <= u(b)),
    ge_s: (a, b) => mask(a >= b),
    ge_u: (a, b) => mask(u(a) >= u(b)),
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: (a, b) => a * b,
    add_sat_s: (a, b) => saturate(a + b, bits, true),
    add_sat_u: (a, b) => saturate(u(a) + u(b), bits, false),
    sub_sat_s: (a, b) => saturate(a - b, bits, true),
    sub_sat_u: (a, b) => saturate(u(a) - u(b), bits, false),
    min_s: (a, b) => (a < b ? a : b),
    min_u: (a, b) => (u(a) < u(b) ? a : b),
    max_s: (a, b) => (a > b ? a : b),
    max_u: (a, b) => (u(a) > u(b) ? a : b),
    avgr_u: (a, b) => (u(a) + u(b) + 1n) / 2n,
    q15mulr_sat_s: (a, b) => saturate((a * b + 0x4000n) >> 15n, 16, true),
  };
  return table[operation] ?? null;
}

function integerUnary(bits: number, operation: string): ((a: bigint) => bigint) | null {
  const table: Record<string, (a: bigint) => bigint> = {
    abs: (a) => (a < 0n ? -a : a),
    neg: (a) => -a,
    popcnt: (a) => BigInt(BigInt.asUintN(bits, a).toString(2).replaceAll("0", "").length),
  };
  return table[operation] ?? null;
}

function integer(stack: Value[], bits: number, operation: string): void {
  const unary = integerUnary(bits, operation);
  const binary = integerBinary(bits, operation);
  if (unary !== null) stack.push(vectorOf(lanesOf(popVector(stack), bits).map(unary), bits));
  else if (binary !== null) {
    const b = lanesOf(popVector(stack), bits);
    const a = lanesOf(popVector(stack), bits);
    stack.push(
      vectorOf(
        a.map((value, i) => binary(value, b[i] as bigint)),
        bits,
      ),
    );
  } else if (/^sh/.test(operation)) shift(stack, bits, operation);
  else if (operation === "all_true")
    stack.push(lanesOf(popVector(stack), bits).every((a) => a !== 0n) ? 1 : 0);
  else if (operation === "bitmask") {
    const lanes = lanesOf(popVector(stack), bits);
    stack.push(lanes.reduce((sum, a, i) => sum | (a < 0n ? 1 << i : 0), 0));
  } else if (/^(narrow|extend|extadd|extmul|dot)/.test(operation)) reshape(stack, bits, operation);
  else truncations(stack, operation);
}

function shift(stack: Value[], bits: number, operation: string): void {
  const by = BigInt((stack.pop() as number) & (bits - 1));
  const lanes = lanesOf(popVector(stack), bits);
  const shifted = lanes.map((a) => {
    if (operation === "shl") return a << by;
    return (operation === "shr_s" ? a : BigInt.asUintN(bits, a)) >> by;
  });
  stack.push(vectorOf(shifted, bits));
}

/** Instructions whose operands have lanes of another width than the result. */
function reshape(stack: Value[], bits: number, operation: string): void {
  const signed = operation.startsWith("dot") || operation.endsWith("_s");
  if (operation.startsWith("narrow")) {
    const b = lanesOf(popVector(stack), bits * 2);
    const a = lanesOf(popVector(stack), bits * 2);
    stack.push(
      vectorOf(
        [...a, ...b].map((value) => saturate(value, bits, signed)),
        bits,
      ),
    );
    return;
  }
  const half = bits / 2;
  const wide = (): bigint[] =>
    lanesOf(popVector(stack), half).map((a) => (signed ? a : BigInt.asUintN(half, a)));
  const part = (lanes: bigint[]): bigint[] =>
    operation.includes("_high") ? lanes.slice(lanes.length / 2) : lanes.slice(0, lanes.length / 2);
  const pairs = (lanes: bigint[]): bigint[] =>
    Array.from(
      { length: lanes.length / 2 },
      (_, i) => (lanes[2 * i] as bigint) + (lanes[2 * i + 1] as bigint),
    );
  const b = wide();
  let lanes: bigint[];
  if (operation.startsWith("extend")) lanes = part(b);
  else if (operation.startsWith("extadd")) lanes = pairs(b);
  else {
    const products = wide().map((a, i) => a * (b[i] as bigint));
    lanes = operation.startsWith("dot") ? pairs(products) : part(products);
  }
  stack.push(vectorOf(lanes, bits));
}

/** `i32x4.trunc_sat_*`; a source of two lanes leaves the upper ones zero. */
function truncations(stack: Value[], operation: string): void {
  const match = /^trunc_sat_(f32|f64)x\d_(s|u)/.exec(operation);
  if (match === null) throw new Error(`an integer vector's ${operation} is not covered by the oracle`);
  const [, type, sign] = match;
  const truncate = NUMERIC.get(`i32.trunc_sat_${type}_${sign}`) as (bits: never) => Value;
  const lanes = lanesOf(popVector(stack), type === "f32" ? 32 : 64).map((bits) =>
    BigInt(truncate((type === "f32" ? Number(bits) : bits) as never) as number),
  );
  stack.push(vectorOf(lanes, 32));
}

const readFloat = (bits: number, lane: bigint): number =>
  bits === 32 ? floatOf32(Number(lane)) : floatOf64(lane);
const writeFloat = (bits: number, value: number): bigint =>
  BigInt(bits === 32 ? bitsOf32(value) : bitsOf64(value));

/** Lanes of the source, and of the result, of an instruction that makes floats of one vector. */
function floatUnary(bits: number, operation: string): { from: number; run: (a: bigint) => bigint } | null {
  const sign = 1n << BigInt(bits - 1);
  const unary = FLOAT_UNARY[operation];
  if (unary !== undefined) return { from: bits, run: (a) => writeFloat(bits, unary(readFloat(bits, a))) };
  if (operation === "abs") return { from: bits, run: (a) => a & ~sign };
  if (operation === "neg") return { from: bits, run: (a) => a ^ sign };
  if (operation.startsWith("convert_"))
    return {
      from: 32,
      run: (a) => writeFloat(bits, Number(operation.endsWith("_s") ? a : BigInt.asUintN(32, a))),
    };
  if (operation === "demote_f64x2_zero") return { from: 64, run: (a) => writeFloat(32, readFloat(64, a)) };
  if (operation === "promote_low_f32x4") return { from: 32, run: (a) => writeFloat(64, readFloat(32, a)) };
  return null;
}

function float(stack: Value[], bits: number, operation: string): void {
  const unary = floatUnary(bits, operation);
  if (unary !== null) {
    const lanes = lanesOf(popVector(stack), unary.from).slice(0, 128 / bits);
    stack.push(vectorOf(lanes.map(unary.run), bits));
    return;
  }
  const b = lanesOf(popVector(stack), bits);
  const a = lanesOf(popVector(stack), bits);
  const arithmetic = FLOAT_BINARY[operation];
  const compare = FLOAT_COMPARE[operation];
  const lanes = a.map((left, i) => {
    const right = b[i] as bigint;
    const [x, y] = [readFloat(bits, left), readFloat(bits, right)];
    if (arithmetic !== undefined) return writeFloat(bits, arithmetic(x, y));
    if (compare !== undefined) return mask(compare(x, y));
    // pmin and pmax choose an operand, bits and all.
    if (operation === "pmin") return y < x ? right : left;
    if (operation === "pmax") return x < y ? right : left;
    throw new Error(`a float vector's ${operation} is not covered by the oracle`);
  });
  stack.push(vectorOf(lanes, bits));
}
