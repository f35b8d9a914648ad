/**
 * Catch-up packages: block, beacon and state hash of a height under a quorum's signature, so that a member that was away goes on from
 * there with nothing of what was before (consensus of the replica, "catch-up packages").
 */
import type { Height } from "@orrery/base";
import { type Artifact, type CatchUpPackage, catchUpHash, thresholdContent } from "./artifacts.ts";
import { quorumOf } from "./committee.ts";
import type { DutyView } from "./duties.ts";
import { type Pool, type Start, tipOf } from "./pool.ts";

type Content = Omit<CatchUpPackage, "kind" | "signature">;

/** What this member would sign; null until the finalized chain knows the state of the height as certified. */
export function catchUpOf(pool: Pool, height: Height, stateHash: Uint8Array): Content | null {
  const proposal = pool.finalizedAt(height);
  const beacon = pool.beaconAt(height);
  const newest = pool.finalizedAt(pool.finalizedHeight);
  if (proposal === null || beacon === null || newest === null) return null;
  if (newest.block.context.certifiedHeight < height) return null;
  return { height, block: proposal.block, beacon, stateHash };
}

export function aggregateCatchUp(
  { pool, environment }: DutyView,
  catchUp: Content,
  content: Uint8Array,
): CatchUpPackage | null {
  const { config, crypto } = environment;
  const signatures = pool.signaturesFor(catchUp.height, content);
  const quorum = quorumOf(config.members);
  if (signatures.length < quorum) return null;
  const message = thresholdContent("catch_up", config.subnetId, catchUp.height, catchUpHash(catchUp));
  const signature = crypto.combine("high", message, signatures.slice(0, quorum));
  return { kind: "catch_up", ...catchUp, signature };
}

/** Where a member goes on from. */
export function startOf({ block, beacon }: CatchUpPackage): Start {
  return { tip: tipOf(block), beacon };
}

export function newestCatchUp(artifacts: readonly Artifact[]): CatchUpPackage | null {
  let newest: CatchUpPackage | null = null;
  for (const artifact of artifacts) {
    if (artifact.kind === "catch_up" && (newest === null || artifact.height > newest.height))
      newest = artifact;
  }
  return newest;
}
