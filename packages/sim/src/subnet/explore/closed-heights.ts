/**
 * Heights of which nothing can come any more but that they are final: all members are past them, so that nobody votes there again; all know the same
 * of them; and the faulty member has given all its votes there. What is left of such heights is which notarized blocks others can stand on,
 * the best first, and where their branches part: who made them, what was not notarized and single votes change nothing that follows.
 */
import { type Height, toHex } from "@orrery/base";
import type { Library, LocalState } from "./local-states.ts";

export interface Closed {
  /** Heights up to it, above the one that is final everywhere. */
  readonly top: Height;
  /** Notarized blocks of it by their hashes, in the order in which members prefer them. */
  readonly tips: ReadonlyMap<string, number>;
  /** One text for all that are the same. */
  readonly text: string;
}

const VOTED = /^(proposal|notarization|finalization|equivocation)/;

/** Of what others may not know, or what others may add to. */
export const isOfBlocks = (kind: string): boolean => VOTED.test(kind);

export class ClosedHeights {
  readonly #library: Library;
  readonly #faulty: number | null;
  readonly #known = new WeakMap<LocalState, ReadonlyMap<Height, readonly string[]>>();

  constructor(library: Library, faulty: number | null) {
    this.#library = library;
    this.#faulty = faulty;
  }

  of(states: readonly LocalState[], base: Height): Closed {
    const past = Math.min(...states.map(({ notarizedHeight }) => notarizedHeight));
    // What is final everywhere is closed, whatever else somebody knows of it.
    let top = Math.min(...states.map(({ finalizedHeight }) => finalizedHeight));
    while (top < past && this.#isClosed(states, top + 1)) top++;
    const [state] = states;
    if (top === base || state === undefined) return { top: base, tips: new Map(), text: "" };
    return { top, ...this.#treeOf(state, { top, base }) };
  }

  #isClosed(states: readonly LocalState[], height: Height): boolean {
    const [first, ...others] = states.map((state) => this.#knownAt(state).get(height) ?? []);
    const all = first?.join() ?? "";
    return others.every((other) => other.join() === all) && this.#hasSpoken(first ?? []);
  }

  /** Whether the faulty member has nothing to add. */
  #hasSpoken(names: readonly string[]): boolean {
    const signer = this.#faulty;
    if (signer === null) return true;
    const said = new Set(names);
    return names.every((name) => {
      const [kind, height, hash] = name.split("/");
      if (kind !== "proposal") return true;
      const isNotarized = said.has(`notarization/${height}/${hash}`);
      return (
        said.has(`finalization_share/${height}/${signer}/${hash}`) &&
        (isNotarized || said.has(`notarization_share/${height}/${signer}/${hash}`))
      );
    });
  }

  /** Names of what a member has of blocks, by height. */
  #knownAt(state: LocalState): ReadonlyMap<Height, readonly string[]> {
    const found = this.#known.get(state);
    if (found !== undefined) return found;
    const known = new Map<Height, string[]>();
    for (const number of state.has) {
      const name = this.#library.name(number);
      const [kind = "", at] = name.split("/");
      if (!isOfBlocks(kind)) continue;
      const height = Number(at);
      const names = known.get(height) ?? [];
      known.set(height, names);
      names.push(name);
    }
    for (const names of known.values()) names.sort();
    this.#known.set(state, known);
    return known;
  }

  #treeOf(
    { notarized }: LocalState,
    { top, base }: { readonly top: Height; readonly base: Height },
  ): Pick<Closed, "tips" | "text"> {
    const proposals = (notarized.get(top) ?? [])
      .map((hash) => this.#library.proposal(hash))
      .filter((proposal) => proposal !== null)
      .sort((a, b) => a.block.rank - b.block.rank || (toHex(a.hash) < toHex(b.hash) ? -1 : 1));
    const tips = new Map(proposals.map(({ hash }, place) => [toHex(hash), place]));
    const numbers = new Map<string, number>();
    const branches = proposals.map(({ block }) => {
      const path: number[] = [];
      let at: typeof block | undefined = block;
      while (at !== undefined && at.height > base + 1) {
        const parent = toHex(at.parent);
        const siblings = [...numbers.keys()].filter((key) => key.startsWith(`${at?.height}/`)).length;
        const key = `${at.height}/${parent}`;
        if (!numbers.has(key)) numbers.set(key, siblings);
        path.push(numbers.get(key) as number);
        at = this.#library.proposal(parent)?.block;
      }
      return `${block.height - block.context.certifiedHeight}:${path.join(".")}`;
    });
    return { tips, text: `${top - base}(${branches.join(")(")})` };
  }
}
