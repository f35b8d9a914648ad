/**
 * What a member knows of each height: artifacts that it checked, by height. Invariants: everything here is valid but for shares of signatures
 * that are marked so, which nobody uses one by one (`shares.ts`); the parents of all
 * notarized blocks are here, down to the block that the member started from; the finalized blocks are one chain.
 */
import { assert, type Block, equalBytes, type Height, type TimeNs, toHex } from "@orrery/base";
import { blockHash } from "../step.ts";
import type { Summary } from "../summary-codec.ts";
import {
  type Artifact,
  artifactId,
  type DealingArtifact,
  type EquivocationProof,
  type HashKey,
  type MemberIndex,
  type Proposal,
  type ThresholdKind,
  type ThresholdSignature,
  type Tip,
  type Vote,
} from "./artifacts.ts";
import type { Roles } from "./committee.ts";

export type Signatures = Map<MemberIndex, Uint8Array>;

/** One height. */
export interface Round {
  readonly height: Height;
  /** Set once the beacon of the height before is known. */
  roles: Roles | null;
  /** When this member could take part: a block of the height before was notarized, and the beacon known. */
  startedAt: TimeNs | null;
  readonly proposals: Map<HashKey, Proposal>;
  readonly notarized: Map<HashKey, Vote>;
  finalized: Vote | null;
  beacon: ThresholdSignature | null;
  tape: ThresholdSignature | null;
  certification: ThresholdSignature | null;
  /** Of votes by what is voted for; of randomness under the empty key; of the others by their content. */
  readonly shares: {
    readonly notarization: Map<HashKey, Signatures>;
    readonly finalization: Map<HashKey, Signatures>;
    readonly beacon: Map<HashKey, Signatures>;
    readonly tape: Map<HashKey, Signatures>;
    readonly certification: Map<HashKey, Signatures>;
    readonly catch_up: Map<HashKey, Signatures>;
  };
  /** Signers of shares that nobody verified. */
  readonly unproved: Readonly<Record<ThresholdKind, Map<HashKey, Set<MemberIndex>>>>;
  readonly equivocations: Map<MemberIndex, EquivocationProof>;
  /** Of the interval whose first height this is, by keys and dealer. */
  readonly dealings: Map<string, DealingArtifact>;
  /** The first proposal of each maker whose signature is good, in the pool or not: a second one is the proof against it. */
  readonly firstSigned: Map<MemberIndex, Proposal>;
}

export type ShareKind = keyof Round["shares"];

/** Of use until a height is delivered and certified. */
const PASSING = ["notarization", "finalization", "beacon", "tape", "certification"] as const;

function newRound(height: Height): Round {
  return {
    height,
    roles: null,
    startedAt: null,
    proposals: new Map(),
    notarized: new Map(),
    finalized: null,
    beacon: null,
    tape: null,
    certification: null,
    shares: {
      notarization: new Map(),
      finalization: new Map(),
      beacon: new Map(),
      tape: new Map(),
      certification: new Map(),
      catch_up: new Map(),
    },
    unproved: { beacon: new Map(), tape: new Map(), certification: new Map(), catch_up: new Map() },
    equivocations: new Map(),
    dealings: new Map(),
    firstSigned: new Map(),
  };
}

/** Where a member begins: a block that everybody agrees on, with the beacon of its height. */
export interface Start {
  readonly tip: Tip;
  readonly beacon: Uint8Array;
  /** Of its block, in subnets with intervals. */
  readonly summary?: Summary;
}

/** Nobody needs them any more. */
export function clearShares(round: Round, kind: ShareKind): void {
  round.shares[kind].clear();
  if (kind !== "notarization" && kind !== "finalization") round.unproved[kind].clear();
}

export class Pool {
  readonly start: Start;
  readonly #rounds = new Map<Height, Round>();
  notarizedHeight: Height;
  beaconHeight: Height;
  certifiedHeight: Height;
  /** Of the newest catch-up package. */
  catchUpHeight: Height;
  /** Of the chain from the start on, by height. */
  readonly #finalChain = new Map<Height, Proposal>();
  #finalizedHeight: Height;
  /** Lowest height whose shares may still be of use. */
  #sharesFrom: Height;
  #floor: Height;
  readonly #needless: { readonly height: Height; readonly id: string }[] = [];

  constructor(start: Start) {
    this.start = start;
    const { height } = start.tip;
    this.notarizedHeight = height;
    this.beaconHeight = height;
    this.#finalizedHeight = height;
    this.#sharesFrom = height + 1;
    this.#floor = height;
    // Everybody agrees on the state that it begins with.
    this.certifiedHeight = height;
    this.catchUpHeight = height;
  }

  get finalizedHeight(): Height {
    return this.#finalizedHeight;
  }

  /** The blocks above it are here, as far as they are notarized; those up to it are forgotten, or never were. */
  get floor(): Height {
    return this.#floor;
  }

  /** Made when it is not there. */
  round(height: Height): Round {
    const found = this.#rounds.get(height);
    if (found !== undefined) return found;
    const made = newRound(height);
    this.#rounds.set(height, made);
    return made;
  }

  peek(height: Height): Round | undefined {
    return this.#rounds.get(height);
  }

  /** The signature that is the beacon of a height; null when it is not known. */
  beaconAt(height: Height): Uint8Array | null {
    if (height === this.start.tip.height) return this.start.beacon;
    return this.#rounds.get(height)?.beacon?.signature ?? null;
  }

  /** A notarized block as what others stand on. */
  notarizedTip(height: Height, hash: Uint8Array): Tip | null {
    const { tip } = this.start;
    if (height === tip.height) return equalBytes(hash, tip.hash) ? tip : null;
    const round = this.#rounds.get(height);
    const key = toHex(hash);
    const proposal = round?.notarized.has(key) === true ? round.proposals.get(key) : undefined;
    return proposal === undefined ? null : tipOf(proposal.block, proposal.hash);
  }

  /** Notarized blocks of a height. */
  notarizedTips(height: Height): readonly { readonly tip: Tip; readonly rank: number }[] {
    if (height === this.start.tip.height) return [{ tip: this.start.tip, rank: 0 }];
    const round = this.#rounds.get(height);
    if (round === undefined) return [];
    return [...round.notarized.keys()].map((key) => {
      const proposal = round.proposals.get(key) as Proposal;
      return { tip: tipOf(proposal.block, proposal.hash), rank: proposal.block.rank };
    });
  }

  /** Blocks from `hash` at `height` down to, but without, `floor`, or where the member started; nearest first. */
  chain(height: Height, hash: Uint8Array, floor: Height): readonly Block[] {
    return [...this.descend(height, hash, floor)];
  }

  /** The blocks of `chain`, each when it is looked at. */
  *descend(height: Height, hash: Uint8Array, floor: Height): Generator<Block, void> {
    let [at, wanted] = [height, hash];
    while (at > floor && at > this.start.tip.height) {
      const proposal = this.#rounds.get(at)?.proposals.get(toHex(wanted));
      assert(proposal !== undefined, `the parent at height ${at} of a block in the pool is missing`);
      yield proposal.block;
      wanted = proposal.block.parent;
      at--;
    }
  }

  addNotarization(vote: Vote): void {
    const round = this.round(vote.height);
    round.notarized.set(toHex(vote.hash), vote);
    if (vote.height > this.notarizedHeight) this.notarizedHeight = vote.height;
  }

  /** A finalized block finalizes those below it. */
  addFinalization(vote: Vote): void {
    const round = this.round(vote.height);
    const known = round.finalized;
    assert(known === null || equalBytes(known.hash, vote.hash), `two finalized blocks at ${vote.height}`);
    round.finalized = vote;
    if (vote.height <= this.#finalizedHeight) {
      const before = this.#finalChain.get(vote.height);
      assert(before === undefined || equalBytes(before.hash, vote.hash), `two chains at ${vote.height}`);
      return;
    }
    let [height, hash] = [vote.height, vote.hash];
    while (height > this.#finalizedHeight) {
      const proposal = this.round(height).proposals.get(toHex(hash));
      assert(proposal !== undefined, `the finalized block at ${height} is missing`);
      this.#finalChain.set(height, proposal);
      this.#forgetRivals(height, proposal);
      hash = proposal.block.parent;
      height--;
    }
    const below = height === this.start.tip.height ? this.start.tip.hash : this.#finalChain.get(height)?.hash;
    assert(
      below === undefined || equalBytes(below, hash),
      `the chain finalized at ${vote.height} leaves the one at ${height}`,
    );
    this.#finalizedHeight = vote.height;
  }

  finalizedAt(height: Height): Proposal | null {
    return this.#finalChain.get(height) ?? null;
  }

  /**
   * The pool from a catch-up package on. What is known of the heights above stays: all of it was judged under the same beacons, and what
   * this member signed must never be forgotten. Blocks stay where the package's is below them.
   */
  goOnFrom(start: Start): Pool {
    const { height, hash } = start.tip;
    const pool = new Pool(start);
    const continues = this.notarizedTip(height, hash) !== null;
    for (const [at, round] of this.#rounds) {
      if (at <= height) continue;
      if (!continues) {
        round.proposals.clear();
        round.notarized.clear();
        round.finalized = null;
      }
      pool.#rounds.set(at, round);
      const proposal = this.#finalChain.get(at);
      if (continues && proposal !== undefined) pool.#finalChain.set(at, proposal);
    }
    pool.beaconHeight = Math.max(height, this.beaconHeight);
    pool.certifiedHeight = Math.max(height, this.certifiedHeight);
    pool.catchUpHeight = Math.max(height, this.catchUpHeight);
    if (continues) {
      pool.notarizedHeight = Math.max(height, this.notarizedHeight);
      pool.#finalizedHeight = Math.max(height, this.#finalizedHeight);
    }
    return pool;
  }

  /** Forgets the heights below: they are behind a catch-up package. */
  forgetBelow(height: Height): void {
    this.#floor = Math.max(this.#floor, height - 1);
    for (const each of [...this.#rounds.keys()]) {
      if (each >= height) continue;
      this.#rounds.delete(each);
      this.#finalChain.delete(each);
    }
  }

  /** Of the heights up to one that is delivered and certified. */
  forgetShares(last: Height): void {
    for (; this.#sharesFrom <= last; this.#sharesFrom++) {
      const round = this.#rounds.get(this.#sharesFrom);
      if (round === undefined) continue;
      for (const kind of PASSING) clearShares(round, kind);
    }
  }

  /** Words for catch-up packages up to the newest. */
  forgetCatchUpShares(): void {
    for (const [height, round] of this.#rounds)
      if (height <= this.catchUpHeight) clearShares(round, "catch_up");
  }

  /** What a height needs no more once its block is final: other blocks, votes one by one, proofs. Names of what is gone. */
  #forgetRivals(height: Height, final: Proposal): void {
    const round = this.round(height);
    const key = toHex(final.hash);
    const gone: Artifact[] = [...round.equivocations.values()];
    for (const proposal of round.proposals.values()) if (proposal !== final) gone.push(proposal);
    for (const [hash, vote] of round.notarized) if (hash !== key) gone.push(vote);
    const notarization = round.notarized.get(key);
    round.proposals.clear();
    round.proposals.set(key, final);
    round.notarized.clear();
    if (notarization !== undefined) round.notarized.set(key, notarization);
    for (const each of [round.equivocations, round.firstSigned]) each.clear();
    for (const kind of ["notarization", "finalization"] as const) clearShares(round, kind);
    for (const artifact of gone) this.#needless.push({ height, id: artifactId(artifact) });
  }

  /** Names of wholes that are gone since the last call though their height is not. */
  takeNeedless(): readonly { readonly height: Height; readonly id: string }[] {
    return this.#needless.splice(0);
  }

  get rounds(): Iterable<Round> {
    return this.#rounds.values();
  }
}

export function tipOf(block: Block, hash: Uint8Array = blockHash(block)): Tip {
  const { height, context } = block;
  return {
    height,
    hash,
    time: context.time,
    certifiedHeight: context.certifiedHeight,
    registryVersion: context.registryVersion,
  };
}
