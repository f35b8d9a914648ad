/**
 * Most of what comes is one share of many, from which nothing follows: those need no look at everything that a member may have to do.
 */
import type { Artifact } from "./artifacts.ts";
import { quorumOf, randomnessThreshold } from "./committee.ts";
import type { DutyView } from "./duties.ts";
import { kindOf, type Share, shareKey } from "./placing.ts";

/** Whether nothing follows from an artifact that was taken in: a share, of which there are too few, or whose whole is here. */
export function isOneOfFew(
  { pool, schedule }: Pick<DutyView, "pool" | "schedule">,
  artifact: Artifact,
): boolean {
  if (!isShare(artifact)) return false;
  const [round, place] = [pool.peek(artifact.height), schedule.at(artifact.height)];
  // It waits.
  if (round === undefined || place === null) return true;
  const [kind, key] = [kindOf(artifact), shareKey(artifact)];
  if (kind === "notarization" && round.notarized.has(key)) return true;
  if (kind === "finalization" && round.finalized !== null) return true;
  const isRandom = kind === "beacon" || kind === "tape";
  const needed = isRandom ? randomnessThreshold(place.members) : quorumOf(place.members);
  return (round.shares[kind].get(key)?.size ?? 0) < needed;
}

function isShare(artifact: Artifact): artifact is Share {
  return artifact.kind.endsWith("_share");
}
