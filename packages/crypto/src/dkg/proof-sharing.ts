/**
 * Proof of correct sharing (eprint 2021/339, §6.4): what a receiver decrypts is the value of the published polynomial at its point. The
 * chunks of a receiver, each times its place, are one ElGamal ciphertext of the whole share; a random combination of all receivers'
 * is compared with the same combination of the polynomial's values in G2.
 */
import { modOrder } from "../bls.ts";
import type { Curve, G1Point } from "./curve.ts";
import type { Claim } from "./equations.ts";
import { hashToScalar, powers } from "./oracle.ts";
import type { SecretSource } from "./secrets.ts";
import { CHUNK_PLACES, type Statement } from "./statement.ts";

export interface SharingProof {
  /** ρ·g₁. */
  readonly f: Uint8Array;
  /** α·g₂. */
  readonly a: Uint8Array;
  /** ρ·Σ x^i·y_i + α·g₁. */
  readonly y: Uint8Array;
  readonly responseR: bigint;
  readonly responseA: bigint;
}

/** x, x², … for receivers in their order. */
function combination(statement: Statement): readonly bigint[] {
  const x = hashToScalar("orrery-dkg-sharing-combination", statement.instance);
  return powers(x, statement.ciphertexts.length);
}

function challengeOf(statement: Statement, { f, a, y }: Pick<SharingProof, "f" | "a" | "y">): bigint {
  return hashToScalar("orrery-dkg-sharing-challenge", statement.instance, f, a, y);
}

const dot = (a: readonly bigint[], b: readonly bigint[]): bigint =>
  modOrder(a.reduce((sum, value, i) => sum + value * (b[i] as bigint), 0n));

export function proveSharing(
  curve: Curve,
  statement: Statement,
  secrets: { readonly randomness: readonly bigint[]; readonly shares: readonly bigint[] },
  source: SecretSource,
): SharingProof {
  const { g1, g2 } = curve;
  const xs = combination(statement);
  const [alpha, rho] = [source.scalar("sharing alpha"), source.scalar("sharing rho")];
  const keys = g1.sum(statement.setting.keys, xs);
  const first = {
    f: g1.encode(g1.multiply(g1.generator, rho)),
    a: g2.encode(g2.multiply(g2.generator, alpha)),
    y: g1.encode(g1.add(g1.multiply(keys, rho), g1.multiply(g1.generator, alpha))),
  };
  const challenge = challengeOf(statement, first);
  return {
    ...first,
    responseR: modOrder(rho + challenge * dot(CHUNK_PLACES, secrets.randomness)),
    responseA: modOrder(alpha + challenge * dot(xs, secrets.shares)),
  };
}

/** Σ_i x^i · i^k for each coefficient k: the combination of the polynomial's values, by coefficients. */
function coefficientFactors(xs: readonly bigint[], coefficients: number): readonly bigint[] {
  let terms = xs;
  const out: bigint[] = [];
  for (let k = 0; k < coefficients; k++) {
    out.push(modOrder(terms.reduce((sum, term) => sum + term, 0n)));
    terms = terms.map((term, i) => modOrder(term * BigInt(i + 1)));
  }
  return out;
}

function sharesAreValues(
  curve: Curve,
  statement: Statement,
  proof: SharingProof,
  values: { readonly xs: readonly bigint[]; readonly challenge: bigint },
): boolean {
  const { g2 } = curve;
  const a = g2.decode(proof.a);
  if (a === null) return false;
  const { coefficients } = statement;
  const factors = coefficientFactors(values.xs, coefficients.length);
  const scaled = factors.map((factor) => modOrder(factor * values.challenge));
  const total = g2.sum([...coefficients, a, g2.generator], [...scaled, 1n, modOrder(-proof.responseA)]);
  return g2.isZero(total);
}

/** Null when a point is malformed, or when the equation in G2 does not hold. */
export function sharingClaim(curve: Curve, statement: Statement, proof: SharingProof): Claim | null {
  const { g1 } = curve;
  const [f, y] = [g1.decode(proof.f), g1.decode(proof.y)];
  if (f === null || y === null) return null;
  const xs = combination(statement);
  const challenge = challengeOf(statement, proof);
  if (!sharesAreValues(curve, statement, proof, { xs, challenge })) return null;
  const minus = modOrder(-proof.responseR);
  const { randomizers, ciphertexts, setting } = statement;
  const shares: (readonly [G1Point, bigint])[] = ciphertexts.flatMap((chunks, i) =>
    chunks.map((point, j) => {
      const place = CHUNK_PLACES[j] as bigint;
      return [point, modOrder(challenge * modOrder((xs[i] as bigint) * place))] as const;
    }),
  );
  return {
    name: "sharing",
    equations: [
      [
        ...randomizers.map((point, j) => [point, modOrder(challenge * (CHUNK_PLACES[j] as bigint))] as const),
        [f, 1n],
        [g1.generator, minus],
      ],
      [
        ...shares,
        [y, 1n],
        ...setting.keys.map((key, i) => [key, modOrder(minus * (xs[i] as bigint))] as const),
        [g1.generator, modOrder(-proof.responseA)],
      ],
    ],
  };
}
