/**
 * Who may make, notarize and finalize the blocks of a height, and how many must (consensus parameters of the Internet Computer):
 * drawn from the random beacon of the height before, which nobody can know until that height is notarized.
 */
import { concatBytes } from "@orrery/base";
import { domainSep, sha256 } from "@orrery/crypto";
import type { MemberIndex } from "./artifacts.ts";

/** Members that may be faulty without harm. */
export function faultsOf(members: number): number {
  return Math.floor((Math.max(members, 1) - 1) / 3);
}

/** Members that notarize and finalize a height. */
export function committeeSize(members: number): number {
  return 3 * faultsOf(members) + 1;
}

/** Signatures that notarize, finalize and certify: any two such sets have an honest member in common. */
export function quorumOf(members: number): number {
  return committeeSize(members) - faultsOf(members);
}

/** Shares that make a beacon or tape: one of them is an honest member's. */
export function randomnessThreshold(members: number): number {
  return faultsOf(members) + 1;
}

/** Members that may make a block at a height: one of them is honest. */
export function makersOf(members: number): number {
  return faultsOf(members) + 1;
}

/** Uniform numbers from a seed: SHA-256 in counter mode, values that would favour some outcomes left out. */
class Draw {
  readonly #seed: Uint8Array;
  #block: Uint8Array = new Uint8Array(0);
  #at = 0;
  #counter = 0;

  constructor(purpose: string, seed: Uint8Array) {
    this.#seed = sha256(concatBytes(domainSep(purpose), seed));
  }

  below(bound: number): number {
    const limit = 2 ** 32 - (2 ** 32 % bound);
    for (;;) {
      const value = this.#next();
      if (value < limit) return value % bound;
    }
  }

  #next(): number {
    if (this.#at + 4 > this.#block.length) {
      const counter = new Uint8Array(4);
      new DataView(counter.buffer).setUint32(0, this.#counter++);
      this.#block = sha256(concatBytes(this.#seed, counter));
      this.#at = 0;
    }
    const view = new DataView(this.#block.buffer, this.#block.byteOffset);
    this.#at += 4;
    return view.getUint32(this.#at - 4);
  }
}

/** All members in an order drawn from the beacon. */
function shuffled(purpose: string, beacon: Uint8Array, members: number): MemberIndex[] {
  const draw = new Draw(purpose, beacon);
  const order = Array.from({ length: members }, (_, index) => index);
  for (let last = members - 1; last > 0; last--) {
    const chosen = draw.below(last + 1);
    [order[last], order[chosen]] = [order[chosen] as number, order[last] as number];
  }
  return order;
}

/** Who does what at a height. */
export interface Roles {
  /** Makers by rank; their block counts the more the lower the rank. */
  readonly makers: readonly MemberIndex[];
  /** Notaries and finalizers. */
  readonly committee: ReadonlySet<MemberIndex>;
  readonly quorum: number;
}

/** `beacon`: of the height before. */
export function rolesFrom(beacon: Uint8Array, members: number): Roles {
  const seed = sha256(beacon);
  const makers = shuffled("orrery-block-makers", seed, members).slice(0, makersOf(members));
  const committee = shuffled("orrery-committee", seed, members).slice(0, committeeSize(members));
  return { makers, committee: new Set(committee), quorum: quorumOf(members) };
}
