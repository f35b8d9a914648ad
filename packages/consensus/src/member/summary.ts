/**
 * Summary blocks: each begins an interval, says with which members and keys it runs and with which the next one, and closes the dealings of
 * the interval before (consensus of the replica, "DKG summary"). What an interval runs with was fixed by a summary two
 * intervals before it ends and is final when it begins, so that nobody ever signs with keys that a fork could have changed.
 */
import { type CborValue, DEALINGS_PER_BLOCK_MAX, encodeCborBare, type Height, toHex } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import type { Epoch, FoundedEpoch, Summary } from "../summary-codec.ts";
import type { DealingArtifact } from "./artifacts.ts";
import { quorumOf, randomnessThreshold } from "./committee.ts";
import type { DealtKeys, Dkg, DkgConfig, KeySet, PlannedSubnet, SubnetRecord } from "./types.ts";

/** What the dealings of an interval are about; null where the registry is behind. */
export interface IntervalContext {
  readonly start: Height;
  readonly summary: Summary;
  /** In the context of the summary block. */
  readonly registryVersion: number;
}

export const KEY_SETS: readonly KeySet[] = ["low", "high"];

const REMOTE: Readonly<Record<KeySet, DealtKeys>> = { low: "remote_low", high: "remote_high" };

/** The subnet that the members of the interval deal the first keys of: one after the other, in the order of their places. */
export function plannedIn(
  { summary }: { readonly summary: Pick<Summary, "created"> },
  { planned }: SubnetRecord,
): PlannedSubnet | null {
  if (planned === undefined) return null;
  const created = new Set(summary.created ?? []);
  return planned.find(({ subnet }) => !created.has(subnet)) ?? null;
}

const ALL_KEYS: readonly DealtKeys[] = [...KEY_SETS, ...KEY_SETS.map((keys) => REMOTE[keys])];

/** All that is dealt in the interval. */
export function dealtIn(interval: IntervalContext, record: SubnetRecord): readonly DealtKeys[] {
  return plannedIn(interval, record) === null ? KEY_SETS : ALL_KEYS;
}

/**
 * Dealings that a run takes. A key that is reshared takes as many as it takes shares to sign; of a fresh one an honest member's is enough, and
 * more of one for others, who see none of it happen.
 */
export function neededOf(keys: DealtKeys, dealers: number): number {
  return keys === "low" ? randomnessThreshold(dealers) : quorumOf(dealers);
}

/**
 * The shortest interval that has room for the dealings of so many members, with those for a subnet that they create or without. Its summary
 * carries none, and of three blocks one may be a faulty member's, without any.
 */
export function intervalNeeded(dealers: number, creates: boolean): number {
  const dealt = creates ? ALL_KEYS : KEY_SETS;
  const dealings = dealt.reduce((sum, keys) => sum + neededOf(keys, dealers), 0);
  return 1 + Math.ceil((3 * dealings) / (2 * DEALINGS_PER_BLOCK_MAX));
}

/** For nodes of another subnet, which have no key yet. */
function remoteConfig(
  { start, summary, registryVersion }: IntervalContext,
  { members: receivers }: PlannedSubnet,
  keys: DealtKeys,
): DkgConfig {
  const dealers = summary.current.members;
  const { length } = receivers;
  return {
    start,
    keys,
    registryVersion,
    dealers,
    receivers,
    threshold: keys === "remote_low" ? randomnessThreshold(length) : quorumOf(length),
    dealingsNeeded: neededOf(keys, dealers.length),
    reshared: null,
  };
}

/** What a run is about; null where the interval has none. */
export function configOf(interval: IntervalContext, record: SubnetRecord, keys: DealtKeys): DkgConfig | null {
  if (keys === "low" || keys === "high") return ownConfig(interval, record, keys);
  const planned = plannedIn(interval, record);
  return planned === null ? null : remoteConfig(interval, planned, keys);
}

/** Those whose keys the next epoch has: dealt by the members of the interval to the registry's newest. */
function ownConfig(interval: IntervalContext, record: SubnetRecord, keys: KeySet): DkgConfig {
  const { start, summary, registryVersion } = interval;
  const dealers = summary.current.members;
  const members = record.members.length;
  return {
    start,
    keys,
    registryVersion,
    dealers,
    receivers: record.members,
    threshold: keys === "low" ? randomnessThreshold(members) : quorumOf(members),
    dealingsNeeded: neededOf(keys, dealers.length),
    reshared: keys === "low" ? null : summary.current.transcripts.high,
  };
}

/** Of what was dealt for both sets of keys; null where that was too little. */
function transcriptsOf(
  config: (keys: KeySet) => DkgConfig,
  dealings: readonly DealingArtifact[],
  dkg: Dkg,
): Epoch["transcripts"] | null | "later" {
  // Both are asked for before either is waited for.
  const [low, high] = [
    transcriptOf(config("low"), dealings, dkg),
    transcriptOf(config("high"), dealings, dkg),
  ];
  if (low === null || high === null) return null;
  return low === "later" || high === "later" ? "later" : { low, high };
}

/** Of what was dealt for a set of keys; null where that was too little. */
export function transcriptOf(
  config: DkgConfig,
  dealings: readonly DealingArtifact[],
  dkg: Dkg,
): Uint8Array | null | "later" {
  const given = dealings
    .filter(({ keys }) => keys === config.keys)
    .map(({ signer, dealing }) => [signer, dealing] as const)
    .sort(([a], [b]) => a - b);
  return given.length < config.dealingsNeeded ? null : dkg.aggregate(config, given);
}

function nextEpoch(
  interval: IntervalContext,
  record: SubnetRecord,
  dealings: readonly DealingArtifact[],
  dkg: Dkg,
): Epoch | null | "later" {
  const transcripts = transcriptsOf((keys) => ownConfig(interval, record, keys), dealings, dkg);
  if (transcripts === "later" || transcripts === null) return transcripts;
  const { members, publicKeys } = record;
  const epoch = { registryVersion: interval.registryVersion, members, transcripts };
  return publicKeys === undefined ? epoch : { ...epoch, publicKeys };
}

/** The subnet that the interval's dealings gave its first keys; null where there is none, or it takes another interval. */
function foundedBy(
  interval: IntervalContext,
  record: SubnetRecord,
  dealings: readonly DealingArtifact[],
  dkg: Dkg,
): FoundedEpoch | null | "later" {
  const planned = plannedIn(interval, record);
  if (planned === null) return null;
  const { subnet, members } = planned;
  const config = (keys: KeySet): DkgConfig => remoteConfig(interval, planned, REMOTE[keys]);
  const transcripts = transcriptsOf(config, dealings, dkg);
  if (transcripts === "later" || transcripts === null) return transcripts;
  return { subnet, epoch: { registryVersion: interval.registryVersion, members, transcripts } };
}

export interface ClosedInterval {
  readonly interval: IntervalContext;
  /** Of the registry version of the summary that began it. */
  readonly record: SubnetRecord;
  /** In its blocks. */
  readonly dealings: readonly DealingArtifact[];
  /** Of the registry version of the block that closes it. */
  readonly newest: SubnetRecord;
  readonly dkg: Dkg;
}

/** The only summary that the next summary block may have. */
export function summaryAfter({ interval, record, dealings, newest, dkg }: ClosedInterval): Summary | "later" {
  const { summary } = interval;
  const next = nextEpoch(interval, record, dealings, dkg);
  if (next === "later") return next;
  const founded = foundedBy(interval, record, dealings, dkg);
  if (founded === "later") return founded;
  const created = [...(summary.created ?? []), ...(founded === null ? [] : [founded.subnet])];
  return {
    length: summary.nextLength,
    nextLength: newest.intervalLength,
    halts: newest.halts,
    ...versionAfter(summary, newest),
    current: summary.next ?? summary.current,
    next,
    ...(created.length === 0 ? {} : { created }),
    ...(founded === null ? {} : { founded }),
  };
}

function versionAfter(
  before: Summary,
  { replicaVersion }: SubnetRecord,
): Pick<Summary, "replicaVersion" | "upgrades"> {
  if (replicaVersion === undefined) return {};
  return replicaVersion === before.replicaVersion ? { replicaVersion } : { replicaVersion, upgrades: true };
}

/** One text for one epoch. */
export function epochName({ registryVersion, members, transcripts }: Epoch): string {
  const content = encodeCborBare([
    registryVersion,
    members as readonly CborValue[],
    transcripts.low,
    transcripts.high,
  ]);
  return toHex(sha256(content));
}
