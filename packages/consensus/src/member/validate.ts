/**
 * Judges what others send (Internet Computer Consensus; block contexts as in consensus of the replica). Nothing enters the pool
 * otherwise. `later` waits for something that is on its way: a parent, a beacon, a state, the time.
 */
import { type Block, compareBytes, equalBytes, type Height, type TimeNs, toHex } from "@orrery/base";
import { blockHash } from "../step.ts";
import { encodeSummary } from "../summary-codec.ts";
import {
  type Artifact,
  type CatchUpPackage,
  catchUpHash,
  type DealingArtifact,
  type EquivocationProof,
  type HashKey,
  heightOf,
  type MemberIndex,
  type Proposal,
  proposalContent,
  type ThresholdKind,
  type ThresholdShare,
  type ThresholdSignature,
  type Tip,
  thresholdContent,
  type Vote,
  type VoteShare,
  voteContent,
} from "./artifacts.ts";
import { checkDealing, closingSummary, intervalAt, isEmpty, isHalting, judgeDealings } from "./dealings.ts";
import { CATCH_UP_GAP_MAX, type DutyView, keysOf, withRoles } from "./duties.ts";
import type { Signatures } from "./pool.ts";
import { isForOther } from "./versions.ts";

export type Verdict =
  | "valid"
  | "later"
  /** A share from who made it: its signature is checked with the others'. */
  | "unproved"
  /** Nobody needs it any more. */
  | "stale"
  | { readonly invalid: string };

/** A hash and a signature as long as they are. */
const HASH_BYTES = 32;
/** All that fits into a block by the limits of its sections, and more: nobody needs a larger artifact. */
export const ARTIFACT_BYTES_MAX: number = 32 * 1024 * 1024;

export interface ValidationView extends DutyView {
  readonly delivered: Height;
  /** Whether a quorum's word for the block is here. */
  readonly isVouchedFor: (height: Height, hash: Uint8Array) => boolean;
  /** Nodes, as the host numbers them, that did what no honest one does. */
  readonly doubted: ReadonlySet<number>;
}

const invalid = (why: string): Verdict => ({ invalid: why });

/** Whether everything that it could be of use for is over. */
export function isStale(
  { pool, delivered, schedule }: Pick<ValidationView, "pool" | "delivered" | "schedule">,
  artifact: Artifact,
): boolean {
  const height = heightOf(artifact);
  switch (artifact.kind) {
    case "beacon":
    case "beacon_share":
      return height <= pool.beaconHeight;
    case "tape":
    case "tape_share":
      return height <= delivered;
    case "certification":
    case "certification_share":
      return height <= pool.certifiedHeight;
    case "catch_up":
    case "catch_up_share":
      return height <= pool.catchUpHeight;
    case "dealing":
      if (schedule.startOf(height) === null) return schedule.isForgotten(height);
      return schedule.nextSummary(height) <= pool.finalizedHeight;
    default:
      return height <= pool.finalizedHeight;
  }
}

/**
 * The highest height at which others can be useful: an honest member goes no further before the next catch-up package, and then there
 * is one. Nothing but packages is taken from above.
 */
export function windowTop({ pool, schedule }: Pick<DutyView, "pool" | "schedule">): Height {
  // A block above the last notarized one, and the beacon above that.
  return schedule.nextSummary(pool.catchUpHeight) + CATCH_UP_GAP_MAX + 2;
}

/** Whether maker, rank and signature are right, whatever the block says. */
export function checkMaker(view: DutyView, proposal: Proposal): Verdict {
  const { block, hash, signer, signature } = proposal;
  const { config } = view.environment;
  const place = view.schedule.at(block.height);
  const round = withRoles(view, block.height);
  if (round === null || place === null) return "later";
  if (round.roles.makers.indexOf(signer) !== block.rank) return invalid("its maker does not have its rank");
  if (!equalBytes(blockHash(block), hash)) return invalid("its hash is another one's");
  return place.crypto.verify(signer, proposalContent(config.subnetId, block.height, hash), signature)
    ? "valid"
    : invalid("its maker did not sign it");
}

function checkContext(view: DutyView, { block }: Proposal, parent: Tip): Verdict {
  const { time, certifiedHeight, registryVersion } = block.context;
  if (time <= parent.time) return invalid("its time does not increase");
  if (certifiedHeight < parent.certifiedHeight) return invalid("its certified height decreases");
  if (certifiedHeight >= block.height) return invalid("its certified height is not below its own");
  if (registryVersion < parent.registryVersion) return invalid("its registry version decreases");
  // What was ordered since that state is not all here (any more): what orders nothing does not depend on it.
  const { pool, environment, now, executed } = view;
  const isBound = environment.intervals === undefined || !isEmpty(block.payload);
  if (certifiedHeight < pool.floor && isBound) return "later";
  const certified = Math.min(pool.certifiedHeight, executed);
  const ahead = time > now || certifiedHeight > certified || registryVersion > environment.registryVersion();
  return ahead ? "later" : "valid";
}

/** A proposal whose maker is checked. */
export function checkBlock(view: ValidationView, proposal: Proposal): Verdict {
  const { pool, environment } = view;
  const { block, hash } = proposal;
  const { height } = block;
  if (height > pool.notarizedHeight + 1) return "later";
  const parent = pool.notarizedTip(height - 1, block.parent);
  if (parent === null) return "later";
  // A quorum has an honest member that judged it.
  if (view.isVouchedFor(height, hash)) return "valid";
  // One of its blocks is enough to know; more are of use when a quorum votes for them.
  if (pool.peek(height)?.equivocations.has(proposal.signer) === true) return "later";
  const verdict = checkContext(view, proposal, parent);
  if (verdict !== "valid") return verdict;
  if (environment.intervals !== undefined) return checkInInterval(view, block, parent);
  const { summary, dealings } = block.payload;
  if (summary !== undefined || dealings !== undefined)
    return invalid("it deals keys or changes members where these never change");
  return checkSections(view, block, parent);
}

/** What is for execution. */
function checkSections(
  { pool, environment }: DutyView,
  { height, context, payload }: Block,
  parent: Tip,
): Verdict {
  const { time, certifiedHeight } = context;
  const past = pool.chain(height - 1, parent.hash, certifiedHeight).map((each) => each.payload);
  const judged = environment.payloads.judge(payload, { height, time, certifiedHeight, past });
  return judged.kind === "invalid" ? invalid(judged.reason) : judged.kind;
}

/** Summaries and dealings beside it. */
function checkInInterval(view: DutyView, block: Block, parent: Tip): Verdict {
  const { height, context, payload } = block;
  const { summary, dealings } = payload;
  const start = view.schedule.startOf(height - 1);
  const interval = start === null ? null : intervalAt(view, start, parent);
  const isSummary = view.schedule.isSummary(height);
  if (interval === null || isSummary === null) return "later";
  if (isSummary) {
    if (summary === undefined) return invalid("its summary is missing");
    if (dealings !== undefined || !isEmpty(payload)) return invalid("it has more than its summary");
    const expected = closingSummary(view, interval, parent, context.registryVersion);
    if (expected === "later") return "later";
    return equalBytes(encodeSummary(expected), summary) ? "valid" : invalid("its summary is wrong");
  }
  if (summary !== undefined) return invalid("it has a summary inside an interval");
  const judged = judgeDealings(view, interval, parent, dealings ?? []);
  if (judged !== "valid") return judged;
  if (isHalting(view, interval, context)) {
    if (isEmpty(payload)) return "valid";
    // Of a program that goes on: its package is on the way here.
    if (isForOther(view.environment, interval.summary) && context.certifiedHeight >= interval.start)
      return "later";
    return invalid("it orders something while the subnet halts");
  }
  // It orders nothing, and what was ordered before is not here.
  if (context.certifiedHeight < view.pool.floor) return "valid";
  return checkSections(view, block, parent);
}

function checkVoteShare(view: DutyView, share: VoteShare): Verdict {
  const { environment } = view;
  const place = view.schedule.at(share.height);
  const round = withRoles(view, share.height);
  if (round === null || place === null) return "later";
  if (!round.roles.committee.has(share.signer)) return invalid("its signer is not of the committee");
  const kind = share.kind === "notarization_share" ? "notarization" : "finalization";
  const message = voteContent(kind, environment.config.subnetId, share.height, share.hash);
  if (!place.crypto.verify(share.signer, message, share.signature))
    return invalid("its signer did not sign it");
  // A notary may come from every rank to a lower one; there is one block that it finalizes.
  const most = kind === "notarization" ? round.roles.makers.length : 1;
  return contentsOf(round.shares[kind], share.signer) < most
    ? "valid"
    : invalid("its signer votes for more blocks than it may");
}

/** How many different things a member signed. */
function contentsOf(shares: ReadonlyMap<HashKey, Signatures>, signer: MemberIndex): number {
  return [...shares.values()].filter((signatures) => signatures.has(signer)).length;
}

/** Whether a quorum signed, whatever is known of the block. */
export function checkSigners(view: DutyView, vote: Vote): Verdict {
  const { environment } = view;
  const place = view.schedule.at(vote.height);
  const round = withRoles(view, vote.height);
  if (round === null || place === null) return "later";
  const { committee, quorum } = round.roles;
  if (vote.signatures.length !== quorum) return invalid(`it has not ${quorum} signatures`);
  const message = voteContent(vote.kind, environment.config.subnetId, vote.height, vote.hash);
  const known = round.shares[vote.kind].get(toHex(vote.hash));
  let before: MemberIndex = -1;
  for (const [signer, signature] of vote.signatures) {
    if (signer <= before || !committee.has(signer)) return invalid("its signers are not of the committee");
    const share = known?.get(signer);
    const isKnown = share !== undefined && equalBytes(share, signature);
    if (!isKnown && !place.crypto.verify(signer, message, signature)) return invalid("a signature is wrong");
    before = signer;
  }
  return "valid";
}

/** A vote whose signers are checked: whether the block is here, and for finality notarized. */
export function checkVoted({ pool }: DutyView, vote: Vote): Verdict {
  const round = pool.peek(vote.height);
  const key = toHex(vote.hash);
  const here = vote.kind === "notarization" ? round?.proposals.has(key) : round?.notarized.has(key);
  return here === true ? "valid" : "later";
}

function thresholdVerdict(
  { pool, environment, schedule, doubted }: ValidationView,
  artifact: ThresholdShare | ThresholdSignature,
  kind: ThresholdKind,
  from: number,
): Verdict {
  const { height, content, signature } = artifact;
  const place = schedule.at(height);
  if (place === null) return "later";
  if (kind === "catch_up" && schedule.isSummary(height) !== true)
    return invalid("there is no catch-up package of its height");
  const keys = keysOf(kind);
  if (content.length !== (keys === "high" ? HASH_BYTES : 0)) return invalid("its content is another one's");
  let before = content;
  if (kind === "beacon") {
    const known = pool.beaconAt(height - 1);
    if (known === null) return "later";
    before = known;
  }
  const message = thresholdContent(kind, environment.config.subnetId, height, before);
  if (!("signer" in artifact))
    return place.crypto.verifyWhole(keys, message, signature) ? "valid" : invalid("its signature is wrong");
  const { signer } = artifact;
  // In this member's own name nobody else is believed: another that has its keys may run.
  const isOthers = schedule.peerOf(height, signer) !== from || signer === place.self;
  const isProved = isOthers || signer >= place.members || doubted.has(from);
  if (isProved && !place.crypto.verifyShare(keys, signer, message, signature))
    return invalid("its signature is wrong");
  const shares = pool.peek(height)?.shares[kind];
  if (shares !== undefined && contentsOf(shares, signer) > 0)
    return invalid("its signer signs two states of one height");
  return isProved ? "valid" : "unproved";
}

function checkEquivocation(view: DutyView, proof: EquivocationProof): Verdict {
  const { environment } = view;
  const { hashes, signatures } = proof;
  const place = view.schedule.at(proof.height);
  const round = withRoles(view, proof.height);
  if (round === null || place === null) return "later";
  if (!round.roles.makers.includes(proof.signer)) return invalid("its signer makes no block there");
  if (compareBytes(hashes[0], hashes[1]) >= 0) return invalid("its two blocks are one");
  for (const [i, hash] of hashes.entries()) {
    const message = proposalContent(environment.config.subnetId, proof.height, hash);
    if (!place.crypto.verify(proof.signer, message, signatures[i] as Uint8Array))
      return invalid("the maker did not sign both blocks");
  }
  return "valid";
}

function checkCatchUp({ environment }: ValidationView, catchUp: CatchUpPackage): Verdict {
  if (catchUp.block.height !== catchUp.height) return invalid("its block is of another height");
  const { config, crypto } = environment;
  const message = thresholdContent("catch_up", config.subnetId, catchUp.height, catchUpHash(catchUp));
  return crypto.verifyWhole("high", message, catchUp.signature) ? "valid" : invalid("its signature is wrong");
}

/** Everything but proposals and votes, which are judged in two parts; nothing stale comes here. */
export function check(
  view: ValidationView,
  artifact:
    | VoteShare
    | ThresholdShare
    | ThresholdSignature
    | EquivocationProof
    | CatchUpPackage
    | DealingArtifact,
  from: number,
): Verdict {
  switch (artifact.kind) {
    case "notarization_share":
    case "finalization_share":
      return checkVoteShare(view, artifact);
    case "equivocation":
      return checkEquivocation(view, artifact);
    case "catch_up":
      return checkCatchUp(view, artifact);
    case "dealing":
      return checkDealing(view, artifact);
    case "beacon":
    case "beacon_share":
      return thresholdVerdict(view, artifact, "beacon", from);
    case "tape":
    case "tape_share":
      return thresholdVerdict(view, artifact, "tape", from);
    case "certification":
    case "certification_share":
      return thresholdVerdict(view, artifact, "certification", from);
    case "catch_up_share":
      return thresholdVerdict(view, artifact, "catch_up", from);
  }
}

/** How far ahead of the clock a block's time may be before it is worth a wake-up. */
export function isAhead(proposal: Proposal, now: TimeNs): boolean {
  return proposal.block.context.time > now;
}
