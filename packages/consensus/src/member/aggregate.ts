/** Shares that are enough become the whole: votes by lists of signatures, randomness and certifications by threshold signatures. */
import { fromHex, type Height } from "@orrery/base";
import { type ThresholdSignature, thresholdContent, type Vote } from "./artifacts.ts";
import { quorumOf, randomnessThreshold } from "./committee.ts";
import { type DutyView, withRoles } from "./duties.ts";
import type { Round } from "./pool.ts";
import { type SharesView, sorted, wholeOf } from "./shares.ts";

function votes(view: DutyView, round: Round, kind: "notarization" | "finalization"): readonly Vote[] {
  const roles = withRoles(view, round.height)?.roles;
  if (roles === undefined) return [];
  const { quorum } = roles;
  const whole: Vote[] = [];
  for (const [key, signatures] of round.shares[kind]) {
    if (signatures.size < quorum) continue;
    // Nothing is said of a block that is not here: its parent may be missing too.
    if (!round.proposals.has(key)) continue;
    if (kind === "notarization" ? round.notarized.has(key) : round.finalized !== null) continue;
    if (kind === "finalization" && !round.notarized.has(key)) continue;
    const list = sorted(signatures).slice(0, quorum);
    whole.push({ kind, height: round.height, hash: fromHex(key), signatures: list });
  }
  return whole;
}

function combined(
  view: SharesView,
  round: Round,
  kind: ThresholdSignature["kind"],
  onLie: (peer: number) => void,
): ThresholdSignature | null {
  if (round[kind] !== null) return null;
  const { environment, pool, schedule } = view;
  const { config } = environment;
  const place = schedule.at(round.height);
  if (place === null) return null;
  const { members } = place;
  const needed = kind === "certification" ? quorumOf(members) : randomnessThreshold(members);
  for (const key of round.shares[kind].keys()) {
    let content: Uint8Array = fromHex(key);
    if (kind === "beacon") {
      const before = pool.beaconAt(round.height - 1);
      if (before === null) continue;
      content = before;
    }
    const message = thresholdContent(kind, config.subnetId, round.height, content);
    const signature = wholeOf(view, { kind, height: round.height, key, message, needed }, onLie);
    if (signature === null) continue;
    return { kind, height: round.height, content: kind === "certification" ? content : NOTHING, signature };
  }
  return null;
}

const NOTHING = new Uint8Array(0);

/** Everything of a height that can be put together now. `onLie`: a share of the node turned out to be wrong. */
export function aggregate(
  view: SharesView,
  height: Height,
  onLie: (peer: number) => void,
): readonly (Vote | ThresholdSignature)[] {
  const round = view.pool.peek(height);
  if (round === undefined) return [];
  const signed = (["beacon", "tape", "certification"] as const)
    .map((kind) => combined(view, round, kind, onLie))
    .filter((signature) => signature !== null);
  return [...votes(view, round, "notarization"), ...votes(view, round, "finalization"), ...signed];
}
