/**
 * Catch-up packages: block, beacon and state hash of a height under a quorum's signature, so that a member that was away goes on from
 * there with nothing of what was before (consensus of the replica, "catch-up packages").
 */
import { type Height, toHex } from "@orrery/base";
import { decodeSummary } from "../summary-codec.ts";
import { type Artifact, type CatchUpPackage, thresholdContent } from "./artifacts.ts";
import { quorumOf } from "./committee.ts";
import { type Start, tipOf } from "./pool.ts";
import { type SharesView, wholeOf } from "./shares.ts";

type Content = Omit<CatchUpPackage, "kind" | "signature">;

/**
 * What this member would sign; null until the finalized chain knows the state of the height as certified. A subnet that stands still
 * after the height, or whose nodes go on with another program, does not wait for that: its chain may have come to the end before.
 */
export function catchUpOf(
  { pool, schedule }: Pick<SharesView, "pool" | "schedule">,
  height: Height,
  stateHash: Uint8Array,
): Content | null {
  const proposal = pool.finalizedAt(height);
  const beacon = pool.beaconAt(height);
  const newest = pool.finalizedAt(pool.finalizedHeight);
  if (proposal === null || beacon === null || newest === null) return null;
  const { summary } = proposal.block.payload;
  const { halts = false, upgrades = false } = summary === undefined ? {} : decodeSummary(summary);
  if (newest.block.context.certifiedHeight < height && !halts && !upgrades) return null;
  if (!halts && followsCreation({ pool, schedule }, height)) return null;
  return { height, block: proposal.block, beacon, stateHash };
}

/**
 * Whether a lower package that is not there yet says that a subnet was created: no later one does, so it comes first. A subnet that is to stand
 * still does not wait for it, since nothing may be certified any more.
 */
function followsCreation({ pool, schedule }: Pick<SharesView, "pool" | "schedule">, height: Height): boolean {
  for (let at = schedule.nextSummary(pool.catchUpHeight); at < height; at = schedule.nextSummary(at)) {
    const summary = pool.finalizedAt(at)?.block.payload.summary;
    if (summary === undefined) return false;
    if (decodeSummary(summary).founded !== undefined) return true;
  }
  return false;
}

/** `content`: the hash of what is signed. `onLie`: a share of the node turned out to be wrong. */
export function aggregateCatchUp(
  view: SharesView,
  catchUp: Content,
  content: Uint8Array,
  onLie: (peer: number) => void,
): CatchUpPackage | null {
  const { environment, schedule } = view;
  const { height } = catchUp;
  const place = schedule.at(height);
  if (place === null) return null;
  const message = thresholdContent("catch_up", environment.config.subnetId, height, content);
  const wanted = { kind: "catch_up", height, key: toHex(content), message } as const;
  const signature = wholeOf(view, { ...wanted, needed: quorumOf(place.members) }, onLie);
  return signature === null ? null : { kind: "catch_up", ...catchUp, signature };
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
