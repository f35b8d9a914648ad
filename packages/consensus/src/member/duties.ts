/**
 * What a member signs, and when (Internet Computer Consensus, eprint 2021/632, figures 1 and 2; delays as the replica has them). Each
 * duty looks at the pool and the time and returns artifacts of its own that are missing; it never signs what it signed before.
 */
import { assert, type Block, type Height, type TimeNs, toHex } from "@orrery/base";
import { blockHash } from "../step.ts";
import {
  type Artifact,
  type Proposal,
  proposalContent,
  type ThresholdKind,
  type ThresholdShare,
  thresholdContent,
  type VoteShare,
  voteContent,
} from "./artifacts.ts";
import { type Roles, rolesFrom } from "./committee.ts";
import type { Pool, Round, Signatures } from "./pool.ts";
import type { KeySet, MemberEnvironment } from "./types.ts";

/** Notarized heights that certification may be behind. */
export const CERTIFICATION_GAP_MAX = 70;
/** Notarized heights that the next catch-up package may be behind. */
export const CATCH_UP_GAP_MAX = 130;
/** Finalized heights that certification may be behind without slowing rounds down. */
const CERTIFICATION_GAP_EASY = 1;
/** How much each further one slows them down. */
const BACKLOG_DELAY_NS: TimeNs = 2_000_000_000n;
/** How much longer each round without finality makes the turns of ranks: three halves. */
const UNFINALIZED_FACTOR: readonly [bigint, bigint] = [3n, 2n];
/** Exponent at which the turns grow no longer: they are hours by then. */
const UNFINALIZED_MAX = 20;

export interface DutyView {
  readonly pool: Pool;
  readonly environment: MemberEnvironment;
  readonly now: TimeNs;
  /** Height of the newest state that this member has itself. */
  readonly executed: Height;
}

/** The height above the notarized one. */
export type CurrentRound = Round & { readonly roles: Roles; readonly startedAt: TimeNs };

/** A height with who does what there; null as long as the beacon before it is not known. */
export function withRoles(
  { pool, environment }: Pick<DutyView, "pool" | "environment">,
  height: Height,
): (Round & { roles: Roles }) | null {
  const known = pool.peek(height);
  if (known !== undefined && known.roles !== null) return known as Round & { roles: Roles };
  const beacon = pool.beaconAt(height - 1);
  if (beacon === null) return null;
  const round = pool.round(height);
  round.roles = rolesFrom(beacon, environment.config.members);
  return round as Round & { roles: Roles };
}

/** The height that is being worked on, once everything it takes is here; notes when that was. */
export function currentRound(view: DutyView): CurrentRound | null {
  const round = withRoles(view, view.pool.notarizedHeight + 1);
  if (round === null) return null;
  round.startedAt ??= view.now;
  return round as CurrentRound;
}

/** Valid proposals of the lowest rank whose maker is not known to have made two. */
export function lowestRanked(round: Round): readonly Proposal[] {
  let lowest: Proposal[] = [];
  for (const proposal of round.proposals.values()) {
    if (round.equivocations.has(proposal.signer)) continue;
    const rank = lowest[0]?.block.rank ?? Number.POSITIVE_INFINITY;
    if (proposal.block.rank < rank) lowest = [proposal];
    else if (proposal.block.rank === rank) lowest.push(proposal);
  }
  return lowest;
}

export function makerDelay({ environment }: DutyView, rank: number): TimeNs {
  return environment.config.rules.unitDelayNs * BigInt(rank);
}

export function notaryDelay({ pool, environment }: DutyView, rank: number): TimeNs {
  const { unitDelayNs, initialNotaryDelayNs } = environment.config.rules;
  let turn = unitDelayNs * BigInt(rank);
  const unfinalized = Math.min(pool.notarizedHeight - pool.finalizedHeight, UNFINALIZED_MAX);
  const [times, over] = UNFINALIZED_FACTOR;
  for (let i = 0; i < unfinalized; i++) turn = (turn * times) / over;
  const gap = pool.finalizedHeight - pool.certifiedHeight;
  const backlog = gap > CERTIFICATION_GAP_EASY ? BACKLOG_DELAY_NS * BigInt(gap) : 0n;
  return initialNotaryDelayNs + turn + backlog;
}

/** Whether as much is uncertified, or waits for a catch-up package, as may be in memory. */
export function isHeldBack({ pool, environment }: DutyView): boolean {
  const nextCatchUp = pool.catchUpHeight + environment.config.rules.catchUpInterval;
  return (
    pool.notarizedHeight - pool.certifiedHeight >= CERTIFICATION_GAP_MAX ||
    pool.notarizedHeight - nextCatchUp >= CATCH_UP_GAP_MAX
  );
}

/** A block on the best notarized one, when it is this member's turn and nobody before it has made one. */
export function makeBlock(view: DutyView, round: CurrentRound): Proposal | null {
  const { pool, environment, now } = view;
  const { config, crypto, payloads } = environment;
  const rank = round.roles.makers.indexOf(config.self);
  // It made one before, wherever that is now.
  if (rank < 0 || isHeldBack(view) || round.firstSigned.has(config.self)) return null;
  for (const { signer, block } of round.proposals.values()) {
    // Blocks of a maker that made two count for nothing.
    if (!round.equivocations.has(signer) && block.rank <= rank) return null;
  }
  if (now < round.startedAt + makerDelay(view, rank)) return null;
  const height = round.height;
  const [best] = [...pool.notarizedTips(height - 1)].sort(
    (a, b) => a.rank - b.rank || (toHex(a.tip.hash) < toHex(b.tip.hash) ? -1 : 1),
  );
  assert(best !== undefined, `no notarized block at ${height - 1}`);
  const { tip } = best;
  const registryVersion = environment.registryVersion();
  const certifiedHeight = Math.min(pool.certifiedHeight, view.executed);
  if (certifiedHeight < tip.certifiedHeight || registryVersion < tip.registryVersion) return null;
  const time = now > tip.time ? now : tip.time + 1n;
  const past = pool.chain(height - 1, tip.hash, certifiedHeight).map(({ payload }) => payload);
  const block: Block = {
    version: 1,
    parent: tip.hash,
    height,
    rank,
    context: { registryVersion, certifiedHeight, time },
    payload: payloads.build({ height, time, certifiedHeight, past }),
  };
  const hash = blockHash(block);
  const signature = crypto.sign(proposalContent(config.subnetId, height, hash));
  return { kind: "proposal", block, hash, signer: config.self, signature };
}

/** Shares for the best blocks once their rank's time has come. */
export function notarize(view: DutyView, round: CurrentRound): readonly VoteShare[] {
  const { environment, now } = view;
  const { self } = environment.config;
  if (!round.roles.committee.has(self) || isHeldBack(view)) return [];
  const best = lowestRanked(round);
  // Two of one rank: the proof that ends it is about to be made.
  const [proposal] = best;
  if (proposal === undefined || best.length > 1) return [];
  if (now < round.startedAt + notaryDelay(view, proposal.block.rank)) return [];
  if (round.shares.notarization.get(toHex(proposal.hash))?.has(self) === true) return [];
  return [voteShare(environment, "notarization", round.height, proposal.hash)];
}

function voteShare(
  { config, crypto }: MemberEnvironment,
  kind: "notarization" | "finalization",
  height: Height,
  hash: Uint8Array,
): VoteShare {
  const signature = crypto.sign(voteContent(kind, config.subnetId, height, hash));
  return { kind: `${kind}_share`, height, hash, signer: config.self, signature };
}

/**
 * Shares for blocks that are alone: exactly one notarized block at the height, and this member supported no other. It supports none
 * later either, since it notarizes above the notarized height only.
 */
export function finalize(view: DutyView): readonly VoteShare[] {
  const { pool, environment } = view;
  const { self } = environment.config;
  const shares: VoteShare[] = [];
  for (let height = pool.finalizedHeight + 1; height <= pool.notarizedHeight; height++) {
    const round = withRoles(view, height);
    if (round === null || !round.roles.committee.has(self)) continue;
    if (hasOwn(round.shares.finalization, self)) continue;
    const [vote, ...others] = round.notarized.values();
    if (vote === undefined || others.length > 0) continue;
    const key = toHex(vote.hash);
    const supportsOther = [...round.shares.notarization].some(
      ([hash, signatures]) => hash !== key && signatures.has(self),
    );
    if (!supportsOther) shares.push(voteShare(environment, "finalization", height, vote.hash));
  }
  return shares;
}

function hasOwn(shares: ReadonlyMap<string, Signatures>, self: number): boolean {
  for (const signatures of shares.values()) if (signatures.has(self)) return true;
  return false;
}

/** The next beacon, once a block of the height of the last one is notarized. */
export function shareBeacon({ pool, environment }: DutyView): ThresholdShare | null {
  if (pool.notarizedHeight < pool.beaconHeight) return null;
  const height = pool.beaconHeight + 1;
  const before = pool.beaconAt(pool.beaconHeight) as Uint8Array;
  return thresholdShare(environment, pool.round(height), "beacon", before);
}

/** Tapes of what is final: nobody knows the randomness of a block before nothing about it can change. */
export function shareTapes({ pool, environment }: DutyView, delivered: Height): readonly ThresholdShare[] {
  const shares: ThresholdShare[] = [];
  for (let height = delivered + 1; height <= pool.finalizedHeight; height++) {
    const round = pool.round(height);
    if (round.tape !== null) continue;
    const share = thresholdShare(environment, round, "tape", new Uint8Array(0));
    if (share !== null) shares.push(share);
  }
  return shares;
}

/** Kinds whose shares say what they are for. */
const WITH_CONTENT: ReadonlySet<ThresholdKind> = new Set(["certification", "catch_up"]);

/** Which of the subnet's keys signs it. */
export function keysOf(kind: ThresholdKind): KeySet {
  return WITH_CONTENT.has(kind) ? "high" : "low";
}

/** This member's share, unless it is there. */
export function thresholdShare(
  { config, crypto }: MemberEnvironment,
  round: Round,
  kind: ThresholdKind,
  content: Uint8Array,
): ThresholdShare | null {
  const shown = WITH_CONTENT.has(kind) ? content : new Uint8Array(0);
  if (round.shares[kind].get(toHex(shown))?.has(config.self) === true) return null;
  const message = thresholdContent(kind, config.subnetId, round.height, content);
  const signature = crypto.signShare(keysOf(kind), message);
  return { kind: `${kind}_share`, height: round.height, content: shown, signer: config.self, signature };
}

/** When, after now, time alone gives this member something to do in the round; null when it does not. */
export function nextTurn(view: DutyView, round: CurrentRound): TimeNs | null {
  const { environment, now } = view;
  const { self } = environment.config;
  if (isHeldBack(view)) return null;
  const times: TimeNs[] = [];
  const rank = round.roles.makers.indexOf(self);
  if (rank >= 0 && !round.firstSigned.has(self)) times.push(round.startedAt + makerDelay(view, rank));
  for (const { block } of lowestRanked(round)) times.push(round.startedAt + notaryDelay(view, block.rank));
  return times
    .filter((time) => time > now)
    .reduce<TimeNs | null>((a, b) => (a === null || b < a ? b : a), null);
}

/** Of what kind an artifact's shares are. */
export function isOwn(artifact: Artifact, self: number): boolean {
  return "signer" in artifact && artifact.signer === self;
}
