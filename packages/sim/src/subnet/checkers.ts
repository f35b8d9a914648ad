/**
 * Judges a run from outside, by what honest nodes delivered and certified and what clients were told: it knows nothing of how members
 * work. Safety: one block and one state at each height, every acknowledged message ordered, none twice. Liveness: heights grow.
 */
import { type Block, type Height, toHex } from "@orrery/base";
import type { MemberSizes, PoolSizes, Roles, Round } from "@orrery/consensus/member";

/** What votes are judged by. */
export interface VotedRound {
  readonly height: Height;
  readonly shares: Round["shares"];
  readonly proposals: { readonly size: number };
  readonly equivocations: { readonly size: number };
  readonly roles: Pick<Roles, "makers"> | null;
}

/** Of a member: how far it has come, and what it keeps. */
export interface Keeper {
  readonly delivered: Height;
  readonly pool: {
    readonly rounds: Iterable<VotedRound>;
    readonly certifiedHeight: Height;
    readonly finalizedHeight: Height;
    readonly beaconHeight: Height;
  };
}

/**
 * What a member may offer: wholes (certifications are as many as beacons), a package and two dealings an interval, of at least three
 * heights, and its own votes and shares of beacon, tape and certification where nothing is certified yet.
 */
function offeredMost(bounds: PoolSizes, members: number): number {
  const { proposals, notarizations, finalizations, beacons, tapes, equivocationProofs } = bounds;
  const { notarizationShares, finalizationShares, catchUpShares } = bounds;
  const wholes = proposals + notarizations + finalizations + 3 * beacons + tapes + equivocationProofs;
  return wholes + (notarizationShares + 4 * finalizationShares + catchUpShares) / members;
}

export interface Delivery {
  readonly node: number;
  readonly height: Height;
  readonly hash: Uint8Array;
  readonly block: Block;
}

export class Checkers {
  readonly #blocks = new Map<
    Height,
    { readonly hash: string; readonly node: number; readonly block: Block }
  >();
  readonly #roots = new Map<Height, string>();
  readonly #wholes = new Map<Height, string>();
  /** Messages by the height that has them, from whichever node delivered that first. */
  readonly #ordered = new Map<string, Height>();
  readonly #violations: string[] = [];
  /** Nodes whose state broke, with the first height that is wrong, until they have a right one again. */
  readonly corrupted: Map<number, Height> = new Map();
  readonly everCorrupted: Set<number> = new Set();
  /** States that were broken, found and replaced. */
  healings = 0;

  get violations(): readonly string[] {
    return this.#violations;
  }

  /** Those that anybody delivered, as they came. */
  get blocks(): readonly Block[] {
    return [...this.#blocks.values()].map(({ block }) => block);
  }

  get height(): Height {
    return this.#blocks.size;
  }

  delivered({ node, height, hash, block }: Delivery): void {
    const text = toHex(hash);
    const known = this.#blocks.get(height);
    if (known !== undefined) {
      if (known.hash !== text)
        this.#violations.push(`nodes ${known.node} and ${node} finalized different blocks at ${height}`);
      return;
    }
    this.#blocks.set(height, { hash: text, node, block });
    this.#follows(height, block);
    for (const message of block.payload.ingress) {
      const id = toHex(message);
      const before = this.#ordered.get(id);
      if (before !== undefined) this.#violations.push(`a message of ${before} is ordered again at ${height}`);
      this.#ordered.set(id, height);
    }
  }

  /** A violation that somebody else found. */
  report(violation: string): void {
    this.#violations.push(violation);
  }

  #follows(height: Height, { parent, context }: Block): void {
    const before = this.#blocks.get(height - 1);
    if (before === undefined) return;
    const { context: last } = before.block;
    if (toHex(parent) !== before.hash) this.#violations.push(`the block at ${height} has another parent`);
    if (context.time <= last.time) this.#violations.push(`time does not increase at ${height}`);
    if (context.certifiedHeight < last.certifiedHeight || context.certifiedHeight >= height)
      this.#violations.push(`the certified height is wrong at ${height}`);
    if (context.registryVersion < last.registryVersion)
      this.#violations.push(`the registry version decreases at ${height}`);
  }

  /** An honest node says that another one misbehaves. */
  blamed(node: number, member: number, why: string): void {
    if (!this.everCorrupted.has(node) && !this.everCorrupted.has(member))
      this.#violations.push(`node ${node} blames the honest node ${member}: ${why}`);
  }

  executed(node: number, height: Height, rootHash: Uint8Array): void {
    const wrongFrom = this.corrupted.get(node);
    if (wrongFrom === undefined) this.#root(height, rootHash, `node ${node} executed`);
    else if (height >= wrongFrom && this.#roots.get(height) === toHex(rootHash)) this.healed(node);
  }

  /** Of everything that a state is made of, seen by clients or not. */
  whole(node: number, height: Height, stateHash: Uint8Array): void {
    if (this.corrupted.has(node)) return;
    const text = toHex(stateHash);
    const known = this.#wholes.get(height);
    if (known === undefined) this.#wholes.set(height, text);
    else if (known !== text) this.#violations.push(`node ${node} has another whole state at ${height}`);
  }

  certified(node: number, height: Height, rootHash: Uint8Array): void {
    this.#root(height, rootHash, `node ${node} certified`);
  }

  /** A node was told by a quorum that its state is another one. */
  diverged(node: number, height: Height): void {
    if (!this.corrupted.has(node))
      this.#violations.push(
        `node ${node} is told that its state of ${height} is another one than a quorum's`,
      );
  }

  /** A node's state breaks, from a height on. */
  corrupts(node: number, height: Height): void {
    this.corrupted.set(node, height);
    this.everCorrupted.add(node);
  }

  /** A node took another's state, or computed it anew. */
  healed(node: number): void {
    if (this.corrupted.delete(node)) this.healings++;
  }

  #root(height: Height, rootHash: Uint8Array, what: string): void {
    const text = toHex(rootHash);
    const known = this.#roots.get(height);
    if (known === undefined) this.#roots.set(height, text);
    else if (known !== text) this.#violations.push(`${what} another state at ${height}`);
  }

  /** What nodes keep, those that are up. */
  sizes(
    nodes: readonly {
      readonly index: number;
      readonly member: (Keeper & { readonly sizes: MemberSizes }) | null;
    }[],
    limits: { readonly bounds: PoolSizes; readonly members: number },
  ): void {
    for (const { index, member } of nodes) {
      if (member === null) continue;
      this.kept(index, member.sizes, limits);
      this.votes(index, member);
    }
  }

  /** What a node keeps, against what it may in a subnet of that many members. */
  kept(node: number, sizes: MemberSizes, { bounds, members }: { bounds: PoolSizes; members: number }): void {
    for (const [what, most] of Object.entries(bounds) as [keyof PoolSizes, number][]) {
      if (sizes[what] > most) this.#violations.push(`node ${node} keeps ${sizes[what]} ${what} of ${most}`);
    }
    // From the oldest height that is kept to the newest at which others can be of use.
    if (sizes.rounds > bounds.beacons + 2)
      this.#violations.push(`node ${node} keeps ${sizes.rounds} rounds of ${bounds.beacons + 2}`);
    const offered = offeredMost(bounds, members);
    if (sizes.published > offered)
      this.#violations.push(`node ${node} offers ${sizes.published} artifacts of ${offered}`);
  }

  /** Votes that a node keeps of one member at one height: no more than there are makers. Of what is final one block, shares of what is over: none. */
  votes(node: number, { pool, delivered }: Keeper): void {
    const past = Math.min(pool.certifiedHeight, pool.finalizedHeight, pool.beaconHeight, delivered);
    for (const { height, shares, roles, proposals, equivocations } of pool.rounds) {
      if (height <= pool.finalizedHeight && (proposals.size > 1 || equivocations.size > 0))
        this.#violations.push(`node ${node} keeps more than the final block of ${height}`);
      const { catch_up: _longer, ...all } = shares;
      if (height <= past && Object.values(all).some(({ size }) => size > 0))
        this.#violations.push(`node ${node} keeps shares of ${height}, which is over`);
      const counts = new Map<number, number>();
      for (const signers of shares.notarization.values())
        for (const signer of signers.keys()) counts.set(signer, (counts.get(signer) ?? 0) + 1);
      if (roles !== null && Math.max(0, ...counts.values()) > roles.makers.length)
        this.#violations.push(`node ${node} keeps more votes of one member than makers at ${height}`);
    }
  }

  /** A client was told that its message is executed. */
  acknowledged(message: Uint8Array): void {
    if (!this.#ordered.has(toHex(message))) this.#violations.push("an acknowledged message is in no block");
  }

  /** How many of these are in no block. */
  missing(messages: readonly Uint8Array[]): number {
    return messages.filter((message) => !this.#ordered.has(toHex(message))).length;
  }
}
