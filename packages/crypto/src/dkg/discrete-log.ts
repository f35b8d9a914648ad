/**
 * Finding encrypted chunks again: baby steps and giant steps (Shanks) in G1, with tables of first coordinates, which serve for a point
 * and its negative.
 *
 * An honest dealer's chunk is below 2^16. A dishonest one's is what its proof let pass: z / d modulo the order. A proof with such a chunk holds
 * when all 32 of its challenges of 8 bits for that chunk fall into a set that depends on the chunk alone. Let d be the smallest denominator up to
 * 255 with |z| < Z. Since Z is far below the order's root, two challenges in the set differ by a multiple of d, and by less than
 * Z / |z| such multiples: the set has at most 256/d, rounded up, and at most 1 + (Z-1)/|z| challenges. At level L all chunks with
 * d ≤ L and |z| ≤ Z·L/256 are searched; a chunk that is not found leaves the set no more than 256/L challenges, so that a proof with it held with
 * probability L^-32: 2^-64 at level 4, 2^-128 at level 16, 2^-160 at the last one. Levels come in turn, so that others search
 * long only if the dealer did.
 */
import { BLS_ORDER, inverseModOrder, modOrder } from "../bls.ts";
import { type Curve, type G1Point, WALK_STEPS_MAX } from "./curve.ts";
import { combinationBound } from "./proof-chunking.ts";
import { CHUNK_SIZE } from "./statement.ts";

/** Baby steps for chunks of honest dealers: nine giant steps each. */
const HONEST_STEPS = 4_096;
/** Baby steps for what others deal: some 10 MiB and half a second, once for each run that has such a dealer. */
const CHEATING_STEPS = 131_072;
/** See above; at the last one, a proof that leads further held with probability 2^-160. */
const LEVELS: readonly number[] = [1, 2, 4, 8, 16, 32];
const CHALLENGES = 256;
const HONEST_CENTER = CHUNK_SIZE / 2;

/** First coordinates of 0, g, 2g, …, `reach`·g. */
interface Table {
  readonly reach: number;
  readonly places: ReadonlyMap<number, number>;
  /** Of a giant step, and that step down as a point. */
  readonly stride: number;
  readonly step: G1Point;
}

interface Range {
  readonly center: number;
  /** To either side. */
  readonly bound: number;
}

export interface ChunkFinder {
  /** The chunk of c·g, below the order; null when no proof of chunking held for it. */
  find(point: G1Point): bigint | null;
}

/** k·g for an integer that may be negative. Not constant in time: k is no one's secret, or known to whoever dealt it. */
function timesGenerator({ g1 }: Curve, k: number): G1Point {
  return g1.sum([g1.generator], [modOrder(BigInt(k))]);
}

function babySteps(curve: Curve, reach: number): Table {
  const places = new Map<number, number>();
  for (let from = 0; from <= reach; from += WALK_STEPS_MAX) {
    const count = Math.min(WALK_STEPS_MAX, reach + 1 - from);
    curve.walk(timesGenerator(curve, from), curve.g1.generator, count).forEach((tag, i) => {
      places.set(tag, from + i);
    });
  }
  const stride = 2 * reach + 1;
  return { reach, places, stride, step: timesGenerator(curve, -stride) };
}

/** The z of the range with `point` = z·g. */
function within(curve: Curve, table: Table, point: G1Point, { center, bound }: Range): number | null {
  const { g1 } = curve;
  const { reach, places, stride, step } = table;
  const far = Math.max(0, Math.ceil((bound - reach) / stride));
  for (let from = -far; from <= far; from += WALK_STEPS_MAX) {
    const count = Math.min(WALK_STEPS_MAX, far + 1 - from);
    const start = g1.add(point, timesGenerator(curve, -(center + from * stride)));
    const tags = curve.walk(start, step, count);
    for (let i = 0; i < count; i++) {
      const place = places.get(tags[i] as number);
      if (place === undefined) continue;
      const middle = center + (from + i) * stride;
      const found = [middle + place, middle - place].find((z) => g1.equal(point, timesGenerator(curve, z)));
      if (found !== undefined) return found;
    }
  }
  return null;
}

function searched(curve: Curve, table: Table, point: G1Point, bound: number): bigint | null {
  for (const level of LEVELS) {
    for (let denominator = 1; denominator <= level; denominator++) {
      const scaled = curve.g1.sum([point], [BigInt(denominator)]);
      const z = within(curve, table, scaled, { center: 0, bound: Math.ceil((bound * level) / CHALLENGES) });
      if (z !== null) return modOrder(BigInt(z) * inverseModOrder(BigInt(denominator)));
    }
  }
  return null;
}

/** `receivers`: of the dealing. The larger table is made when a chunk first needs it. */
export function createChunkFinder(curve: Curve, receivers: number): ChunkFinder {
  const honest = babySteps(curve, HONEST_STEPS);
  const bound = combinationBound(receivers);
  let cheating: Table | null = null;
  return {
    find(point) {
      const chunk = within(curve, honest, point, { center: HONEST_CENTER, bound: HONEST_CENTER });
      if (chunk !== null) return modOrder(BigInt(chunk));
      cheating ??= babySteps(curve, CHEATING_STEPS);
      return searched(curve, cheating, point, bound);
    },
  };
}

/** For a share from chunks that were found. */
export function shareOf(chunks: readonly bigint[], places: readonly bigint[]): bigint {
  return chunks.reduce((sum, chunk, j) => (sum + chunk * (places[j] as bigint)) % BLS_ORDER, 0n);
}
