/**
 * What a member knows of each height: artifacts that it checked, by height. Invariants: everything here is valid; the parents of all
 * notarized blocks are here, down to the block that the member started from; the finalized blocks are one chain.
 */
import { assert, type Block, equalBytes, type Height, type TimeNs, toHex } from "@orrery/base";
import { blockHash } from "../step.ts";
import type {
  Artifact,
  EquivocationProof,
  HashKey,
  MemberIndex,
  Proposal,
  ThresholdSignature,
  Tip,
  Vote,
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
  readonly equivocations: Map<MemberIndex, EquivocationProof>;
}

export type ShareKind = keyof Round["shares"];

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
    equivocations: new Map(),
  };
}

/** Where a member begins: a block that everybody agrees on, with the beacon of its height. */
export interface Start {
  readonly tip: Tip;
  readonly beacon: Uint8Array;
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

  constructor(start: Start) {
    this.start = start;
    const { height } = start.tip;
    this.notarizedHeight = height;
    this.beaconHeight = height;
    this.#finalizedHeight = height;
    // Everybody agrees on the state that it begins with.
    this.certifiedHeight = height;
    this.catchUpHeight = height;
  }

  get finalizedHeight(): Height {
    return this.#finalizedHeight;
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

  /** Blocks from `hash` at `height` down to, but without, `floor`; nearest first. */
  chain(height: Height, hash: Uint8Array, floor: Height): readonly Block[] {
    const blocks: Block[] = [];
    let [at, wanted] = [height, hash];
    while (at > floor && at > this.start.tip.height) {
      const proposal = this.#rounds.get(at)?.proposals.get(toHex(wanted));
      assert(proposal !== undefined, `the parent at height ${at} of a block in the pool is missing`);
      blocks.push(proposal.block);
      wanted = proposal.block.parent;
      at--;
    }
    return blocks;
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

  /** Wholes of the heights above, in an order in which they can be judged again. */
  artifactsAbove(floor: Height): readonly Artifact[] {
    const heights = [...this.#rounds.keys()].filter((height) => height > floor).sort((a, b) => a - b);
    return heights.flatMap((height) => {
      const { proposals, notarized, finalized, beacon, tape, certification } = this.round(height);
      const single = [finalized, beacon, tape, certification].filter((artifact) => artifact !== null);
      return [...proposals.values(), ...notarized.values(), ...single];
    });
  }

  /** Forgets the heights below: they are behind a catch-up package. */
  forgetBelow(height: Height): void {
    for (const each of [...this.#rounds.keys()]) {
      if (each >= height) continue;
      this.#rounds.delete(each);
      this.#finalChain.delete(each);
    }
  }

  /** Words for a catch-up package, by member. */
  signaturesFor(height: Height, content: Uint8Array): readonly (readonly [MemberIndex, Uint8Array])[] {
    const signatures = this.#rounds.get(height)?.shares.catch_up.get(toHex(content));
    return [...(signatures ?? [])].sort(([a], [b]) => a - b);
  }

  /** Of a height that is finalized and certified. */
  forgetShares(height: Height): void {
    const round = this.#rounds.get(height);
    if (round === undefined) return;
    const { catch_up: _kept, ...past } = round.shares;
    for (const shares of Object.values(past)) shares.clear();
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
