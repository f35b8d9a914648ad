/**
 * Proof that the points r_j·h have the r_j of the randomizers r_j·g (Shoup and Gennaro, "Securing threshold cryptosystems against chosen
 * ciphertext attack", TDH1; Chaum and Pedersen's proof, for a combination of all chunks that a hash chooses). What it is for: docs/adr,
 * "Key generation".
 */
import { modOrder } from "../bls.ts";
import type { Curve } from "./curve.ts";
import type { Claim } from "./equations.ts";
import { hashToScalar, powers } from "./oracle.ts";
import type { SecretSource } from "./secrets.ts";
import { CHUNKS, type Statement } from "./statement.ts";

export interface BindingProof {
  /** w·g₁ and w·h. */
  readonly first: Uint8Array;
  readonly second: Uint8Array;
  readonly response: bigint;
}

function combination(statement: Statement): readonly bigint[] {
  return powers(hashToScalar("orrery-dkg-binding-combination", statement.instance), CHUNKS);
}

function challengeOf(statement: Statement, proof: Pick<BindingProof, "first" | "second">): bigint {
  return hashToScalar("orrery-dkg-binding-challenge", statement.instance, proof.first, proof.second);
}

export function proveBinding(
  curve: Curve,
  statement: Statement,
  randomness: readonly bigint[],
  source: SecretSource,
): BindingProof {
  const { g1 } = curve;
  const nonce = source.scalar("binding nonce");
  const first = g1.encode(g1.multiply(g1.generator, nonce));
  const second = g1.encode(g1.multiply(statement.base, nonce));
  const combined = combination(statement).reduce((sum, x, j) => sum + x * (randomness[j] as bigint), 0n);
  const response = modOrder(nonce + challengeOf(statement, { first, second }) * modOrder(combined));
  return { first, second, response };
}

/** Null when a point is malformed. */
export function bindingClaim(curve: Curve, statement: Statement, proof: BindingProof): Claim | null {
  const { g1 } = curve;
  const [first, second] = [g1.decode(proof.first), g1.decode(proof.second)];
  if (first === null || second === null) return null;
  const challenge = challengeOf(statement, proof);
  const factors = combination(statement).map((x) => modOrder(-x * challenge));
  const { randomizers, bindings, base } = statement;
  return {
    name: "binding",
    equations: [
      [
        [g1.generator, proof.response],
        [first, -1n],
        ...randomizers.map((point, j) => [point, factors[j] as bigint] as const),
      ],
      [
        [base, proof.response],
        [second, -1n],
        ...bindings.map((point, j) => [point, factors[j] as bigint] as const),
      ],
    ],
  };
}
