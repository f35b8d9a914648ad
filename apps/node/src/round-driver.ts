/**
 * When a node makes a block (docs/ARCHITECTURE.md "Rounds are driven by work"): as soon as there is work and the pipeline has room; for a
 * due instant that execution named (timers, the one-second grid of heartbeats, deadlines); when executions over rounds have come past
 * what a round would grant them; and for fresh time when somebody asks
 * after a pause. An idle network makes none, so a sleeping laptop's disk stays asleep. Time and scheduling come in from outside: no timers here.
 */
import type { Batch, Height, TimeNs } from "@orrery/base";
import type { LongExecutions, Wake } from "./protocol.ts";

/** Blocks handed to execution and not executed: one runs, one waits, so that execution never idles between rounds. */
export const PIPELINE_MAX = 2;
/** Blocks executed or executing whose log record is not durable: bounds what a power cut can force to be replayed by peers. */
export const UNDURABLE_MAX = 64;
/** Certified time older than this is renewed before an answer when nothing else is under way, which costs one empty round. */
export const FRESHNESS_NS = 1_000_000_000n;
/** Older than this nobody is answered even while a long round runs: clients refuse certificates older than minutes. */
export const STALENESS_MAX_NS = 60_000_000_000n;

/**
 * Executions over rounds get slices, and rounds wait for them, when they were behind for so long, wall time: none of them is kept from
 * going on by a worker that does not get a processor.
 */
export const HELD_MAX_NS = 10_000_000_000n;

export interface RoundInputs {
  readonly now: TimeNs;
  /** Messages and slices that wait for a block. */
  readonly poolSize: number;
}

export class RoundDriver {
  /** Last block handed out, executed, durable and published. */
  #made: Height;
  #executed: Height;
  #durable: Height;
  #published: Height;
  #lastTime: TimeNs;
  #publishedTime: TimeNs;
  /** Times of blocks made and not published, oldest first; at most `UNDURABLE_MAX + PIPELINE_MAX`. */
  #times: { readonly height: Height; readonly time: TimeNs }[] = [];
  #moreWork = true;
  /** Since the last round that left work behind. */
  #isRested = true;
  #nextTimer: TimeNs | null = null;
  #freshWanted = false;
  #long: LongExecutions = "none";
  /** The last block that gave slices: what was reported before it was executed says nothing about it. */
  #granted: Height;
  /** Since when slices are held back, as far as anybody asked. */
  #behindSince: TimeNs | null = null;

  constructor(tip: { readonly height: Height; readonly time: TimeNs }) {
    this.#made = tip.height;
    this.#granted = tip.height;
    this.#executed = tip.height;
    this.#durable = tip.height;
    this.#published = tip.height;
    this.#lastTime = tip.time;
    this.#publishedTime = tip.time;
  }

  get published(): Height {
    return this.#published;
  }

  get made(): Height {
    return this.#made;
  }

  /** Whether no block is handed out and not executed. */
  get isIdle(): boolean {
    return this.#made === this.#executed;
  }

  /** What the last round left behind waits until `onRested`: nobody outside waits for it, and who asks meanwhile waits for his own round only. */
  onRest(): void {
    this.#isRested = false;
  }

  onRested(): void {
    this.#isRested = true;
  }

  onMade({ height, time, holdsLong }: Pick<Batch, "height" | "time" | "holdsLong">): void {
    this.#made = height;
    if (this.#long !== "none" && holdsLong === undefined) {
      this.#granted = height;
      this.#long = "behind";
      this.#behindSince = null;
    }
    this.#lastTime = time;
    this.#times.push({ height, time });
    this.#freshWanted = false;
    this.#moreWork = false;
  }

  onExecuted(report: { readonly height: Height } & Wake): void {
    this.#executed = report.height;
    this.#moreWork = report.moreWork;
    this.#nextTimer = report.nextTimer;
    if (report.height >= this.#granted) this.#long = report.long;
    if (this.#long !== "behind") this.#behindSince = null;
  }

  /** Executions that were behind after the round at `height` are not any more. */
  onReady(height: Height): void {
    if (this.#long !== "behind" || height < this.#granted) return;
    this.#long = "ready";
    this.#behindSince = null;
  }

  /** Whether executions over rounds get no slices in the next block: its round would wait for their workers. */
  holdsLong(now: TimeNs): boolean {
    // What begins in the block before is not known of yet.
    if (this.#long === "none") return !this.isIdle;
    if (this.#long === "ready") return false;
    this.#behindSince ??= now;
    return now - this.#behindSince < HELD_MAX_NS;
  }

  onDurable(height: Height): void {
    this.#durable = height;
  }

  /** Heights that became durable and executed since the last call: `publish(h)` is due for each, in order. */
  takePublishable(): readonly Height[] {
    const upTo = Math.min(this.#executed, this.#durable);
    const heights: Height[] = [];
    for (let h = this.#published + 1; h <= upTo; h++) heights.push(h);
    this.#published = Math.max(this.#published, upTo);
    while (this.#times.length > 0 && (this.#times[0] as { height: Height }).height <= upTo) {
      this.#publishedTime = (this.#times.shift() as { time: TimeNs }).time;
    }
    return heights;
  }

  /**
   * Somebody is to be shown certified state: true when a publication must be awaited first for its time to be fresh. Asks for
   * a round where none is under way.
   */
  mustWaitForFresh(now: TimeNs): boolean {
    const age = now - this.#publishedTime;
    if (age <= FRESHNESS_NS) return false;
    if (now - this.#lastTime > FRESHNESS_NS) this.#freshWanted = true;
    return this.#made === this.#published || age > STALENESS_MAX_NS;
  }

  shouldMakeBlock(inputs: RoundInputs): boolean {
    if (this.#made - this.#executed >= PIPELINE_MAX || this.#made - this.#durable >= UNDURABLE_MAX)
      return false;
    if (inputs.poolSize > 0 || this.#freshWanted) return true;
    // Leftover work and timers are known only once everything handed out has been executed.
    if (!this.isIdle) return false;
    if ((this.#moreWork && this.#isRested) || (this.#long !== "none" && !this.holdsLong(inputs.now)))
      return true;
    return this.#nextTimer !== null && this.#nextTimer <= inputs.now;
  }

  /** When to look again without any event, or null. */
  nextWake(now: TimeNs): TimeNs | null {
    const overdue = this.#behindSince === null ? null : this.#behindSince + HELD_MAX_NS;
    const due =
      overdue === null || (this.#nextTimer !== null && this.#nextTimer < overdue) ? this.#nextTimer : overdue;
    return due === null ? null : due > now ? due : now;
  }
}
