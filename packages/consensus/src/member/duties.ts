/**
 * What a member signs, and when (Internet Computer Consensus, eprint 2021/632, figures 1 and 2; delays as the replica has them). Each
 * duty looks at the pool and the time and returns artifacts of its own that are missing; it never signs what it signed before.
 */
import {
  assert,
  type Block,
  type BlockContext,
  type BlockPayload,
  type Height,
  type TimeNs,
  toHex,
} from "@orrery/base";
import { blockHash } from "../step.ts";
import { encodeSummary } from "../summary-codec.ts";
import {
  type MemberIndex,
  type Proposal,
  proposalContent,
  type ThresholdKind,
  type ThresholdShare,
  type Tip,
  thresholdContent,
  type VoteShare,
  voteContent,
} from "./artifacts.ts";
import { type Roles, rolesFrom } from "./committee.ts";
import { closingSummary, dealingsFor, intervalAt, isHalting } from "./dealings.ts";
import type { Pool, Round, Signatures } from "./pool.ts";
import type { Place, Schedule } from "./schedule.ts";
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
  readonly schedule: Schedule;
  /** The subnet stands still at its newest catch-up package. */
  readonly isHalted: boolean;
}

/** The height above the notarized one. */
export type CurrentRound = Round & { readonly roles: Roles; readonly startedAt: TimeNs };

/** A height with who does what there; null as long as the beacon before it is not known. */
export function withRoles(
  { pool, schedule }: Pick<DutyView, "pool" | "schedule">,
  height: Height,
): (Round & { roles: Roles }) | null {
  const known = pool.peek(height);
  if (known !== undefined && known.roles !== null && schedule.at(height) !== null)
    return known as Round & { roles: Roles };
  const beacon = pool.beaconAt(height - 1);
  const place = schedule.at(height);
  if (beacon === null || place === null) return null;
  const round = pool.round(height);
  round.roles = rolesFrom(beacon, place.members);
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
export function isHeldBack({ pool, schedule, isHalted }: DutyView): boolean {
  const nextCatchUp = schedule.nextSummary(pool.catchUpHeight);
  return (
    isHalted ||
    pool.notarizedHeight - pool.certifiedHeight >= CERTIFICATION_GAP_MAX ||
    pool.notarizedHeight - nextCatchUp >= CATCH_UP_GAP_MAX
  );
}

/** A block on the best notarized one, when it is this member's turn and nobody before it has made one. */
export function makeBlock(view: DutyView, round: CurrentRound): Proposal | null {
  const { pool, environment, now, schedule } = view;
  const { self, crypto } = placeAt(view, round.height);
  if (self === null) return null;
  const rank = round.roles.makers.indexOf(self);
  // It made one before, wherever that is now.
  if (rank < 0 || isHeldBack(view) || round.firstSigned.has(self)) return null;
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
  // Others are past what this member knows, or it has forgotten what was ordered since.
  if (certifiedHeight < Math.max(tip.certifiedHeight, pool.floor)) return null;
  if (registryVersion < tip.registryVersion) return null;
  const time = now > tip.time ? now : tip.time + 1n;
  const context = { registryVersion, certifiedHeight, time };
  const payload = payloadFor(view, tip, context, schedule.isSummary(height) === true);
  if (payload === null) return null;
  const block: Block = { version: 1, parent: tip.hash, height, rank, context, payload };
  const hash = blockHash(block);
  const signature = crypto.sign(proposalContent(environment.config.subnetId, height, hash));
  return { kind: "proposal", block, hash, signer: self, signature };
}

/** Of the block above `tip`; null as long as something that it takes is not here. */
function payloadFor(
  view: DutyView,
  tip: Tip,
  context: BlockContext,
  isSummary: boolean,
): BlockPayload | null {
  const { pool, environment, schedule } = view;
  const { time, certifiedHeight, registryVersion } = context;
  const build = (): BlockPayload => {
    const past = pool.chain(tip.height, tip.hash, certifiedHeight).map(({ payload }) => payload);
    return environment.payloads.build({ height: tip.height + 1, time, certifiedHeight, past });
  };
  if (environment.intervals === undefined) return build();
  const start = schedule.startOf(tip.height);
  const interval = start === null ? null : intervalAt(view, start, tip);
  if (interval === null) return null;
  if (isSummary) {
    const summary = closingSummary(view, interval, tip, registryVersion);
    return summary === "later" ? null : { ingress: [], summary: encodeSummary(summary) };
  }
  const payload = isHalting(view, interval, context) ? { ingress: [] } : build();
  const dealings = dealingsFor(view, interval, tip);
  return dealings.length === 0 ? payload : { ...payload, dealings };
}

/** Of a round that is going on: its members are known. */
function placeAt({ schedule }: DutyView, height: Height): Place {
  const place = schedule.at(height);
  assert(place !== null, `the members of ${height} are not known`);
  return place;
}

/** Shares for the best blocks once their rank's time has come. */
export function notarize(view: DutyView, round: CurrentRound): readonly VoteShare[] {
  const { now } = view;
  const place = placeAt(view, round.height);
  const { self } = place;
  if (self === null || !round.roles.committee.has(self) || isHeldBack(view)) return [];
  const best = lowestRanked(round);
  // Two of one rank: the proof that ends it is about to be made.
  const [proposal] = best;
  if (proposal === undefined || best.length > 1) return [];
  if (now < round.startedAt + notaryDelay(view, proposal.block.rank)) return [];
  if (round.shares.notarization.get(toHex(proposal.hash))?.has(self) === true) return [];
  return [voteShare(view, self, "notarization", proposal)];
}

function voteShare(
  view: DutyView,
  signer: MemberIndex,
  kind: "notarization" | "finalization",
  { block, hash }: Proposal,
): VoteShare {
  const { height } = block;
  const { subnetId } = view.environment.config;
  const signature = placeAt(view, height).crypto.sign(voteContent(kind, subnetId, height, hash));
  return { kind: `${kind}_share`, height, hash, signer, signature };
}

/**
 * Shares for blocks that are alone: exactly one notarized block at the height, and this member supported no other. It supports none
 * later either, since it notarizes above the notarized height only.
 */
export function finalize(view: DutyView): readonly VoteShare[] {
  const { pool } = view;
  const shares: VoteShare[] = [];
  for (let height = pool.finalizedHeight + 1; height <= pool.notarizedHeight; height++) {
    const round = withRoles(view, height);
    const self = round === null ? null : placeAt(view, height).self;
    if (round === null || self === null || !round.roles.committee.has(self)) continue;
    if (hasOwn(round.shares.finalization, self)) continue;
    const [vote, ...others] = round.notarized.values();
    if (vote === undefined || others.length > 0) continue;
    const key = toHex(vote.hash);
    const supportsOther = [...round.shares.notarization].some(
      ([hash, signatures]) => hash !== key && signatures.has(self),
    );
    const proposal = round.proposals.get(key);
    if (!supportsOther && proposal !== undefined)
      shares.push(voteShare(view, self, "finalization", proposal));
  }
  return shares;
}

function hasOwn(shares: ReadonlyMap<string, Signatures>, self: number): boolean {
  for (const signatures of shares.values()) if (signatures.has(self)) return true;
  return false;
}

/** The next beacon, once a block of the height of the last one is notarized. */
export function shareBeacon(view: DutyView): ThresholdShare | null {
  const { pool } = view;
  if (pool.notarizedHeight < pool.beaconHeight) return null;
  const height = pool.beaconHeight + 1;
  const before = pool.beaconAt(pool.beaconHeight) as Uint8Array;
  return thresholdShare(view, height, "beacon", before);
}

/** Tapes of what is final: nobody knows the randomness of a block before nothing about it can change. */
export function shareTapes(view: DutyView, delivered: Height): readonly ThresholdShare[] {
  const { pool } = view;
  const shares: ThresholdShare[] = [];
  for (let height = delivered + 1; height <= pool.finalizedHeight; height++) {
    if (pool.peek(height)?.tape !== null) continue;
    const share = thresholdShare(view, height, "tape", new Uint8Array(0));
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

/** This member's share, unless it is there, or somebody else's to give. */
export function thresholdShare(
  { pool, environment, schedule }: Pick<DutyView, "pool" | "environment" | "schedule">,
  height: Height,
  kind: ThresholdKind,
  content: Uint8Array,
): ThresholdShare | null {
  const place = schedule.at(height);
  if (place === null || place.self === null) return null;
  const { self, crypto } = place;
  const shown = WITH_CONTENT.has(kind) ? content : new Uint8Array(0);
  if (pool.peek(height)?.shares[kind].get(toHex(shown))?.has(self) === true) return null;
  const message = thresholdContent(kind, environment.config.subnetId, height, content);
  const signature = crypto.signShare(keysOf(kind), message);
  return { kind: `${kind}_share`, height, content: shown, signer: self, signature };
}

/** When, after now, time alone gives this member something to do in the round; null when it does not. */
export function nextTurn(view: DutyView, round: CurrentRound): TimeNs | null {
  const { now } = view;
  const { self } = placeAt(view, round.height);
  if (isHeldBack(view) || self === null) return null;
  const times: TimeNs[] = [];
  const rank = round.roles.makers.indexOf(self);
  if (rank >= 0 && !round.firstSigned.has(self)) times.push(round.startedAt + makerDelay(view, rank));
  for (const { block } of lowestRanked(round)) times.push(round.startedAt + notaryDelay(view, block.rank));
  return times
    .filter((time) => time > now)
    .reduce<TimeNs | null>((a, b) => (a === null || b < a ? b : a), null);
}
