/**
 * The way of slices from one subnet to another, with everything that can happen on it: too old a state, too little at once, twice
 * the same, nothing at all, cut off, changed, signed by somebody else. A right slice may be late; a wrong one must be refused.
 */

import { reconstruct, stateRootMessage } from "@orrery/crypto";
import { certifySlice, type SliceRequest, type StreamSlice } from "@orrery/execution";
import type { Random } from "./random.ts";

/** Chances, each of its own; 0 when left out. */
export interface SliceFaults {
  /** The slice is cut from an older certified state. */
  readonly delayed?: number;
  /** The slice before comes again. */
  readonly duplicated?: number;
  /** Nothing comes. */
  readonly dropped?: number;
  /** Fewer messages than there is room for. */
  readonly partial?: number;
  /** The bytes end too early. */
  readonly truncated?: number;
  /** A bit is flipped somewhere. */
  readonly damaged?: number;
  /** The signature is another subnet's. */
  readonly misSigned?: number;
  /** Slices that were taken before are put into a block once more, unchecked. */
  readonly stale?: number;
}

export interface Journey {
  /** Names the pair of subnets. */
  readonly lane: string;
  /** The source's certified states, newest last. */
  readonly states: readonly {
    readonly signature: Uint8Array;
    readonly take: (limits: Partial<Pick<SliceRequest, "maxMessages" | "maxBytes">>) => StreamSlice | null;
  }[];
  readonly foreignSignature: (message: Uint8Array) => Uint8Array;
}

export class SliceCarrier {
  readonly #random: Random;
  readonly #faults: SliceFaults;
  readonly #before = new Map<string, Uint8Array>();
  #stale: Uint8Array[] = [];

  constructor(random: Random, faults: SliceFaults) {
    this.#random = random;
    this.#faults = faults;
  }

  #happens(fault: keyof SliceFaults): boolean {
    const chance = this.#faults[fault] ?? 0;
    return chance > 0 && this.#random.chance(chance);
  }

  /** What arrives, in the order of arrival. */
  carry({ lane, states, foreignSignature }: Journey): readonly Uint8Array[] {
    const random = this.#random;
    const arrived: Uint8Array[] = [];
    const before = this.#before.get(lane);
    if (before !== undefined && this.#happens("duplicated")) arrived.push(before);
    if (before !== undefined && this.#happens("stale")) this.#stale.push(before);
    const age = this.#happens("delayed") ? random.below(states.length) : 0;
    const state = states[states.length - 1 - age];
    const slice = state?.take(this.#happens("partial") ? { maxMessages: random.below(3) } : {}) ?? null;
    if (state === undefined || slice === null || this.#happens("dropped")) return arrived;
    const right = certifySlice(slice, state.signature);
    this.#before.set(lane, right);
    if (this.#happens("truncated")) arrived.push(right.slice(0, random.below(right.length)));
    if (this.#happens("damaged")) arrived.push(this.#damage(right));
    if (this.#happens("misSigned")) {
      const message = stateRootMessage(reconstruct(slice.tree));
      arrived.push(certifySlice(slice, foreignSignature(message)));
    }
    arrived.push(right);
    return arrived;
  }

  #damage(bytes: Uint8Array): Uint8Array {
    const damaged = bytes.slice();
    const at = this.#random.below(damaged.length);
    damaged[at] = (damaged[at] as number) ^ (1 << this.#random.below(8));
    return damaged;
  }

  /** Old slices for an unchecked place in the next block. */
  stale(): readonly Uint8Array[] {
    const stale = this.#stale;
    this.#stale = [];
    return stale;
  }
}
