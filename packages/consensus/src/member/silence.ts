/** When a member that lost what it had signed may sign again (consensus of the replica, "catch-up packages"). */
import type { TimeNs } from "@orrery/base";
import type { CatchUpPackage } from "./artifacts.ts";

/** Clocks of members are at most so far from each other, and block times from clocks. */
export const CLOCKS_APART_NS: TimeNs = 60_000_000_000n;

/**
 * It lost what it had signed, and counts as faulty. Of a package whose block was made since, no other block of that height was ever
 * notarized, so that nothing that this member signed before stands above it. `until`: null for one that lost nothing.
 */
export function isForgetful(until: TimeNs | null, newest: CatchUpPackage | null): boolean {
  if (until === null) return false;
  return newest === null || newest.block.context.time <= until;
}
