/**
 * Equations between points of G1, each of the form Σ scalar · point = 0, checked many at once: their sum with weights that a hash of
 * everything gives. All who check the same bytes decide the same, and a wrong equation passes with probability 2^-128.
 */
import { modOrder } from "../bls.ts";
import type { Curve, G1Point } from "./curve.ts";
import { weights } from "./oracle.ts";

export type Equation = readonly (readonly [G1Point, bigint])[];

/** Equations that belong to one claim. */
export interface Claim {
  readonly name: string;
  readonly equations: readonly Equation[];
}

function holds(curve: Curve, claims: readonly Claim[], seed: Uint8Array): boolean {
  const equations = claims.flatMap((claim) => claim.equations);
  const factors = weights(seed, equations.length);
  // One term for each point object, in the order in which they came.
  const terms = new Map<G1Point, bigint>();
  equations.forEach((equation, i) => {
    const factor = factors[i] as bigint;
    for (const [point, scalar] of equation)
      terms.set(point, modOrder((terms.get(point) ?? 0n) + factor * scalar));
  });
  return curve.g1.isZero(curve.g1.sum([...terms.keys()], [...terms.values()]));
}

/** Name of the first claim that does not hold, or null. `seed`: a hash of all that the claims are about. */
export function firstFalse(curve: Curve, claims: readonly Claim[], seed: Uint8Array): string | null {
  if (holds(curve, claims, seed)) return null;
  return claims.find((claim) => !holds(curve, [claim], seed))?.name ?? "the whole";
}
