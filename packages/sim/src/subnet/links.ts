/**
 * The ways between the nodes of a simulated subnet: how long a message takes, what is lost and comes again, which nodes are cut off from which,
 * and who is slow. Draws from the run's randomness in the order of what happens.
 */
import type { Height } from "@orrery/base";
import { type Artifact, heightOf } from "@orrery/consensus/member";
import { drawnBetween, type Random } from "../random.ts";
import type { FaultPlan } from "./faults.ts";
import type { Tally } from "./tally.ts";

/** Until what was not received is sent again. */
export const RESEND_NS: bigint = 250_000_000n;
/** Where nothing else is said. */
const USUAL_DELAY_NS: bigint = 5_000_000n;
/** A message that others overtake takes so many times as long. */
const OVERTAKEN_TIMES = 4n;

/** Heights whose shapes are remembered. */
const PARTED_MAX = 100;

interface Cut {
  readonly side: ReadonlySet<number>;
  /** Only what the side sends is held up. */
  readonly isOneWay: boolean;
}

/** What is said of one height crosses no side until then. */
interface Parted {
  readonly side: ReadonlySet<number>;
  readonly until: bigint;
}

interface Message {
  readonly artifact: Artifact;
  readonly now: bigint;
}

export class Links {
  readonly #faults: FaultPlan;
  readonly #random: Random;
  readonly #tally: Tally;
  #cut: Cut | null = null;
  readonly #parted = new Map<Height, Parted>();
  readonly #slow = new Set<number>();
  /** Numbers of the messages of each link as they leave, and the highest that came. */
  readonly #left = new Map<number, number>();
  readonly #came = new Map<number, number>();
  isFaulty = true;

  constructor(faults: FaultPlan, random: Random, tally: Tally) {
    this.#faults = faults;
    this.#random = random;
    this.#tally = tally;
  }

  get isCut(): boolean {
    return this.#cut !== null;
  }

  cut(side: ReadonlySet<number>, isOneWay: boolean): void {
    this.#cut = { side, isOneWay };
    this.#tally.note(isOneWay ? "asymmetric-partition" : "partition");
  }

  mend(): void {
    this.#cut = null;
  }

  /** The shape of a round, as scenarios of twins have it. */
  part(height: Height, side: ReadonlySet<number>, until: bigint): void {
    for (const old of this.#parted.keys()) if (old < height - PARTED_MAX) this.#parted.delete(old);
    this.#parted.set(height, { side, until });
  }

  isParted(height: Height): boolean {
    return this.#parted.has(height);
  }

  slow(node: number): void {
    this.#slow.add(node);
    this.#tally.note("slow-node");
  }

  hasten(node: number): void {
    this.#slow.delete(node);
  }

  hastenAll(): void {
    this.#slow.clear();
  }

  isSlow(node: number): boolean {
    return this.#slow.has(node);
  }

  /** Whether it is on the side that a partition was drawn for; of a partition one way, the words of those do not come. Null for all others. */
  cutOff(node: number): "both" | "muted" | null {
    const cut = this.#cut;
    if (cut === null || !cut.side.has(node)) return null;
    return cut.isOneWay ? "muted" : "both";
  }

  /** Whether what `from` sends does not come: anything, or a message of a height. */
  holds(from: number, to: number, message?: Message): boolean {
    if (message !== undefined && this.isFaulty && this.#parted.size > 0 && this.#isApart(from, to, message))
      return true;
    const cut = this.#cut;
    if (cut === null || cut.side.has(from) === cut.side.has(to)) return false;
    return !cut.isOneWay || cut.side.has(from);
  }

  #isApart(from: number, to: number, { artifact, now }: Message): boolean {
    const parted = this.#parted.get(heightOf(artifact));
    return parted !== undefined && now < parted.until && parted.side.has(from) !== parted.side.has(to);
  }

  /** On the way, ns; and the message's number on its link. */
  send(from: number, to: number): { readonly delayNs: bigint; readonly number: number } {
    const { delayNs: range, reorder, slowNs } = this.#faults;
    let delayNs = drawnBetween(this.#random, range);
    if (this.isFaulty && reorder > 0 && this.#random.chance(reorder)) delayNs *= OVERTAKEN_TIMES;
    if (delayNs > USUAL_DELAY_NS) this.#tally.note("delay");
    if (this.#slow.has(from) || this.#slow.has(to)) delayNs += slowNs;
    const link = from * 1_000 + to;
    const number = (this.#left.get(link) ?? 0) + 1;
    this.#left.set(link, number);
    return { delayNs, number };
  }

  /** Another copy comes: when, ns; null when none does. */
  again(): bigint | null {
    const { duplicate, delayNs } = this.#faults;
    if (!this.isFaulty || !this.#random.chance(duplicate)) return null;
    this.#tally.note("duplicate");
    return drawnBetween(this.#random, delayNs);
  }

  /** Whether a message is lost that a node would have had by now. */
  loses(): boolean {
    const isLost = this.isFaulty && this.#random.chance(this.#faults.loss);
    if (isLost) this.#tally.note("loss");
    return isLost;
  }

  /** It is there. */
  arrived(from: number, to: number, number: number): void {
    const link = from * 1_000 + to;
    const highest = this.#came.get(link) ?? 0;
    if (number < highest) this.#tally.note("reorder");
    else this.#came.set(link, number);
  }
}
