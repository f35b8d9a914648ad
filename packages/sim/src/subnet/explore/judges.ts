/** What is wrong in a state of an exploration: what a member says that none may say, and two members that call different things final. */
import type { LocalState } from "./local-states.ts";

export class Judges {
  readonly #honest: readonly number[];
  readonly #agreed = new WeakMap<LocalState, WeakMap<LocalState, string | "agreed">>();

  constructor(honest: readonly number[]) {
    this.#honest = honest;
  }

  /** Null for a state in which all is well. */
  of(states: readonly LocalState[]): string | null {
    const members = this.#honest.map((place) => states[place] as LocalState);
    for (const [number, one] of members.entries()) {
      if (one.violations[0] !== undefined) return one.violations[0];
      for (const two of members.slice(number)) {
        const what = this.#agree(one, two);
        if (what !== null) return what;
      }
    }
    return null;
  }

  #agree(one: LocalState, two: LocalState): string | null {
    const others = this.#agreed.get(one) ?? new WeakMap<LocalState, string>();
    this.#agreed.set(one, others);
    const known = others.get(two);
    if (known !== undefined) return known === "agreed" ? null : known;
    const what = disagreement(one, two) ?? disagreement(two, one);
    others.set(two, what ?? "agreed");
    return what;
  }
}

/** What one calls final against what the other knows. */
function disagreement(one: LocalState, two: LocalState): string | null {
  for (const [index, hash] of one.chain.entries())
    if (two.chain[index] !== undefined && two.chain[index] !== hash)
      return `two honest members deliver different blocks at ${index + 1}`;
  for (const [height, hash] of one.finalized) {
    const final = two.finalized.get(height);
    if (final !== undefined && final !== hash)
      return `two honest members have different final blocks at ${height}`;
    if (two.notarized.get(height)?.some((other) => other !== hash) === true)
      return `another block is notarized beside the final one at ${height}`;
  }
  return null;
}
