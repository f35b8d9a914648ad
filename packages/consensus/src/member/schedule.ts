/**
 * Which heights begin intervals, and who takes part with which keys at each height. For subnets with key generation it follows the final
 * summary blocks; for subnets whose members and keys never change all heights are alike.
 */
import { equalBytes, type Height, type NodeId } from "@orrery/base";
import type { Epoch, Summary } from "../summary-codec.ts";
import type { MemberIndex } from "./artifacts.ts";
import { epochName } from "./summary.ts";
import type { MemberCrypto, MemberEnvironment } from "./types.ts";

/** A member's view of who takes part at a height. */
export interface Place {
  readonly members: number;
  /** Null for who looks on. */
  readonly self: MemberIndex | null;
  readonly crypto: MemberCrypto;
}

export interface Schedule {
  /** Null as long as the summary that says so is not final, or its keys are being opened. */
  at(height: Height): Place | null;
  /** Who takes part, in the order in which they are counted, keys or not; null where they never change, or nobody can know yet. */
  nodeIdsAt(height: Height): readonly NodeId[] | null;
  /** What the host calls the member that is counted so at a height; null where nobody can know. */
  peerOf(height: Height, member: MemberIndex): number | null;
  /** Whether the block of the height begins an interval; null as long as nobody can know. */
  isSummary(height: Height): boolean | null;
  /** The first height above that begins an interval; a lower bound of it as long as nobody can know. */
  nextSummary(height: Height): Height;
  /** In which a height is; null as long as nobody can know. */
  intervalOf(height: Height): { readonly start: Height; readonly length: number } | null;
  /** The height at which the interval of a height begins; null as long as nobody can know. */
  startOf(height: Height): Height | null;
  /** A summary block is final. */
  begin(start: Height, summary: Summary): void;
  /** Whether the height is below all that is known: its interval is over. */
  isForgotten(height: Height): boolean;
  /** Intervals that end below are over. */
  forget(below: Height): void;
}

/** Of members and keys that stay. */
export function fixedSchedule({ config, crypto }: MemberEnvironment): Schedule {
  const { members, self } = config;
  const place: Place = { members, self, crypto };
  const { catchUpInterval } = config.rules;
  const startOf = (height: Height): Height => height - (height % catchUpInterval);
  return {
    at: () => place,
    nodeIdsAt: () => null,
    peerOf: (_height, member) => member,
    isSummary: (height) => height % catchUpInterval === 0,
    nextSummary: (height) => startOf(height) + catchUpInterval,
    intervalOf: (height) => ({ start: startOf(height), length: catchUpInterval }),
    startOf,
    isForgotten: () => false,
    begin: () => {},
    forget: () => {},
  };
}

interface Interval {
  readonly start: Height;
  readonly length: number;
  readonly epoch: Epoch;
  readonly name: string;
}

class SummarySchedule implements Schedule {
  readonly #means: NonNullable<MemberEnvironment["intervals"]>;
  /** By ascending start, without gaps. */
  #intervals: Interval[] = [];
  readonly #places = new Map<string, Place>();

  constructor(means: NonNullable<MemberEnvironment["intervals"]>) {
    this.#means = means;
  }

  begin(start: Height, { length, nextLength, current, next }: Summary): void {
    this.#add(start, length, current);
    this.#add(start + length, nextLength, next ?? current);
  }

  #add(start: Height, length: number, epoch: Epoch): void {
    if (this.#intervals.some((interval) => interval.start === start)) return;
    this.#intervals.push({ start, length, epoch, name: epochName(epoch) });
    // Its keys are opened meanwhile: nothing waits for that when it begins.
    this.#means.dkg.load(epoch);
  }

  forget(below: Height): void {
    this.#intervals = this.#intervals.filter(({ start, length }) => start + length > below);
    const names = new Set(this.#intervals.map(({ name }) => name));
    for (const name of this.#places.keys()) if (!names.has(name)) this.#places.delete(name);
  }

  #of(height: Height): Interval | null {
    return this.#intervals.find(({ start, length }) => height >= start && height < start + length) ?? null;
  }

  at(height: Height): Place | null {
    const interval = this.#of(height);
    if (interval === null) return null;
    const { name } = interval;
    const known = this.#places.get(name);
    if (known !== undefined) return known;
    const crypto = this.#means.dkg.load(interval.epoch);
    if (crypto === "later") return null;
    const { members } = interval.epoch;
    const index = members.findIndex((member) => equalBytes(member, this.#means.nodeId));
    const self = index < 0 ? null : index;
    const place: Place = { members: members.length, self, crypto };
    this.#places.set(name, place);
    return place;
  }

  nodeIdsAt(height: Height): readonly NodeId[] | null {
    return this.#of(height)?.epoch.members ?? null;
  }

  peerOf(height: Height, member: MemberIndex): number | null {
    const nodeId = this.nodeIdsAt(height)?.[member];
    return nodeId === undefined ? null : this.#means.peerOf(nodeId);
  }

  isSummary(height: Height): boolean | null {
    const interval = this.#of(height);
    return interval === null ? null : interval.start === height;
  }

  nextSummary(height: Height): Height {
    const interval = this.#of(height);
    const last = this.#intervals.at(-1);
    if (interval !== null) return interval.start + interval.length;
    return last === undefined ? height + 1 : Math.max(height, last.start + last.length);
  }

  intervalOf(height: Height): Interval | null {
    return this.#of(height);
  }

  startOf(height: Height): Height | null {
    return this.#of(height)?.start ?? null;
  }

  isForgotten(height: Height): boolean {
    const [lowest] = this.#intervals;
    return lowest !== undefined && height < lowest.start;
  }
}

export function scheduleOf(environment: MemberEnvironment, start: Height, summary: Summary | null): Schedule {
  const { intervals } = environment;
  if (intervals === undefined || summary === null) return fixedSchedule(environment);
  const schedule = new SummarySchedule(intervals);
  schedule.begin(start, summary);
  return schedule;
}
