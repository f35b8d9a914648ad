/**
 * Catch-up packages: block, beacon and state hash of a height under a quorum's signature, so that a member that was away goes on from
 * there with nothing of what was before (consensus of the replica, "catch-up packages").
 */
import type { Height } from "@orrery/base";
import { type Artifact, type CatchUpPackage, catchUpHash, thresholdContent } from "./artifacts.ts";
import { quorumOf } from "./committee.ts";
import type { DutyView } from "./duties.ts";
import { type Pool, type Start, tipOf } from "./pool.ts";
import { decodeSummary } from "./summary.ts";

type Content = Omit<CatchUpPackage, "kind" | "signature">;

/**
 * What this member would sign; null until the finalized chain knows the state of the height as certified. A subnet that stands still
 * after the height does not wait for that: its chain may have come to the end before.
 */
export function catchUpOf(pool: Pool, height: Height, stateHash: Uint8Array): Content | null {
  const proposal = pool.finalizedAt(height);
  const beacon = pool.beaconAt(height);
  const newest = pool.finalizedAt(pool.finalizedHeight);
  if (proposal === null || beacon === null || newest === null) return null;
  const { summary } = proposal.block.payload;
  const halts = summary !== undefined && decodeSummary(summary).halts;
  if (newest.block.context.certifiedHeight < height && !halts) return null;
  return { height, block: proposal.block, beacon, stateHash };
}

export function aggregateCatchUp(
  { pool, environment, schedule }: DutyView,
  catchUp: Content,
  content: Uint8Array,
): CatchUpPackage | null {
  const { config } = environment;
  const place = schedule.at(catchUp.height);
  if (place === null) return null;
  const signatures = pool.signaturesFor(catchUp.height, content);
  const quorum = quorumOf(place.members);
  if (signatures.length < quorum) return null;
  const message = thresholdContent("catch_up", config.subnetId, catchUp.height, catchUpHash(catchUp));
  const signature = place.crypto.combine("high", message, signatures.slice(0, quorum));
  return { kind: "catch_up", ...catchUp, signature };
}

/** Where a member goes on from. */
export function startOf({ block, beacon }: CatchUpPackage): Start {
  const { summary } = block.payload;
  const start = { tip: tipOf(block), beacon };
  return summary === undefined ? start : { ...start, summary: decodeSummary(summary) };
}

export function newestCatchUp(artifacts: readonly Artifact[]): CatchUpPackage | null {
  let newest: CatchUpPackage | null = null;
  for (const artifact of artifacts) {
    if (artifact.kind === "catch_up" && (newest === null || artifact.height > newest.height))
      newest = artifact;
  }
  return newest;
}
