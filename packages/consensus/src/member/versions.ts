/**
 * Which blocks are for another version of the program (consensus of the replica, "upgrades"): those after a summary that names it. This one
 * neither executes them nor signs anything once the summary's catch-up package is there; who is of that version goes on from the package.
 */
import type { Height } from "@orrery/base";
import { decodeSummary, type Summary } from "../summary-codec.ts";
import type { CatchUpPackage } from "./artifacts.ts";
import type { MemberEnvironment } from "./types.ts";

type Environment = Pick<MemberEnvironment, "intervals">;

/** Whether what comes after a summary is for another program; none: after the genesis. */
export function isForOther({ intervals }: Environment, summary: Summary | undefined): boolean {
  return intervals !== undefined && !intervals.runs(summary?.replicaVersion);
}

/** Of the newest package; null: of the genesis. */
export function isSuperseded(environment: Environment, newest: CatchUpPackage | null): boolean {
  const summary = newest?.block.payload.summary;
  return isForOther(environment, summary === undefined ? undefined : decodeSummary(summary));
}

/** Whether the registry lets a subnet stand still at a package that says so. */
export function standsStill(
  { intervals, registryVersion }: Pick<MemberEnvironment, "intervals" | "registryVersion">,
  newest: CatchUpPackage | null,
): boolean {
  const summary = newest?.block.payload.summary;
  if (intervals === undefined || summary === undefined || !decodeSummary(summary).halts) return false;
  return intervals.record(registryVersion())?.halts ?? false;
}

/** How far this program goes. */
export class OwnReach {
  readonly #environment: Environment;
  /** Of the lowest summary that names another version. */
  #last: Height | null = null;

  /** `summary`: of the block of the height at which this program begins. */
  constructor(environment: Environment, height: Height, summary: Summary | undefined) {
    this.#environment = environment;
    this.begin(height, summary);
  }

  /** Goes on from this summary, whatever was known. */
  begin(height: Height, summary: Summary | undefined): void {
    this.#last = null;
    this.learn(height, summary);
  }

  /** A final one, above all that are known. */
  learn(height: Height, summary: Summary | undefined): void {
    if (this.#last === null && isForOther(this.#environment, summary)) this.#last = height;
  }

  /** Whether the block is for another program. */
  ends(height: Height): boolean {
    return this.#last !== null && height > this.#last;
  }
}
