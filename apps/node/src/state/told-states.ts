/**
 * Which states of this node's past peers are told: one of a subnet at a time, since each takes memory and the blocks before it run again for
 * it. Who takes one has it to the end, but nobody keeps a newer one from the others for ever.
 */
import { equalBytes } from "@orrery/base";
import type { About, SubnetIndex } from "../protocol.ts";
import type { TellCall } from "./state-calls.ts";
import type { ToldState } from "./told-state.ts";

/** A state that was asked for within this time is still being taken: no other one takes its place. */
export const TAKEN_MS = 20_000;
/** So long at most, once somebody asked for a newer one: what came of it is not fetched again with that. */
export const HELD_MS_MAX = 300_000;

type Told = Pick<ToldState, "stateHash" | "tell" | "close">;

export interface ToldStatesOptions {
  /** Runs the blocks up to a height again; null where they do not reach so far, or cannot be read now. */
  readonly open: (call: About<TellCall>) => Told | null;
  readonly nowMs: () => number;
}

interface Kept {
  readonly state: Told;
  askedMs: number;
  /** Since when somebody asks for a newer one. */
  newerMs: number | null;
}

export class ToldStates {
  readonly #options: ToldStatesOptions;
  readonly #kept = new Map<SubnetIndex, Kept>();
  /** Hashes of packages whose states are other ones here: nothing is run again for them. */
  readonly #others = new Map<SubnetIndex, Uint8Array>();

  constructor(options: ToldStatesOptions) {
    this.#options = options;
  }

  /** Parts of the state that is asked for; none when it is not here, or another one is being taken. */
  tell(call: About<TellCall>): readonly Uint8Array[] {
    return this.#stateFor(call)?.tell(call.ask) ?? [];
  }

  #stateFor(call: About<TellCall>): Told | null {
    const { subnet, stateHash, newest } = call;
    const nowMs = this.#options.nowMs();
    const kept = this.#kept.get(subnet);
    if (kept !== undefined && equalBytes(kept.state.stateHash, stateHash)) {
      kept.askedMs = nowMs;
      return kept.state;
    }
    // Blocks run again for what a package says alone: any peer can ask for what nobody has.
    if (newest?.height !== call.height || !equalBytes(newest.stateHash, stateHash)) return null;
    const other = this.#others.get(subnet);
    if (other !== undefined && equalBytes(other, stateHash)) return null;
    if (kept !== undefined) {
      kept.newerMs ??= nowMs;
      if (nowMs < kept.askedMs + TAKEN_MS && nowMs < kept.newerMs + HELD_MS_MAX) return null;
      kept.state.close();
      this.#kept.delete(subnet);
    }
    return this.#open(call);
  }

  #open(call: About<TellCall>): Told | null {
    const { subnet, stateHash } = call;
    const state = this.#options.open(call);
    if (state === null) return null;
    if (!equalBytes(state.stateHash, stateHash)) {
      state.close();
      this.#others.set(subnet, stateHash);
      return null;
    }
    // It took a while.
    this.#kept.set(subnet, { state, askedMs: this.#options.nowMs(), newerMs: null });
    return state;
  }
}
