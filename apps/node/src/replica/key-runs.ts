/**
 * What comes of the keys that a subnet's members deal, as one of its replicas sees it in final blocks. An interval in which too few dealings came
 * together ends without keys, for its members or for a subnet that they create, and the next one tries again: nothing stops, so that
 * somebody has to say so.
 */
import type { Block, Height, Logger } from "@orrery/base";
import {
  type DealtKeys,
  decodeDealing,
  decodeSummary,
  type Epoch,
  type IntervalContext,
  intervalNeeded,
  neededOf,
  plannedIn,
  type Summary,
} from "@orrery/consensus/member";
import type { SubnetRegistry } from "../registry/registry.ts";

/** Keys that the last interval did not bring. */
export interface UnfinishedKeys {
  /** Whose: a subnet that is created, by its place; null: the members' own. */
  readonly creates: number | null;
  /** How many intervals in a row ended so. */
  readonly intervals: number;
  /** In the blocks of the last one, and how many it takes. */
  readonly dealings: number;
  readonly dealings_needed: number;
  /** Blocks of the last one, and what there should be. */
  readonly interval_length: number;
  readonly interval_needed: number;
}

export interface KeyRunsOptions {
  readonly registry: Pick<SubnetRegistry, "record">;
  /** With which the subnet began; null where its keys never change. */
  readonly first: Epoch | null;
  /** From one summary to the next, as it began. */
  readonly firstLength: number;
  readonly logger: Logger;
}

type Interval = Pick<IntervalContext, "registryVersion"> & {
  readonly summary: Pick<Summary, "length" | "created" | "current">;
};

const OWN: readonly DealtKeys[] = ["low", "high"];
const REMOTE: readonly DealtKeys[] = ["remote_low", "remote_high"];

export class KeyRuns {
  readonly #options: KeyRunsOptions;
  /** Null where blocks of it were not seen here. */
  #interval: Interval | null;
  #height: Height = 0;
  readonly #dealt = new Map<DealtKeys, number>();
  #unfinished: readonly UnfinishedKeys[] = [];

  constructor(options: KeyRunsOptions) {
    this.#options = options;
    const { first, firstLength: length } = options;
    this.#interval =
      first === null ? null : { registryVersion: first.registryVersion, summary: { length, current: first } };
  }

  get unfinished(): readonly UnfinishedKeys[] {
    return this.#unfinished;
  }

  /** A final block, each after the one below it; from a package on it goes on wherever that is. */
  heard({
    height,
    payload: { summary, dealings = [] },
    context,
  }: Pick<Block, "height" | "payload" | "context">): void {
    if (height !== this.#height + 1) this.#interval = null;
    this.#height = height;
    for (const bytes of dealings) {
      const { keys } = decodeDealing(bytes);
      this.#dealt.set(keys, (this.#dealt.get(keys) ?? 0) + 1);
    }
    if (summary === undefined) return;
    const decoded = decodeSummary(summary);
    if (this.#interval !== null) this.#close(this.#interval, decoded);
    this.#interval = { summary: decoded, registryVersion: context.registryVersion };
    this.#dealt.clear();
  }

  #close(interval: Interval, { next, created = [] }: Summary): void {
    const record = this.#options.registry.record(interval.registryVersion);
    const planned = record === null ? null : plannedIn(interval, record);
    const creates = planned === null || created.includes(planned.subnet) ? [] : [planned.subnet];
    this.#unfinished = [...(next === null ? [null] : []), ...creates].map((whose) =>
      this.#without(interval, whose, planned !== null),
    );
  }

  #without(
    { summary: { length, current } }: Interval,
    creates: number | null,
    room: boolean,
  ): UnfinishedKeys {
    const dealers = current.members.length;
    const runs = creates === null ? OWN : REMOTE;
    const before = this.#unfinished.find((each) => each.creates === creates);
    const unfinished: UnfinishedKeys = {
      creates,
      intervals: (before?.intervals ?? 0) + 1,
      dealings: runs.reduce((sum, keys) => sum + (this.#dealt.get(keys) ?? 0), 0),
      dealings_needed: runs.reduce((sum, keys) => sum + neededOf(keys, dealers), 0),
      interval_length: length,
      interval_needed: intervalNeeded(dealers, room),
    };
    const text = "an interval ended with too few dealings for the keys that were to come of it";
    this.#options.logger.log("warn", text, { ...unfinished, whose: creates ?? "the members" });
    return unfinished;
  }
}
