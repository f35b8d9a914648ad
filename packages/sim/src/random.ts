/** Seeded randomness for simulations: one seed, one run, on every machine. Not for keys. */
import type { Rng } from "@orrery/base";

export interface Random extends Rng {
  /** A number in [0, 1). */
  next(): number;
  /** An integer in [0, bound). */
  below(bound: number): number;
  /** True with probability `p`. */
  chance(p: number): boolean;
}

/** Generator from a seed and any further numbers (a step, a node), so that parts of a run draw independently. */
export function seededRandom(seed: number, ...parts: readonly number[]): Random {
  let state = 0x9e3779b9;
  for (const part of [seed, ...parts]) {
    state = Math.imul(state ^ (part | 0), 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13) ^ Math.floor(part / 0x1_0000_0000), 0xc2b2ae35);
    state ^= state >>> 16;
  }
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (bound: number): number => Math.floor(next() * bound);
  return {
    next,
    below,
    chance: (p) => next() < p,
    bytes: (length) => Uint8Array.from({ length }, () => below(256)),
  };
}

/** Both ends are drawn too. */
export function drawnBetween(random: Random, [least, most]: readonly [bigint, bigint]): bigint {
  return least + BigInt(Math.floor(random.next() * Number(most - least + 1n)));
}
