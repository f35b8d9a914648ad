/** Shares that are enough become the whole: votes by lists of signatures, randomness and certifications by threshold signatures. */
import { fromHex, type Height } from "@orrery/base";
import { type ThresholdSignature, thresholdContent, type Vote } from "./artifacts.ts";
import { quorumOf, randomnessThreshold } from "./committee.ts";
import { type DutyView, keysOf, withRoles } from "./duties.ts";
import type { Round, Signatures } from "./pool.ts";

function sorted(signatures: Signatures): readonly (readonly [number, Uint8Array])[] {
  return [...signatures].sort(([a], [b]) => a - b);
}

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
  { environment, pool, schedule }: DutyView,
  round: Round,
  kind: ThresholdSignature["kind"],
): ThresholdSignature | null {
  if (round[kind] !== null) return null;
  const { config } = environment;
  const place = schedule.at(round.height);
  if (place === null) return null;
  const { members, crypto } = place;
  const needed = kind === "certification" ? quorumOf(members) : randomnessThreshold(members);
  for (const [key, signatures] of round.shares[kind]) {
    if (signatures.size < needed) continue;
    let content: Uint8Array = fromHex(key);
    if (kind === "beacon") {
      const before = pool.beaconAt(round.height - 1);
      if (before === null) continue;
      content = before;
    }
    const message = thresholdContent(kind, config.subnetId, round.height, content);
    const shares = sorted(signatures).slice(0, needed);
    const signature = crypto.combine(keysOf(kind), message, shares);
    return { kind, height: round.height, content: kind === "certification" ? content : NOTHING, signature };
  }
  return null;
}

const NOTHING = new Uint8Array(0);

/** Everything of a height that can be put together now. */
export function aggregate(view: DutyView, height: Height): readonly (Vote | ThresholdSignature)[] {
  const round = view.pool.peek(height);
  if (round === undefined) return [];
  const signed = (["beacon", "tape", "certification"] as const)
    .map((kind) => combined(view, round, kind))
    .filter((signature) => signature !== null);
  return [...votes(view, round, "notarization"), ...votes(view, round, "finalization"), ...signed];
}
