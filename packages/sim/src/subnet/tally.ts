/** How often each fault took place in a run: what was asked for and never happened has tested nothing. */

export const WORLD_FAULTS = [
  "crash",
  "restart",
  "disk-loss",
  "torn-write",
  "partition",
  "asymmetric-partition",
  "delay",
  "loss",
  "reorder",
  "duplicate",
  "clock-skew",
  "slow-node",
  "lying-sync",
  "broken-state",
  "membership",
  "halt",
  "interval",
  "upgrade",
  "twins",
  "creation",
] as const;

/** Of the world around members, and of nodes that answer others; not of what members say. */
export type WorldFault = (typeof WORLD_FAULTS)[number];

export class Tally {
  readonly #counts = new Map<WorldFault, number>();

  note(fault: WorldFault, times = 1): void {
    this.#counts.set(fault, this.of(fault) + times);
  }

  of(fault: WorldFault): number {
    return this.#counts.get(fault) ?? 0;
  }
}
