/**
 * Parameters of subnets of several nodes on one machine or network, and what every thread of a node has to know of them (consensus
 * parameters of the replica, scaled). A round with something to do takes as long as messages between neighbours take; one without is
 * there to certify a fresh time.
 */
import type { Height, TimeNs } from "@orrery/base";

const MS: TimeNs = 1_000_000n;
/** Between the turns of two makers: as on the public network, since a machine that is busy is no reason to vote for another. */
export const UNIT_DELAY_NS: TimeNs = 1_000n * MS;
/** Before a block is notarized while something waits for one. */
export const BUSY_NOTARY_DELAY_NS: TimeNs = 100n * MS;
/** The same of a subnet at rest. */
export const IDLE_NOTARY_DELAY_NS: TimeNs = 1_000n * MS;
/** Heights from one catch-up package to the next. */
export const CATCH_UP_INTERVAL = 500;
/** Answers of a node whose newest certified state is older wait for a newer one. */
export const FRESHNESS_NS: TimeNs = 10_000n * MS;

/** Whether the whole state after this height is hashed, for a catch-up package. */
export function isCatchUpHeight(height: Height): boolean {
  return height % CATCH_UP_INTERVAL === 0;
}
