/**
 * Proof of correct chunking (eprint 2021/339, §6.5): every encrypted chunk is small enough to be found again. In 32 repetitions at once the
 * dealer shows a random combination of all chunks, hidden by a larger random number, to be within a range.
 *
 * Chunks of honest dealers are below 2^16. What a dishonest dealer can pass for one is a fraction with a small denominator and a numerator
 * of a bounded size: discrete-log.ts has the bounds, and finds those too.
 */
import { OrreryError } from "@orrery/base";
import { modOrder } from "../bls.ts";
import { decodeAll } from "./config.ts";
import type { Curve, G1Point } from "./curve.ts";
import type { Claim, Equation } from "./equations.ts";
import { challengeBytes, digest, hashToPoint, hashToScalar, powers, scalarBytes } from "./oracle.ts";
import type { SecretSource } from "./secrets.ts";
import { CHUNK_SIZE, CHUNKS, type Statement } from "./statement.ts";

/** Combinations shown by one proof. With challenges of 8 bits they give a soundness of 256 bits. */
export const REPETITIONS = 32;
const CHALLENGE_MAX = 255;
/** A first move suits with probability 0.6: this many fail once in 2^170 dealings. */
const ATTEMPTS_MAX = 128;

export interface ChunkingProof {
  readonly y0: Uint8Array;
  /** β_k·g. */
  readonly b: readonly Uint8Array[];
  /** β_k·y0 + σ_k·g. */
  readonly c: readonly Uint8Array[];
  /** δ_i·g; the first is y0's, then the receivers'. */
  readonly d: readonly Uint8Array[];
  /** δ_0·y0 + Σ δ_i·y_i. */
  readonly y: Uint8Array;
  readonly responsesR: readonly bigint[];
  /** The combinations: from 0, below `combinationBound`. */
  readonly responsesS: readonly bigint[];
  readonly responseB: bigint;
}

type FirstMove = Pick<ChunkingProof, "y0" | "b" | "c">;

/** S: the largest combination of chunks. */
function largestCombination(receivers: number): number {
  return receivers * CHUNKS * (CHUNK_SIZE - 1) * CHALLENGE_MAX;
}

/** Z: what is shown of a combination is below it. It is below 2^42 for the largest of subnets. */
export function combinationBound(receivers: number): number {
  return 2 * REPETITIONS * largestCombination(receivers);
}

/** e_ijk: byte (i · CHUNKS + j) · REPETITIONS + k. */
function firstChallenge(statement: Statement, { y0, b, c }: FirstMove): Uint8Array {
  const seed = digest("orrery-dkg-chunking-first", statement.instance, y0, b, c);
  const count = statement.ciphertexts.length * CHUNKS * REPETITIONS;
  return challengeBytes("orrery-dkg-chunking-first-bytes", seed, count);
}

function secondChallenge(first: Uint8Array, proof: Pick<ChunkingProof, "responsesS" | "d" | "y">): bigint {
  const shown = proof.responsesS.map(scalarBytes);
  return hashToScalar(
    "orrery-dkg-chunking-second",
    digest("orrery-dkg-chunking-bytes", first),
    shown,
    proof.d,
    proof.y,
  );
}

/** Σ_k e_ijk · x^k for each chunk of each receiver. */
function foldedChallenges(first: Uint8Array, xs: readonly bigint[]): readonly bigint[] {
  const out: bigint[] = [];
  for (let at = 0; at < first.length; at += REPETITIONS) {
    let sum = 0n;
    for (let k = 0; k < REPETITIONS; k++) sum += BigInt(first[at + k] as number) * (xs[k] as bigint);
    out.push(modOrder(sum));
  }
  return out;
}

/** Σ_ij e_ijk · s_ij for each repetition. */
function combinations(first: Uint8Array, chunks: readonly bigint[]): readonly bigint[] {
  return Array.from({ length: REPETITIONS }, (_, k) =>
    chunks.reduce((sum, chunk, at) => sum + chunk * BigInt(first[at * REPETITIONS + k] as number), 0n),
  );
}

interface Shown {
  readonly move: FirstMove;
  readonly betas: readonly bigint[];
  readonly first: Uint8Array;
  readonly responsesS: readonly bigint[];
  readonly y0: G1Point;
}

/** Draws hiding numbers until what is shown says nothing of the chunks. */
function showCombinations(
  curve: Curve,
  statement: Statement,
  chunks: readonly bigint[],
  source: SecretSource,
): Shown {
  const { g1 } = curve;
  const receivers = statement.ciphertexts.length;
  const largest = BigInt(largestCombination(receivers));
  const bound = BigInt(combinationBound(receivers));
  const y0 = hashToPoint(curve, "orrery-dkg-chunking-y0", scalarBytes(source.scalar("chunking y0")));
  const betas = Array.from({ length: REPETITIONS }, (_, k) => source.scalar(`chunking beta ${k}`));
  const b = betas.map((beta) => g1.encode(g1.multiply(g1.generator, beta)));
  const hiding = betas.map((beta) => g1.multiply(y0, beta));
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const sigmas = betas.map(
      (_, k) => source.below(`chunking sigma ${attempt} ${k}`, largest + bound) - largest,
    );
    const c = hiding.map((point, k) =>
      g1.encode(g1.add(point, g1.multiply(g1.generator, modOrder(sigmas[k] as bigint)))),
    );
    const move = { y0: g1.encode(y0), b, c };
    const first = firstChallenge(statement, move);
    const responsesS = combinations(first, chunks).map((sum, k) => sum + (sigmas[k] as bigint));
    if (responsesS.every((shown) => shown >= 0n && shown < bound))
      return { move, betas, first, responsesS, y0 };
  }
  throw new OrreryError("dkg_unlucky", "no hiding numbers of the proof of chunking suited: use another seed");
}

export function proveChunking(
  curve: Curve,
  statement: Statement,
  secrets: { readonly randomness: readonly bigint[]; readonly chunks: readonly (readonly bigint[])[] },
  source: SecretSource,
): ChunkingProof {
  const { g1 } = curve;
  const { move, betas, first, responsesS, y0 } = showCombinations(
    curve,
    statement,
    secrets.chunks.flat(),
    source,
  );
  const bases = [y0, ...statement.setting.keys];
  const deltas = bases.map((_, i) => source.scalar(`chunking delta ${i}`));
  const d = deltas.map((delta) => g1.encode(g1.multiply(g1.generator, delta)));
  const hidden = bases.map((base, i) => g1.multiply(base, deltas[i] as bigint));
  const y = g1.encode(hidden.reduce((sum, point) => g1.add(sum, point)));
  const xs = powers(secondChallenge(first, { responsesS, d, y }), REPETITIONS);
  const folded = foldedChallenges(first, xs);
  const responsesR = statement.setting.keys.map((_, i) => {
    const own = folded.slice(i * CHUNKS, (i + 1) * CHUNKS);
    const sum = own.reduce((total, e, j) => total + e * (secrets.randomness[j] as bigint), 0n);
    return modOrder((deltas[i + 1] as bigint) + sum);
  });
  const sum = betas.reduce((total, beta, k) => total + beta * (xs[k] as bigint), 0n);
  return { ...move, d, y, responsesR, responsesS, responseB: modOrder((deltas[0] as bigint) + sum) };
}

interface ProofPoints {
  readonly y0: G1Point;
  readonly y: G1Point;
  readonly b: readonly G1Point[];
  readonly c: readonly G1Point[];
  readonly d: readonly G1Point[];
}

function decodePoints(curve: Curve, proof: ChunkingProof): ProofPoints | null {
  const { g1 } = curve;
  const [y0, y] = [g1.decode(proof.y0), g1.decode(proof.y)];
  const [b, c, d] = [decodeAll(g1, proof.b), decodeAll(g1, proof.c), decodeAll(g1, proof.d)];
  if (y0 === null || y === null || b === null || c === null || d === null) return null;
  return { y0, y, b, c, d };
}

/** Of one receiver: Σ_j e_j·R_j + δ_i·g = z_i·g. */
function receiverEquation(
  curve: Curve,
  statement: Statement,
  own: { readonly folded: readonly bigint[]; readonly d: G1Point; readonly response: bigint },
): Equation {
  return [
    ...statement.randomizers.map((point, j) => [point, own.folded[j] as bigint] as const),
    [own.d, 1n],
    [curve.g1.generator, modOrder(-own.response)],
  ];
}

/** Null when a point is malformed, or when something shown is out of range. */
export function chunkingClaim(curve: Curve, statement: Statement, proof: ChunkingProof): Claim | null {
  const { generator } = curve.g1;
  const bound = BigInt(combinationBound(statement.ciphertexts.length));
  if (proof.responsesS.some((shown) => shown < 0n || shown >= bound)) return null;
  const points = decodePoints(curve, proof);
  if (points === null) return null;
  const first = firstChallenge(statement, proof);
  const xs = powers(secondChallenge(first, proof), REPETITIONS);
  const folded = foldedChallenges(first, xs);
  const { keys } = statement.setting;
  const receivers = keys.map((_, i) =>
    receiverEquation(curve, statement, {
      folded: folded.slice(i * CHUNKS, (i + 1) * CHUNKS),
      d: points.d[i + 1] as G1Point,
      response: proof.responsesR[i] as bigint,
    }),
  );
  const betas: Equation = [
    ...points.b.map((point, k) => [point, xs[k] as bigint] as const),
    [points.d[0] as G1Point, 1n],
    [generator, modOrder(-proof.responseB)],
  ];
  const shown = proof.responsesS.reduce((sum, value, k) => sum + value * (xs[k] as bigint), 0n);
  const chunks: Equation = [
    ...statement.ciphertexts.flat().map((point, at) => [point, folded[at] as bigint] as const),
    ...points.c.map((point, k) => [point, xs[k] as bigint] as const),
    [points.y, 1n],
    ...keys.map((key, i) => [key, modOrder(-(proof.responsesR[i] as bigint))] as const),
    [points.y0, modOrder(-proof.responseB)],
    [generator, modOrder(-shown)],
  ];
  return { name: "chunking", equations: [...receivers, betas, chunks] };
}
