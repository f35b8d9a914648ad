/**
 * How often a node whose state is not its subnet's takes the subnet's state in place of its own. A fault that was one of a moment is healed by
 * the first time; a node that comes to another state again and again has something wrong that no state mends, and would load its peers for
 * ever: it waits longer before each time, and stops in the end. One for a process, over all starts of its node.
 */
import { type SubnetId, toHex } from "@orrery/base";

/** In a row, of one subnet. */
export const HEALINGS_MAX = 4;
/** Before the second; three times as long before each further one. */
const PAUSE_MS = 10_000;
const PAUSE_FACTOR = 3;
/** A node that was well for so long is a healed one: what comes then is something else. */
export const WELL_MS: number = 60 * 60 * 1_000;

interface Row {
  readonly count: number;
  readonly atMs: number;
}

export class Healings {
  readonly #rows = new Map<string, Row>();

  /** How long to wait before the state is asked for, in milliseconds; null: it does not help. `nowMs`: of a clock that only goes forward. */
  begin(subnet: SubnetId, nowMs: number = performance.now()): number | null {
    const name = toHex(subnet);
    const before = this.#rows.get(name);
    const count = before === undefined || nowMs - before.atMs > WELL_MS ? 0 : before.count;
    if (count === HEALINGS_MAX) return null;
    const pauseMs = count === 0 ? 0 : PAUSE_MS * PAUSE_FACTOR ** (count - 1);
    this.#rows.set(name, { count: count + 1, atMs: nowMs + pauseMs });
    return pauseMs;
  }

  /** In a row, so far. */
  count(subnet: SubnetId): number {
    return this.#rows.get(toHex(subnet))?.count ?? 0;
  }
}
