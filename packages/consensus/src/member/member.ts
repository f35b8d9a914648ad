/**
 * One member of a subnet that agrees on blocks: a pure step from inputs to effects, the same for the same inputs. Invariants: what is
 * published was persisted; nothing is signed twice in different ways, over restarts too; delivered blocks are consecutive and final.
 */
import { assert, compareBytes, equalBytes, type Height, type TimeNs, toHex } from "@orrery/base";
import { aggregate } from "./aggregate.ts";
import {
  type Artifact,
  artifactId,
  type CatchUpPackage,
  catchUpHash,
  type EquivocationProof,
  heightOf,
  type Proposal,
  type Vote,
} from "./artifacts.ts";
import { aggregateCatchUp, catchUpOf, newestCatchUp, startOf } from "./catch-up.ts";
import {
  currentRound,
  type DutyView,
  finalize,
  isOwn,
  makeBlock,
  nextTurn,
  notarize,
  shareBeacon,
  shareTapes,
  thresholdShare,
} from "./duties.ts";
import { isPlaced, place } from "./placing.ts";
import { Pool, type Start } from "./pool.ts";
import type { MemberEffect, MemberEnvironment, MemberInput } from "./types.ts";
import {
  check,
  checkBlock,
  checkMaker,
  checkSigners,
  checkVoted,
  isAhead,
  type ValidationView,
  type Verdict,
} from "./validate.ts";

/** Artifacts of one member that wait to be judged: all that an honest one can have published since a catch-up package. */
export const WAITING_PER_MEMBER_MAX = 20_000;

/** Each turn adds something to the pool; far more of it than one input can lead to. */
const SETTLING_TURNS_MAX = 100_000;

/** Heights kept below a catch-up package, for peers that are a little behind. */
const CHAIN_KEPT = 50;

interface Waiting {
  readonly artifact: Artifact;
  readonly from: number;
  /** Of proposals and votes: their signatures are good. */
  signed: boolean;
}

export class Member {
  readonly #environment: MemberEnvironment;
  pool: Pool;
  #now: TimeNs;
  #delivered: Height;
  readonly #waiting = new Map<string, Waiting>();
  readonly #waitingOf = new Map<number, number>();
  /** Blocks with a quorum's word that wait for themselves or their parents. */
  readonly #vouched = new Set<string>();
  /** The first signed proposal of each maker, by height and maker. */
  readonly #firstSigned = new Map<string, Proposal>();
  /** Of whole states, by catch-up height. */
  readonly #stateHashes = new Map<Height, Uint8Array>();
  /** Height of the state that is being fetched: nothing is delivered meanwhile. */
  #syncing: Height | null = null;
  #executedHeight: Height;
  readonly #dirty = new Set<Height>();
  /** Own shares that are published, by height. */
  readonly #said = new Map<Height, string[]>();
  /** Everything that is published, by height. */
  readonly #published = new Map<Height, string[]>();
  #effects: MemberEffect[] = [];

  /** `restored`: what was persisted, in its order. */
  constructor(environment: MemberEnvironment, start: Start, restored: readonly Artifact[] = []) {
    this.#environment = environment;
    const newest = newestCatchUp(restored);
    const from = newest === null ? start : startOf(newest);
    const { height } = from.tip;
    this.pool = new Pool(from);
    this.#now = from.tip.time;
    this.#delivered = height;
    this.#executedHeight = height;
    for (const artifact of restored) if (heightOf(artifact) > height) this.#put(artifact);
  }

  get delivered(): Height {
    return this.#delivered;
  }

  /** When time alone gives it something to do; null when it does not. */
  nextTime(): TimeNs | null {
    const view = this.#view();
    const round = currentRound(view);
    let next = round === null ? null : nextTurn(view, round);
    for (const { artifact } of this.#waiting.values()) {
      if (artifact.kind !== "proposal" || !isAhead(artifact, this.#now)) continue;
      const { time } = artifact.block.context;
      if (next === null || time < next) next = time;
    }
    return next;
  }

  step(input: MemberInput): readonly MemberEffect[] {
    this.#effects = [];
    switch (input.kind) {
      case "time":
        assert(input.now >= this.#now, "time went back");
        this.#now = input.now;
        break;
      case "artifact":
        this.#receive(input.artifact, input.from);
        break;
      case "executed":
        this.#executed(input.height, input.rootHash);
        break;
      case "checkpointed":
        this.#stateHashes.set(input.height, input.stateHash);
        break;
      case "synced":
        if (this.#syncing !== input.height) break;
        this.#syncing = null;
        this.#executedHeight = input.height;
        break;
    }
    this.#settle();
    return this.#effects;
  }

  #view(): ValidationView {
    return {
      pool: this.pool,
      environment: this.#environment,
      now: this.#now,
      executed: this.#executedHeight,
      delivered: this.#delivered,
      isVouchedFor: (height, hash) => this.#vouched.has(vouchKey(height, hash)),
    };
  }

  #receive(artifact: Artifact, from: number): void {
    const id = artifactId(artifact);
    if (this.#waiting.has(id) || isPlaced(this.pool, artifact)) return;
    const count = this.#waitingOf.get(from) ?? 0;
    if (count >= WAITING_PER_MEMBER_MAX) return;
    this.#waitingOf.set(from, count + 1);
    this.#waiting.set(id, { artifact, from, signed: false });
  }

  #executed(height: Height, rootHash: Uint8Array): void {
    // Of a life before a package.
    if (this.#syncing !== null) return;
    assert(height <= this.#delivered, `height ${height} was executed and not delivered`);
    this.#executedHeight = Math.max(this.#executedHeight, height);
    if (height <= this.pool.certifiedHeight) return;
    const share = thresholdShare(this.#environment, this.pool.round(height), "certification", rootHash);
    if (share !== null) this.#add(share);
  }

  /** Goes on until nothing follows from anything any more. */
  #settle(): void {
    for (let turns = 0; ; turns++) {
      assert(turns < SETTLING_TURNS_MAX, `consensus does not settle at height ${this.pool.notarizedHeight}`);
      const before = this.#effects.length;
      this.#judgeWaiting();
      this.#aggregate();
      this.#doDuties();
      this.#shareCatchUp();
      this.#deliver();
      this.#retract();
      if (this.#effects.length === before) return;
    }
  }

  #judgeWaiting(): void {
    const view = this.#view();
    for (const [id, waiting] of this.#waiting) {
      const verdict = this.#judge(view, waiting);
      if (verdict === "later") continue;
      this.#waiting.delete(id);
      this.#waitingOf.set(waiting.from, (this.#waitingOf.get(waiting.from) as number) - 1);
      if (verdict === "valid") {
        if (!isPlaced(this.pool, waiting.artifact)) this.#add(waiting.artifact);
      } else if (verdict !== "stale") {
        this.#effects.push({ kind: "misbehaved", member: waiting.from, why: verdict.invalid });
      }
    }
  }

  #judge(view: ValidationView, waiting: Waiting): Verdict {
    const { artifact } = waiting;
    if (artifact.kind === "proposal") {
      if (!waiting.signed) {
        const verdict = checkMaker(view, artifact);
        if (verdict !== "valid") return verdict;
        waiting.signed = true;
        this.#noteSigned(artifact);
      }
      return checkBlock(view, artifact);
    }
    if (isVote(artifact)) {
      if (!waiting.signed) {
        const verdict = checkSigners(view, artifact);
        if (verdict !== "valid") return verdict;
        waiting.signed = true;
        this.#vouched.add(vouchKey(artifact.height, artifact.hash));
      }
      return checkVoted(view, artifact);
    }
    return check(view, artifact as Exclude<typeof artifact, Vote>);
  }

  /** A second signed proposal of one maker is the proof against it. */
  #noteSigned(proposal: Proposal): void {
    const { block, signer, hash, signature } = proposal;
    const key = `${block.height}/${signer}`;
    const first = this.#firstSigned.get(key);
    if (first === undefined) {
      this.#firstSigned.set(key, proposal);
      return;
    }
    if (equalBytes(first.hash, hash)) return;
    const inOrder = compareBytes(first.hash, hash) < 0;
    const proof: EquivocationProof = {
      kind: "equivocation",
      height: block.height,
      signer,
      hashes: inOrder ? [first.hash, hash] : [hash, first.hash],
      signatures: inOrder ? [first.signature, signature] : [signature, first.signature],
    };
    if (!isPlaced(this.pool, proof)) this.#add(proof);
  }

  #aggregate(): void {
    const view = this.#view();
    const heights = [...this.#dirty].sort((a, b) => a - b);
    this.#dirty.clear();
    for (const height of heights) for (const whole of aggregate(view, height)) this.#add(whole);
  }

  #doDuties(): void {
    const view: DutyView = this.#view();
    const round = currentRound(view);
    if (round !== null) {
      const block = makeBlock(view, round);
      if (block !== null) this.#add(block);
      for (const share of notarize(view, round)) this.#add(share);
    }
    for (const share of finalize(view)) this.#add(share);
    const beacon = shareBeacon(view);
    if (beacon !== null) this.#add(beacon);
    for (const share of shareTapes(view, this.#delivered)) this.#add(share);
  }

  /** Its word for the next package, and the package once a quorum's words are here. */
  #shareCatchUp(): void {
    const { pool } = this;
    for (const [height, stateHash] of this.#stateHashes) {
      if (height <= pool.catchUpHeight) {
        this.#stateHashes.delete(height);
        continue;
      }
      const catchUp = catchUpOf(pool, height, stateHash);
      if (catchUp === null) continue;
      const content = catchUpHash(catchUp);
      const share = thresholdShare(this.#environment, pool.round(height), "catch_up", content);
      if (share !== null) this.#add(share);
      const whole = aggregateCatchUp(this.#view(), catchUp, content);
      if (whole !== null) this.#add(whole);
    }
  }

  /** Goes on from a package: from its state too, where this member has not come as far. */
  #catchUp(catchUp: CatchUpPackage): void {
    const { height } = catchUp;
    const own = this.#stateHashes.get(height);
    if (own !== undefined && !equalBytes(own, catchUp.stateHash))
      this.#effects.push({ kind: "diverged", height });
    this.pool.catchUpHeight = height;
    if (height > this.#delivered) this.#startAgain(catchUp);
    const below = height - CHAIN_KEPT;
    for (const [at, ids] of this.#published) {
      if (at >= below) continue;
      this.#published.delete(at);
      for (const id of ids) this.#effects.push({ kind: "retract", id });
    }
    for (const key of this.#firstSigned.keys()) {
      if (Number(key.split("/")[0]) < below) this.#firstSigned.delete(key);
    }
    this.pool.forgetBelow(below);
    this.#effects.push({ kind: "purge", below });
  }

  #startAgain(catchUp: CatchUpPackage): void {
    const kept = this.pool.artifactsAbove(catchUp.height);
    this.pool = new Pool(startOf(catchUp));
    this.#delivered = catchUp.height;
    this.#syncing = catchUp.height;
    this.#effects.push({ kind: "sync", catchUp });
    for (const artifact of kept)
      this.#waiting.set(artifactId(artifact), { artifact, from: this.#self, signed: false });
    this.#waitingOf.set(this.#self, kept.length);
  }

  get #self(): number {
    return this.#environment.config.self;
  }

  #deliver(): void {
    if (this.#syncing !== null) return;
    for (;;) {
      const height = this.#delivered + 1;
      const proposal = this.pool.finalizedAt(height);
      const tape = this.pool.peek(height)?.tape ?? null;
      if (proposal === null || tape === null) return;
      this.#delivered = height;
      this.#effects.push({ kind: "deliver", block: proposal.block, tape });
    }
  }

  /** Shares of what is certified help nobody any more: a quorum is past it. */
  #retract(): void {
    const { certifiedHeight, finalizedHeight, beaconHeight } = this.pool;
    const past = Math.min(certifiedHeight, finalizedHeight, beaconHeight, this.#delivered);
    for (const [height, ids] of this.#said) {
      if (height > past) continue;
      this.#said.delete(height);
      for (const id of ids) this.#effects.push({ kind: "retract", id });
      this.pool.forgetShares(height);
    }
  }

  /** Into the pool, onto the disk, and to others where it is not theirs to say. */
  #add(artifact: Artifact): void {
    this.#put(artifact);
    this.#effects.push({ kind: "persist", artifact });
    const isShare = artifact.kind.endsWith("_share");
    if (!isShare || isOwn(artifact, this.#self)) {
      const height = heightOf(artifact);
      this.#published.set(height, [...(this.#published.get(height) ?? []), artifactId(artifact)]);
      this.#effects.push({ kind: "publish", artifact });
    }
    if (artifact.kind === "catch_up") this.#catchUp(artifact);
    if (artifact.kind === "certification") this.#effects.push({ kind: "certified", certification: artifact });
  }

  #put(artifact: Artifact): void {
    const height = heightOf(artifact);
    if (artifact.kind === "catch_up" || height <= this.pool.start.tip.height) return;
    this.#dirty.add(height);
    if (isOwn(artifact, this.#self) && artifact.kind.endsWith("_share"))
      this.#said.set(height, [...(this.#said.get(height) ?? []), artifactId(artifact)]);
    if (isVote(artifact)) this.#vouched.delete(vouchKey(height, artifact.hash));
    if (artifact.kind === "beacon") this.#dirty.add(height + 1);
    place(this.pool, artifact);
  }
}

const vouchKey = (height: Height, hash: Uint8Array): string => `${height}/${toHex(hash)}`;

function isVote(artifact: Artifact): artifact is Vote {
  return artifact.kind === "notarization" || artifact.kind === "finalization";
}
