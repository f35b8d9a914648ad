/**
 * Judges what others send (Internet Computer Consensus; block contexts as in consensus of the replica). Nothing enters the pool
 * otherwise. `later` waits for something that is on its way: a parent, a beacon, a state, the time.
 */
import { compareBytes, equalBytes, type Height, type TimeNs, toHex } from "@orrery/base";
import { blockHash } from "../step.ts";
import {
  type Artifact,
  type CatchUpPackage,
  catchUpHash,
  type EquivocationProof,
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
import { type DutyView, keysOf, withRoles } from "./duties.ts";

export type Verdict =
  | "valid"
  | "later"
  /** Nobody needs it any more. */
  | "stale"
  | { readonly invalid: string };

/** A hash and a signature as long as they are. */
const HASH_BYTES = 32;

export interface ValidationView extends DutyView {
  readonly delivered: Height;
  /** Whether a quorum's word for the block is here. */
  readonly isVouchedFor: (height: Height, hash: Uint8Array) => boolean;
}

const invalid = (why: string): Verdict => ({ invalid: why });

/** Whether maker, rank and signature are right, whatever the block says. */
export function checkMaker(view: DutyView, proposal: Proposal): Verdict {
  const { block, hash, signer, signature } = proposal;
  const { config, crypto } = view.environment;
  if (block.height <= view.pool.start.tip.height) return "stale";
  const round = withRoles(view, block.height);
  if (round === null) return "later";
  if (round.roles.makers.indexOf(signer) !== block.rank) return invalid("its maker does not have its rank");
  if (!equalBytes(blockHash(block), hash)) return invalid("its hash is another one's");
  return crypto.verify(signer, proposalContent(config.subnetId, block.height, hash), signature)
    ? "valid"
    : invalid("its maker did not sign it");
}

function checkContext(view: DutyView, { block }: Proposal, parent: Tip): Verdict {
  const { time, certifiedHeight, registryVersion } = block.context;
  if (time <= parent.time) return invalid("its time does not increase");
  if (certifiedHeight < parent.certifiedHeight) return invalid("its certified height decreases");
  if (certifiedHeight >= block.height) return invalid("its certified height is not below its own");
  if (registryVersion < parent.registryVersion) return invalid("its registry version decreases");
  const { pool, environment, now, executed } = view;
  const certified = Math.min(pool.certifiedHeight, executed);
  const ahead = time > now || certifiedHeight > certified || registryVersion > environment.registryVersion();
  return ahead ? "later" : "valid";
}

/** A proposal whose maker is checked. */
export function checkBlock(view: ValidationView, proposal: Proposal): Verdict {
  const { pool, environment } = view;
  const { block, hash } = proposal;
  const { height, context, payload } = block;
  if (height <= pool.finalizedHeight) return "stale";
  if (height > pool.notarizedHeight + 1) return "later";
  const parent = pool.notarizedTip(height - 1, block.parent);
  if (parent === null) return "later";
  // A quorum has an honest member that judged it.
  if (view.isVouchedFor(height, hash)) return "valid";
  const verdict = checkContext(view, proposal, parent);
  if (verdict !== "valid") return verdict;
  const { time, certifiedHeight } = context;
  const past = pool.chain(height - 1, parent.hash, certifiedHeight).map((each) => each.payload);
  const judged = environment.payloads.judge(payload, { height, time, certifiedHeight, past });
  return judged.kind === "invalid" ? invalid(judged.reason) : judged.kind;
}

function checkVoteShare(view: DutyView, share: VoteShare): Verdict {
  const { pool, environment } = view;
  if (share.height <= pool.finalizedHeight) return "stale";
  const round = withRoles(view, share.height);
  if (round === null) return "later";
  if (!round.roles.committee.has(share.signer)) return invalid("its signer is not of the committee");
  const kind = share.kind === "notarization_share" ? "notarization" : "finalization";
  const message = voteContent(kind, environment.config.subnetId, share.height, share.hash);
  return environment.crypto.verify(share.signer, message, share.signature)
    ? "valid"
    : invalid("its signer did not sign it");
}

/** Whether a quorum signed, whatever is known of the block. */
export function checkSigners(view: DutyView, vote: Vote): Verdict {
  const { environment } = view;
  const round = withRoles(view, vote.height);
  if (round === null) return "later";
  const { committee, quorum } = round.roles;
  if (vote.signatures.length !== quorum) return invalid(`it has not ${quorum} signatures`);
  const message = voteContent(vote.kind, environment.config.subnetId, vote.height, vote.hash);
  let before: MemberIndex = -1;
  for (const [signer, signature] of vote.signatures) {
    if (signer <= before || !committee.has(signer)) return invalid("its signers are not of the committee");
    if (!environment.crypto.verify(signer, message, signature)) return invalid("a signature is wrong");
    before = signer;
  }
  return "valid";
}

/** A vote whose signers are checked: whether the block is here, and for finality notarized. */
export function checkVoted({ pool }: DutyView, vote: Vote): Verdict {
  if (vote.height <= pool.finalizedHeight) return "stale";
  const round = pool.peek(vote.height);
  const key = toHex(vote.hash);
  const here = vote.kind === "notarization" ? round?.proposals.has(key) : round?.notarized.has(key);
  return here === true ? "valid" : "later";
}

function thresholdVerdict(
  { pool, environment }: ValidationView,
  artifact: ThresholdShare | ThresholdSignature,
  kind: ThresholdKind,
): Verdict {
  const { height, content, signature } = artifact;
  const keys = keysOf(kind);
  if (content.length !== (keys === "high" ? HASH_BYTES : 0)) return invalid("its content is another one's");
  let before = content;
  if (kind === "beacon") {
    const known = pool.beaconAt(height - 1);
    if (known === null) return "later";
    before = known;
  }
  const message = thresholdContent(kind, environment.config.subnetId, height, before);
  const good =
    "signer" in artifact
      ? environment.crypto.verifyShare(keys, artifact.signer, message, signature)
      : environment.crypto.verifyWhole(keys, message, signature);
  return good ? "valid" : invalid("its signature is wrong");
}

function checkThreshold(view: ValidationView, artifact: ThresholdShare | ThresholdSignature): Verdict {
  const { pool, delivered } = view;
  switch (artifact.kind) {
    case "beacon":
    case "beacon_share":
      return artifact.height <= pool.beaconHeight ? "stale" : thresholdVerdict(view, artifact, "beacon");
    case "tape":
    case "tape_share":
      return artifact.height <= delivered ? "stale" : thresholdVerdict(view, artifact, "tape");
    case "certification":
    case "certification_share":
      return artifact.height <= pool.certifiedHeight
        ? "stale"
        : thresholdVerdict(view, artifact, "certification");
    case "catch_up_share":
      return artifact.height <= pool.catchUpHeight ? "stale" : thresholdVerdict(view, artifact, "catch_up");
  }
}

function checkEquivocation(view: DutyView, proof: EquivocationProof): Verdict {
  const { environment, pool } = view;
  if (proof.height <= pool.finalizedHeight) return "stale";
  const { hashes, signatures } = proof;
  if (compareBytes(hashes[0], hashes[1]) >= 0) return invalid("its two blocks are one");
  for (const [i, hash] of hashes.entries()) {
    const message = proposalContent(environment.config.subnetId, proof.height, hash);
    if (!environment.crypto.verify(proof.signer, message, signatures[i] as Uint8Array))
      return invalid("the maker did not sign both blocks");
  }
  return "valid";
}

function checkCatchUp({ pool, environment }: ValidationView, catchUp: CatchUpPackage): Verdict {
  if (catchUp.height <= pool.catchUpHeight) return "stale";
  if (catchUp.block.height !== catchUp.height) return invalid("its block is of another height");
  const { config, crypto } = environment;
  const message = thresholdContent("catch_up", config.subnetId, catchUp.height, catchUpHash(catchUp));
  return crypto.verifyWhole("high", message, catchUp.signature) ? "valid" : invalid("its signature is wrong");
}

/** Everything but proposals and votes, which are judged in two parts. */
export function check(view: ValidationView, artifact: Exclude<Artifact, Proposal | Vote>): Verdict {
  switch (artifact.kind) {
    case "notarization_share":
    case "finalization_share":
      return checkVoteShare(view, artifact);
    case "equivocation":
      return checkEquivocation(view, artifact);
    case "catch_up":
      return checkCatchUp(view, artifact);
    default:
      return checkThreshold(view, artifact);
  }
}

/** How far ahead of the clock a block's time may be before it is worth a wake-up. */
export function isAhead(proposal: Proposal, now: TimeNs): boolean {
  return proposal.block.context.time > now;
}
