/**
 * Parameters of subnets of several nodes on one machine or network, and what every thread of a node has to know of them (consensus
 * parameters of the replica, scaled). A round with something to do takes as long as messages between neighbours take; one without is
 * there to certify a fresh time.
 */
import type { Batch, TimeNs } from "@orrery/base";
import type { Genesis } from "../genesis.ts";

/** Registry versions follow governance; a network without it stays at the first. */
export const REGISTRY_VERSION = 1;

const MS: TimeNs = 1_000_000n;
/** Between the turns of two makers: as on the public network, since a machine that is busy is no reason to vote for another. */
export const UNIT_DELAY_NS: TimeNs = 1_000n * MS;
/** Before a block is notarized while something waits for one. */
export const BUSY_NOTARY_DELAY_NS: TimeNs = 100n * MS;
/** The same of a subnet at rest. */
export const IDLE_NOTARY_DELAY_NS: TimeNs = 1_000n * MS;
/** Answers of a node whose newest certified state is older wait for a newer one. */
export const FRESHNESS_NS: TimeNs = 10_000n * MS;

/** Blocks told to a peer at once: it verifies signatures of each. */
export const BLOCKS_PER_ANSWER_MAX = 20;
export const BLOCK_ANSWER_BYTES_MAX: number = 8 * 1024 * 1024;

/**
 * Whether the whole state after this batch is hashed, for a catch-up package: where nodes deal keys, after blocks that begin intervals; where
 * keys derive from a seed, at multiples of one interval. Networks of one node say none.
 */
export function isForPackage(
  { height, requiresFullStateHash }: Pick<Batch, "height" | "requiresFullStateHash">,
  { founding, catchUpInterval }: Pick<Genesis, "founding" | "catchUpInterval">,
): boolean {
  if (founding !== undefined) return requiresFullStateHash === true;
  return catchUpInterval !== undefined && height % catchUpInterval === 0;
}
