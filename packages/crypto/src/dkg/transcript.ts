/**
 * The outcome of a run: dealings of enough dealers, and the coefficients that they add up to. For a fresh key all polynomials are added; when
 * a key is reshared they are interpolated at 0 over the dealers' points, so that the new polynomial has the old one's value there
 * and the public key stays. A transcript is complete: members open their shares of it, and anyone checks it, with nothing else.
 */
import { equalBytes, err, ok, type Result } from "@orrery/base";
import { lagrangeAtZero, modOrder } from "../bls.ts";
import { checkConfig, type DkgConfig, decodeAll } from "./config.ts";
import type { Curve, G1Point, G2Point } from "./curve.ts";
import type { Dealing } from "./dealing.ts";
import { type ChunkFinder, createChunkFinder, shareOf } from "./discrete-log.ts";
import { openSecret } from "./encryption-key.ts";
import { scalarBytes } from "./oracle.ts";
import { evaluateInGroup } from "./polynomial.ts";
import { CHUNK_PLACES } from "./statement.ts";
import { judgeDealing } from "./verify.ts";

export interface Transcript {
  readonly config: DkgConfig;
  /** `threshold` times 96 bytes; the first is the public key. */
  readonly coefficients: readonly Uint8Array[];
  /** Those that count, by ascending dealer. */
  readonly dealings: readonly Dealing[];
}

export interface LoadedShare {
  /** The member's point, from 1: its place among the receivers plus 1, as `createThresholdSigner` takes it. */
  readonly index: number;
  /** 32 bytes. */
  readonly secretShare: Uint8Array;
}

/** What each dealing is multiplied by. */
function factorsOf(config: DkgConfig, dealings: readonly Dealing[]): readonly bigint[] {
  if (config.reshared === null) return dealings.map(() => 1n);
  return lagrangeAtZero(dealings.map(({ dealer }) => dealer + 1));
}

/** By ascending dealer, one each; of a reshared key no more than it takes. */
function chosen(config: DkgConfig, dealings: readonly Dealing[]): Result<readonly Dealing[], string> {
  const sorted = [...dealings].sort((a, b) => a.dealer - b.dealer);
  const needed = config.dealingsNeeded;
  if (sorted.length < needed) return err(`${sorted.length} dealings where ${needed} are needed`);
  if (sorted.some(({ dealer }, i) => dealer === sorted[i - 1]?.dealer))
    return err("a dealer has more than one dealing");
  if (sorted.some(({ coefficients }) => coefficients.length !== config.threshold))
    return err(`a dealing has not ${config.threshold} coefficients`);
  return ok(config.reshared === null ? sorted : sorted.slice(0, needed));
}

function addUp(
  curve: Curve,
  config: DkgConfig,
  dealings: readonly Dealing[],
): Result<readonly Uint8Array[], string> {
  const { g2 } = curve;
  const factors = factorsOf(config, dealings);
  const rows: (readonly G2Point[])[] = [];
  for (const { coefficients, dealer } of dealings) {
    const row = decodeAll(g2, coefficients);
    if (row === null) return err(`a coefficient of dealer ${dealer} is not of the group`);
    rows.push(row);
  }
  const sums: Uint8Array[] = [];
  for (let k = 0; k < config.threshold; k++) {
    const sum = g2.sum(
      rows.map((row) => row[k] as G2Point),
      factors,
    );
    if (g2.isZero(sum)) return err(`the coefficients ${k} add up to nothing`);
    sums.push(g2.encode(sum));
  }
  return ok(sums);
}

/**
 * The transcript of dealings each of which `verifyDealing` accepted. It depends on the set of dealings alone, not on their order; all members must
 * use the same set, from a block that they agreed on. When a key is reshared, those of the lowest dealers count.
 */
export function combineDealings(
  curve: Curve,
  config: DkgConfig,
  dealings: readonly Dealing[],
): Result<Transcript, string> {
  const picked = chosen(config, dealings);
  if (!picked.ok) return picked;
  const coefficients = addUp(curve, config, picked.value);
  if (!coefficients.ok) return coefficients;
  if (
    config.reshared !== null &&
    !equalBytes(coefficients.value[0] as Uint8Array, config.reshared[0] as Uint8Array)
  )
    return err("the dealings do not add up to the reshared key");
  return ok({ config, coefficients: coefficients.value, dealings: picked.value });
}

/** The subnet's public key, 96 bytes. */
export function publicKeyOf(transcript: Transcript): Uint8Array {
  return (transcript.coefficients[0] as Uint8Array).slice();
}

/** The 96-byte key under which shares of the member at `receiver`, from 0, verify. */
export function publicShare(
  curve: Curve,
  transcript: Transcript,
  receiver: number,
): Result<Uint8Array, string> {
  const coefficients = decodeAll(curve.g2, transcript.coefficients);
  if (coefficients === null) return err("a coefficient of the transcript is not of the group");
  return ok(curve.g2.encode(evaluateInGroup(curve.g2, coefficients, receiver + 1)));
}

/** Everything again: the configuration, every dealing, and that they add up to the transcript. */
export function verifyTranscript(
  curve: Curve,
  config: DkgConfig,
  transcript: Transcript,
): Result<null, string> {
  const [expected, own] = [checkConfig(curve, config), checkConfig(curve, transcript.config)];
  if (!expected.ok) return expected;
  if (!own.ok || !equalBytes(expected.value.context, own.value.context))
    return err("the transcript is of another configuration");
  for (const dealing of transcript.dealings) {
    const judged = judgeDealing(curve, expected.value, dealing);
    if (!judged.ok) return judged;
  }
  const combined = combineDealings(curve, config, transcript.dealings);
  if (!combined.ok) return combined;
  const { coefficients, dealings } = combined.value;
  const same =
    dealings.length === transcript.dealings.length &&
    dealings.every((dealing, i) => dealing.dealer === transcript.dealings[i]?.dealer) &&
    coefficients.length === transcript.coefficients.length &&
    coefficients.every((point, k) => equalBytes(point, transcript.coefficients[k] as Uint8Array));
  return same ? ok(null) : err("the transcript is not what its dealings add up to");
}

interface Opening {
  readonly receiver: number;
  readonly secret: bigint;
  readonly finder: ChunkFinder;
}

function openDealing(curve: Curve, dealing: Dealing, opening: Opening): Result<bigint, string> {
  const { g1 } = curve;
  const { receiver, secret, finder } = opening;
  const row = decodeAll(g1, dealing.ciphertexts[receiver] ?? []);
  const randomizers = decodeAll(g1, dealing.randomizers);
  if (
    row === null ||
    randomizers === null ||
    row.length !== CHUNK_PLACES.length ||
    randomizers.length !== row.length
  )
    return err(
      `the dealing of dealer ${dealing.dealer} was never accepted: it has no ciphertext of the group`,
    );
  const minus = modOrder(-secret);
  const chunks: bigint[] = [];
  for (const [j, point] of row.entries()) {
    const hidden = g1.multiply(randomizers[j] as G1Point, minus);
    const chunk = finder.find(g1.add(point, hidden));
    if (chunk === null)
      return err(`the dealing of dealer ${dealing.dealer} was never accepted: a chunk is out of range`);
    chunks.push(chunk);
  }
  return ok(shareOf(chunks, CHUNK_PLACES));
}

/**
 * The share of the member at `receiver`, from 0, opened with its encryption key's secret. It is checked against the transcript; of a transcript
 * that `verifyTranscript` accepted every receiver opens one.
 */
export function loadShare(
  curve: Curve,
  transcript: Transcript,
  receiver: number,
  secretKey: Uint8Array,
): Result<LoadedShare, string> {
  const checked = checkConfig(curve, transcript.config);
  if (!checked.ok) return checked;
  const key = transcript.config.receivers[receiver];
  if (key === undefined) return err(`the transcript has no receiver ${receiver}`);
  const secret = openSecret(curve, secretKey, key);
  if (secret === null) return err(`the secret is not of the encryption key of receiver ${receiver}`);
  const finder = createChunkFinder(curve, transcript.config.receivers.length);
  const factors = factorsOf(transcript.config, transcript.dealings);
  let share = 0n;
  for (const [d, dealing] of transcript.dealings.entries()) {
    const opened = openDealing(curve, dealing, { receiver, secret, finder });
    if (!opened.ok) return opened;
    share = modOrder(share + (factors[d] as bigint) * opened.value);
  }
  const expected = publicShare(curve, transcript, receiver);
  if (!expected.ok) return expected;
  const { g2 } = curve;
  if (share === 0n || !equalBytes(g2.encode(g2.multiply(g2.generator, share)), expected.value))
    return err("the share that was opened is not the transcript's");
  return ok({ index: receiver + 1, secretShare: scalarBytes(share) });
}
