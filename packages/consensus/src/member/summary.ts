/**
 * Summary blocks: each begins an interval, says with which members and keys it runs and with which the next one, and closes the dealings of
 * the interval before (consensus of the replica, "DKG summary"). What an interval runs with was fixed by a summary two
 * intervals before it ends and is final when it begins, so that nobody ever signs with keys that a fork could have changed.
 */
import { assert, type CborValue, encodeCborBare, type Height, toHex } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import type { Epoch, Summary } from "../summary-codec.ts";
import type { DealingArtifact } from "./artifacts.ts";
import { quorumOf, randomnessThreshold } from "./committee.ts";
import type { Dkg, DkgConfig, KeySet, SubnetRecord } from "./types.ts";

/** What the dealings of an interval are about; null where the registry is behind. */
export interface IntervalContext {
  readonly start: Height;
  readonly summary: Summary;
  /** In the context of the summary block. */
  readonly registryVersion: number;
}

export const KEY_SETS: readonly KeySet[] = ["low", "high"];

/** Those whose keys the next epoch has: dealt by the members of the interval to the registry's newest. */
export function configOf(interval: IntervalContext, record: SubnetRecord, keys: KeySet): DkgConfig {
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
    // A key that is reshared takes as many dealings as it takes shares to sign; of a fresh one an honest member's is enough.
    dealingsNeeded: keys === "low" ? randomnessThreshold(dealers.length) : quorumOf(dealers.length),
    reshared: keys === "low" ? null : summary.current.transcripts.high,
  };
}

function nextEpoch(
  interval: IntervalContext,
  record: SubnetRecord,
  dealings: readonly DealingArtifact[],
  dkg: Dkg,
): Epoch | null | "later" {
  const transcripts: Partial<Record<KeySet, Uint8Array>> = {};
  for (const keys of KEY_SETS) {
    const config = configOf(interval, record, keys);
    const given = dealings
      .filter((dealing) => dealing.keys === keys)
      .map(({ signer, dealing }) => [signer, dealing] as const)
      .sort(([a], [b]) => a - b);
    if (given.length < config.dealingsNeeded) return null;
    const transcript = dkg.aggregate(config, given);
    if (transcript === "later" || transcript === null) return transcript;
    transcripts[keys] = transcript;
  }
  const { low, high } = transcripts;
  assert(low !== undefined && high !== undefined, "there is a transcript for each set of keys");
  const { members, publicKeys } = record;
  const epoch = { registryVersion: interval.registryVersion, members, transcripts: { low, high } };
  return publicKeys === undefined ? epoch : { ...epoch, publicKeys };
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
  return {
    length: summary.nextLength,
    nextLength: newest.intervalLength,
    halts: newest.halts,
    current: summary.next ?? summary.current,
    next,
  };
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
