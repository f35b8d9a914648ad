/**
 * One member of a subnet that agrees on blocks: a pure step from inputs to effects, the same for the same inputs. Invariants: what is
 * published was persisted; nothing is signed twice in different ways, over restarts too; delivered blocks are consecutive and final;
 * what one misbehaving member can make this one keep is bounded.
 */
import { assert, type Height, type TimeNs } from "@orrery/base";
import { decodeSummary } from "../summary-codec.ts";
import { aggregate } from "./aggregate.ts";
import { type Artifact, type CatchUpPackage, catchUpHash, heightOf, isPart } from "./artifacts.ts";
import { CHAIN_KEPT, type MemberSizes, sizesOf } from "./bounds.ts";
import { aggregateCatchUp, catchUpOf, newestCatchUp, startOf } from "./catch-up.ts";
import { deal } from "./dealings.ts";
import {
  currentRound,
  type DutyView,
  finalize,
  makeBlock,
  nextTurn,
  notarize,
  shareBeacon,
  shareTapes,
  thresholdShare,
} from "./duties.ts";
import { isOneOfFew } from "./few.ts";
import { Intake } from "./intake.ts";
import { place } from "./placing.ts";
import { Pool, type Start } from "./pool.ts";
import { Publications } from "./publications.ts";
import { type Place, type Schedule, scheduleOf } from "./schedule.ts";
import { CLOCKS_APART_NS, isForgetful } from "./silence.ts";
import { OwnStates } from "./states.ts";
import type { Kept, MemberEffect, MemberEnvironment, MemberInput } from "./types.ts";
import type { ValidationView } from "./validate.ts";
import { isSuperseded, OwnReach, standsStill } from "./versions.ts";

type View = DutyView & Pick<ValidationView, "delivered" | "doubted">;

/** Each turn adds something to the pool; far more of it than one input can lead to. */
const SETTLING_TURNS_MAX = 100_000;

const NOTHING: readonly MemberEffect[] = [];

export class Member {
  readonly #environment: MemberEnvironment;
  #pool: Pool;
  #now: TimeNs;
  #delivered: Height;
  readonly #intake: Intake;
  readonly #states: OwnStates;
  readonly #publications = new Publications();
  /** Height of the state that is being fetched: nothing is delivered meanwhile. */
  #syncing: Height | null = null;
  readonly #schedule: Schedule;
  readonly #reach: OwnReach;
  /** Summaries up to this height are in the schedule. */
  #scheduled: Height;
  readonly #dirty = new Set<Height>();
  readonly #doubted = new Set<number>();
  #newestPackage: CatchUpPackage | null;
  /** Of a member that does not know what it signed: until a package is later. */
  readonly #silentUntil: TimeNs | null;
  /** Height of the package whose state took the place of one that had diverged. */
  #healedFrom: Height | null = null;
  /** Effects of the step; before the first one, of the start. */
  #effects: MemberEffect[] = [];
  /** Of `nextTime`, as long as nothing changed. */
  #next: TimeNs | null | undefined;
  /** Something was learnt that has no effect of its own. */
  #progress = false;

  /** `kept`: what the disk has after a restart; nothing for a member that is new. */
  constructor(environment: MemberEnvironment, start: Start, kept?: Kept) {
    this.#environment = environment;
    this.#intake = new Intake({
      view: () => this.#view(),
      add: (artifact, isUnproved) => this.#add(artifact, isUnproved),
      blame: this.#blame,
    });
    const artifacts = kept?.artifacts ?? [];
    const newest = newestCatchUp(artifacts);
    this.#newestPackage = newest;
    this.#silentUntil = kept?.lostAt === undefined ? null : kept.lostAt + CLOCKS_APART_NS;
    const from = newest === null ? start : startOf(newest);
    const { height } = from.tip;
    this.#pool = new Pool(from);
    this.#now = from.tip.time;
    this.#delivered = height;
    this.#states = new OwnStates(height);
    this.#schedule = scheduleOf(environment, height, from.summary ?? null);
    this.#reach = new OwnReach(environment, height, from.summary);
    this.#scheduled = height;
    for (const artifact of artifacts) {
      if (heightOf(artifact) > height) this.#put(artifact);
      else if (isPart(artifact)) continue;
      // Of shares its own are kept alone.
      this.#publish(artifact);
    }
    // It went down before the state of the package was here.
    if (newest !== null && (this.isSuperseded || (kept?.stateHeight ?? height) < height)) this.#fetch(newest);
  }

  get delivered(): Height {
    return this.#delivered;
  }

  /** That was signed; null before the first. */
  get newestPackage(): CatchUpPackage | null {
    return this.#newestPackage;
  }

  /** For those who watch from outside: not to be changed. */
  get pool(): Pool {
    return this.#pool;
  }

  /** Who takes part at a height, as far as that is final. */
  place(height: Height): Place | null {
    return this.#schedule.at(height);
  }

  readonly nodeIdsAt: Schedule["nodeIdsAt"] = (height) => this.#schedule.nodeIdsAt(height);
  readonly intervalOf: Schedule["intervalOf"] = (height) => this.#schedule.intervalOf(height);

  /** How much is kept. */
  get sizes(): MemberSizes {
    const { count: waiting, bytes: waitingBytes } = this.#intake.use;
    return { ...sizesOf(this.#pool), waiting, waitingBytes, published: this.#publications.count };
  }

  /** It signs nothing. */
  get isSilent(): boolean {
    return this.isSuperseded || isForgetful(this.#silentUntil, this.#newestPackage);
  }

  /** Most of the others is one share of many: neither it nor the time since the last step gives this member something to do. */
  #isIdleAfter(artifact: Artifact, next: TimeNs | null): boolean {
    if (this.#effects.length > 0 || !isOneOfFew(this.#view(), artifact)) return false;
    return next === null || this.#now < next;
  }

  /** When time alone gives it something to do; null when it does not. */
  nextTime(): TimeNs | null {
    if (this.#next === undefined) this.#next = this.#computeNext();
    return this.#next;
  }

  #computeNext(): TimeNs | null {
    const view = this.#view();
    const round = this.isSilent ? null : currentRound(view);
    const turn = round === null ? null : nextTurn(view, round);
    const block = this.#intake.nextTime();
    return turn === null || (block !== null && block < turn) ? block : turn;
  }

  /** `now`: the clock's time where the host has it at hand, as if it had come just before. */
  step(input: MemberInput, now: TimeNs = this.#now): readonly MemberEffect[] {
    const time = input.kind === "time" ? input.now : now;
    // Before the clock moves: what is due then is no next turn any more.
    const next = input.kind === "artifact" ? this.nextTime() : null;
    // Clocks are set back at times: the time of consensus stands still then.
    if (time > this.#now) this.#now = time;
    switch (input.kind) {
      case "time":
        break;
      case "artifact":
        // Most of what comes has come from somebody else before.
        if (!this.#intake.receive(input.artifact, input.from) || this.#isIdleAfter(input.artifact, next))
          return NOTHING;
        break;
      case "executed":
        this.#executed(input.height, input.rootHash);
        break;
      case "checkpointed":
        this.#checkpointed(input.height, input.stateHash);
        break;
      case "synced":
        if (this.#syncing !== input.height) break;
        this.#syncing = null;
        this.#states.adopt(input.height);
        break;
    }
    this.#next = undefined;
    this.#settle();
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** The subnet stands still: it has a catch-up package after which nothing is ordered as long as the registry says so. */
  get isHalted(): boolean {
    return standsStill(this.#environment, this.#newestPackage);
  }

  /** What comes after its newest package is for another version of the program. */
  get isSuperseded(): boolean {
    return isSuperseded(this.#environment, this.#newestPackage);
  }

  #view(): View {
    return {
      pool: this.#pool,
      environment: this.#environment,
      now: this.#now,
      executed: this.#states.height,
      schedule: this.#schedule,
      isHalted: this.isHalted,
      delivered: this.#delivered,
      doubted: this.#doubted,
    };
  }

  #executed(height: Height, rootHash: Uint8Array): void {
    // Of a life before a package.
    if (this.#syncing !== null) return;
    assert(height <= this.#delivered, `height ${height} was executed and not delivered`);
    const certified = this.#pool.peek(height)?.certification?.content ?? null;
    if (!this.#states.execute(height, rootHash, certified)) this.#diverge(height);
    if (this.#syncing !== null || height <= this.#pool.certifiedHeight || this.#states.isDiverged) return;
    if (this.isSilent) return;
    const share = thresholdShare(this.#view(), height, "certification", rootHash);
    if (share !== null) this.#add(share);
  }

  #checkpointed(height: Height, stateHash: Uint8Array): void {
    if (this.#syncing !== null) return;
    if (!this.#states.checkpoint(height, stateHash, this.#pool.catchUpHeight)) this.#diverge(height);
  }

  /** A quorum has another state: back to the newest package, once; whoever diverges again waits for the next. */
  #diverge(height: Height): void {
    this.#effects.push({ kind: "diverged", height });
    const newest = this.#newestPackage;
    if (newest === null || newest.height === this.#healedFrom || this.isSuperseded) return;
    this.#healedFrom = newest.height;
    this.#startAgain(newest);
  }

  /** Goes on until nothing follows from anything any more. */
  #settle(): void {
    for (let turns = 0; ; turns++) {
      assert(turns < SETTLING_TURNS_MAX, `consensus does not settle at height ${this.#pool.notarizedHeight}`);
      const before = this.#effects.length;
      this.#progress = false;
      this.#intake.judgeWaiting();
      this.#aggregate();
      this.#doDuties();
      this.#shareCatchUp();
      this.#deliver();
      this.#retract();
      if (this.#effects.length === before && !this.#progress && !this.#intake.takeLearnt()) break;
    }
    for (const from of this.#intake.tidy()) this.#effects.push({ kind: "again", from });
  }

  #aggregate(): void {
    const heights = [...this.#dirty].sort((a, b) => a - b);
    this.#dirty.clear();
    for (const height of heights)
      for (const whole of aggregate(this.#view(), height, this.#blame)) this.#add(whole);
  }

  readonly #blame = (peer: number, why = "the signature of its share is wrong"): void => {
    this.#doubted.add(peer);
    this.#effects.push({ kind: "misbehaved", peer, why });
  };

  #doDuties(): void {
    if (this.isSilent) return;
    const view = this.#view();
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
    for (const dealing of deal(view)) this.#add(dealing);
  }

  /** Its word for the next package, and the package once a quorum's words are here. */
  #shareCatchUp(): void {
    if (this.#syncing !== null || this.#states.isDiverged) return;
    for (const [height, stateHash] of [...this.#states.wholes]) {
      const pool = this.#pool;
      const catchUp = height > pool.catchUpHeight ? catchUpOf(this.#view(), height, stateHash) : null;
      if (catchUp === null) continue;
      const content = catchUpHash(catchUp);
      const share = this.isSilent ? null : thresholdShare(this.#view(), height, "catch_up", content);
      if (share !== null) this.#add(share);
      const whole = aggregateCatchUp(this.#view(), catchUp, content, this.#blame);
      if (whole !== null) this.#add(whole);
    }
  }

  /** Goes on from a package: from its state too, where this member has not come as far or has come to another. */
  #catchUp(catchUp: CatchUpPackage): void {
    const { height, stateHash } = catchUp;
    this.#newestPackage = catchUp;
    const isSame = this.#states.package(height, stateHash);
    if (!isSame) this.#effects.push({ kind: "diverged", height });
    this.#pool.catchUpHeight = height;
    this.#pool.forgetCatchUpShares();
    if (this.isSuperseded) this.#fetch(catchUp);
    else if (height > this.#delivered || this.#states.isDiverged) this.#startAgain(catchUp);
    const below = height - CHAIN_KEPT;
    this.#takeBack(this.#publications.takeBelow(below));
    this.#pool.forgetBelow(below);
    this.#schedule.forget(below);
    this.#effects.push({ kind: "purge", below });
  }

  #startAgain(catchUp: CatchUpPackage): void {
    const start = startOf(catchUp);
    this.#pool = this.#pool.goOnFrom(start);
    this.#delivered = catchUp.height;
    if (start.summary !== undefined) this.#schedule.begin(catchUp.height, start.summary);
    this.#reach.begin(catchUp.height, start.summary);
    this.#scheduled = catchUp.height;
    this.#learnSummaries();
    this.#fetch(catchUp);
  }

  /** The state of a package is of use to the program that goes on from it. */
  #fetch(catchUp: CatchUpPackage): void {
    const kind = this.isSuperseded ? "superseded" : "sync";
    if (kind === "sync") this.#syncing = catchUp.height;
    this.#effects.push({ kind, catchUp });
  }

  #deliver(): void {
    if (this.#syncing !== null) return;
    for (;;) {
      const height = this.#delivered + 1;
      if (this.#reach.ends(height)) return;
      const proposal = this.#pool.finalizedAt(height);
      const tape = this.#pool.peek(height)?.tape ?? null;
      if (proposal === null || tape === null) return;
      this.#delivered = height;
      const maker = this.nodeIdsAt(height)?.[proposal.signer];
      this.#effects.push({ kind: "deliver", block: proposal.block, tape, ...(maker && { maker }) });
    }
  }

  /** Shares of what is certified help nobody any more: a quorum is past it. */
  #retract(): void {
    const { certifiedHeight, finalizedHeight, beaconHeight, catchUpHeight } = this.#pool;
    const past = Math.min(certifiedHeight, finalizedHeight, beaconHeight, this.#delivered);
    this.#takeBack(this.#publications.takeShares(past));
    this.#takeBack(this.#publications.takeCatchUpShares(catchUpHeight));
    for (const { height, id } of this.#pool.takeNeedless()) {
      if (this.#publications.take(height, id)) this.#takeBack([id]);
    }
    this.#pool.forgetShares(past);
  }

  #takeBack(ids: readonly string[]): void {
    for (const id of ids) this.#effects.push({ kind: "retract", id });
  }

  /** Into the pool; onto the disk and to others what is whole or this member's own. */
  #add(artifact: Artifact, isUnproved = false): void {
    this.#put(artifact, isUnproved);
    this.#progress = true;
    if (!isPart(artifact) || artifact.signer === this.#schedule.at(heightOf(artifact))?.self) {
      this.#effects.push({ kind: "persist", artifact });
      this.#publish(artifact);
    }
    if (artifact.kind === "catch_up") this.#catchUp(artifact);
    if (artifact.kind !== "certification") return;
    this.#effects.push({ kind: "certified", certification: artifact });
    const { height, content } = artifact;
    if (!this.#states.certify(height, content)) this.#diverge(height);
  }

  #publish(artifact: Artifact): void {
    this.#publications.add(artifact);
    this.#effects.push({ kind: "publish", artifact });
  }

  #put(artifact: Artifact, isUnproved = false): void {
    const height = heightOf(artifact);
    if (artifact.kind === "catch_up" || height <= this.#pool.start.tip.height) return;
    this.#dirty.add(height);
    if (artifact.kind === "beacon") this.#dirty.add(height + 1);
    place(this.#pool, artifact, isUnproved);
    if (artifact.kind === "finalization") this.#learnSummaries();
  }

  #learnSummaries(): void {
    for (; this.#scheduled < this.#pool.finalizedHeight; this.#scheduled++) {
      const height = this.#scheduled + 1;
      const summary = this.#pool.finalizedAt(height)?.block.payload.summary;
      if (summary !== undefined) this.#schedule.begin(height, decodeSummary(summary));
      if (summary !== undefined) this.#reach.learn(height, decodeSummary(summary));
    }
  }
}
