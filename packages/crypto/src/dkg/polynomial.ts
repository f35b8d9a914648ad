/** Polynomials over the scalars, lowest coefficient first; members' points are their indices plus 1, and 0 is the secret's. */
import { modOrder } from "../bls.ts";
import type { Group } from "./curve.ts";

export function evaluate(coefficients: readonly bigint[], x: bigint): bigint {
  return coefficients.reduceRight((value, coefficient) => modOrder(value * x + coefficient), 0n);
}

/** 1, x, x², … */
function exponents(x: number, count: number): readonly bigint[] {
  const out: bigint[] = [];
  for (let power = 1n, i = 0; i < count; i++, power = modOrder(power * BigInt(x))) out.push(power);
  return out;
}

/** The value at `x` of the polynomial whose coefficients are known as points only. */
export function evaluateInGroup<P>(group: Group<P>, coefficients: readonly P[], x: number): P {
  return group.sum(coefficients, exponents(x, coefficients.length));
}
