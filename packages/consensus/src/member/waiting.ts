/**
 * What other members sent that cannot be judged yet: a parent, a beacon, a state or the time is missing. Kept by height, and by sender
 * beside the artifact's name, so that a forged copy never stands in the way of the good one. Invariants: each sender has its own bounds,
 * of number and bytes; where they are reached low heights come first; what was turned away is remembered and asked for again.
 */
import { type Height, toHex } from "@orrery/base";
import { type Artifact, artifactId, heightOf, type MemberIndex, weightOf } from "./artifacts.ts";

/** Artifacts of one sender. */
export const WAITING_PER_SENDER_MAX = 20_000;
/** Their bytes: eight of the largest blocks. */
export const WAITING_BYTES_PER_SENDER_MAX: number = 64 * 1024 * 1024;
/** Blocks of one maker at one height from one sender: an honest one passes on the first, and one more when a quorum voted for it. */
export const WAITING_BLOCKS_PER_MAKER_MAX = 4;

export interface WaitingArtifact {
  readonly artifact: Artifact;
  readonly id: string;
  readonly from: MemberIndex;
  readonly bytes: number;
  /** Of proposals and votes: their signatures are good. */
  signed: boolean;
}

interface Use {
  count: number;
  bytes: number;
  /** Lowest height of what was turned away. */
  missed: Height | null;
}

type Copies = Map<MemberIndex, WaitingArtifact>;

export class WaitingArtifacts {
  readonly #heights = new Map<Height, Map<string, Copies>>();
  readonly #uses = new Map<MemberIndex, Use>();

  /** Of all senders, for bounds. */
  get bytes(): number {
    return [...this.#uses.values()].reduce((sum, use) => sum + use.bytes, 0);
  }

  get count(): number {
    return [...this.#uses.values()].reduce((sum, use) => sum + use.count, 0);
  }

  /** Whether a copy of this sender, or one whose signatures are good, is here. */
  has(from: MemberIndex, artifact: Artifact): boolean {
    const copies = this.#heights.get(heightOf(artifact))?.get(artifactId(artifact));
    return copies !== undefined && (copies.has(from) || [...copies.values()].some(({ signed }) => signed));
  }

  /** Blocks of one maker at one height that one sender has waiting. */
  blocksOf(from: MemberIndex, maker: MemberIndex, height: Height): number {
    let count = 0;
    for (const copies of this.#heights.get(height)?.values() ?? []) {
      const artifact = copies.get(from)?.artifact;
      if (artifact?.kind === "proposal" && artifact.signer === maker) count++;
    }
    return count;
  }

  /** Keeps it, or what is lower of the same sender in its place. */
  add(artifact: Artifact, from: MemberIndex, signed: boolean): void {
    const [height, bytes] = [heightOf(artifact), weightOf(artifact)];
    while (!this.#fits(from, bytes)) {
      const last = this.#highestOf(from);
      if (last === null || heightOf(last.artifact) <= height) {
        this.miss(from, height);
        return;
      }
      this.drop(last);
      if (!last.signed) this.miss(from, heightOf(last.artifact));
      // Copies of others gave way to this one.
      else for (const sender of this.#uses.keys()) this.miss(sender, heightOf(last.artifact));
    }
    const id = artifactId(artifact);
    const ids = this.#heights.get(height) ?? new Map<string, Copies>();
    this.#heights.set(height, ids);
    const copies = ids.get(id) ?? new Map<MemberIndex, WaitingArtifact>();
    ids.set(id, copies);
    const use = this.#useOf(from);
    use.count++;
    use.bytes += bytes;
    const waiting: WaitingArtifact = { artifact, id, from, bytes, signed };
    copies.set(from, waiting);
    if (signed) this.keepOnly(waiting);
  }

  /** Signatures of this copy are good: no other is needed. */
  keepOnly(waiting: WaitingArtifact): void {
    waiting.signed = true;
    for (const copy of this.#copiesOf(waiting)) if (copy !== waiting) this.drop(copy);
  }

  /** Copies at a height, in the order in which they came. */
  at(height: Height): readonly WaitingArtifact[] {
    const ids = this.#heights.get(height);
    return ids === undefined ? [] : [...ids.values()].flatMap((copies) => [...copies.values()]);
  }

  isHere(waiting: WaitingArtifact): boolean {
    return this.#heights.get(heightOf(waiting.artifact))?.get(waiting.id)?.get(waiting.from) === waiting;
  }

  drop({ artifact, id, from, bytes }: WaitingArtifact): void {
    const height = heightOf(artifact);
    const ids = this.#heights.get(height);
    const copies = ids?.get(id);
    if (ids === undefined || copies?.delete(from) !== true) return;
    const use = this.#useOf(from);
    use.count--;
    use.bytes -= bytes;
    if (copies.size === 0) ids.delete(id);
    if (ids.size === 0) this.#heights.delete(height);
  }

  /** Lets go of what nobody needs any more, at heights up to `top`. */
  sweep(top: Height, isStale: (artifact: Artifact) => boolean): void {
    for (const height of [...this.#heights.keys()]) {
      if (height > top) continue;
      for (const waiting of this.at(height)) if (isStale(waiting.artifact)) this.drop(waiting);
    }
  }

  /** Something of the height from this sender was turned away. */
  miss(from: MemberIndex, height: Height): void {
    const use = this.#useOf(from);
    use.missed = Math.min(use.missed ?? height, height);
  }

  /** Senders of what was turned away and could be kept now; once each. `top`: the highest height that is of use. */
  takeMissed(top: Height): readonly MemberIndex[] {
    const senders: MemberIndex[] = [];
    for (const [from, use] of this.#uses) {
      if (use.missed === null || use.missed > top) continue;
      if (2 * use.count > WAITING_PER_SENDER_MAX || 2 * use.bytes > WAITING_BYTES_PER_SENDER_MAX) continue;
      use.missed = null;
      senders.push(from);
    }
    return senders;
  }

  #copiesOf({ artifact, id }: WaitingArtifact): readonly WaitingArtifact[] {
    return [...(this.#heights.get(heightOf(artifact))?.get(id)?.values() ?? [])];
  }

  #fits(from: MemberIndex, bytes: number): boolean {
    const use = this.#useOf(from);
    return use.count < WAITING_PER_SENDER_MAX && use.bytes + bytes <= WAITING_BYTES_PER_SENDER_MAX;
  }

  #highestOf(from: MemberIndex): WaitingArtifact | null {
    for (const height of [...this.#heights.keys()].sort((a, b) => b - a)) {
      const found = this.at(height).findLast((waiting) => waiting.from === from);
      if (found !== undefined) return found;
    }
    return null;
  }

  #useOf(from: MemberIndex): Use {
    const known = this.#uses.get(from);
    if (known !== undefined) return known;
    const made: Use = { count: 0, bytes: 0, missed: null };
    this.#uses.set(from, made);
    return made;
  }
}

/** Blocks that a quorum voted for, as far as they or their parents are not here: their contents need no further judgement. */
export class Vouched {
  readonly #heights = new Map<Height, Set<string>>();

  has(height: Height, hash: Uint8Array): boolean {
    return this.#heights.get(height)?.has(toHex(hash)) === true;
  }

  add(height: Height, hash: Uint8Array): void {
    const hashes = this.#heights.get(height) ?? new Set<string>();
    this.#heights.set(height, hashes.add(toHex(hash)));
  }

  forget(top: Height): void {
    for (const height of [...this.#heights.keys()]) if (height <= top) this.#heights.delete(height);
  }
}
