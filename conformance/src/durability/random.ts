/** Choices that follow from a seed: two drills of one seed make the same choices, though not at the same instants. */

export interface Random {
  /** An integer from 0 to below n. */
  below(n: number): number;
  pick<T>(choices: readonly T[]): T;
  bytes(length: number): Uint8Array;
  /** Another sequence, of its own seed. */
  fork(): Random;
}

/** SplitMix32. */
export function seededRandom(seed: number): Random {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let z = state ^ (state >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  const below = (n: number): number => next() % n;
  return {
    below,
    pick: (choices) => choices[below(choices.length)] as (typeof choices)[number],
    bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
    fork: () => seededRandom(next()),
  };
}
