/**
 * Summary blocks: each begins an interval, says with which members and keys it runs and with which the next one, and closes the dealings of
 * the interval before (consensus of the replica, "DKG summary"). What an interval runs with was fixed by a summary two
 * intervals before it ends and is final when it begins, so that nobody ever signs with keys that a fork could have changed.
 */
import {
  assert,
  type CborMap,
  type CborValue,
  encodeCborBare,
  type Height,
  type NodeId,
  OrreryError,
  toHex,
} from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import type { DealingArtifact } from "./artifacts.ts";
import { quorumOf, randomnessThreshold } from "./committee.ts";
import { decodeExactly } from "./exact.ts";
import type { Dkg, DkgConfig, KeySet, SubnetRecord } from "./types.ts";

/** Members with the keys that they share; the order of the members is their index. */
export interface Epoch {
  /** Version of the registry whose members these are. */
  readonly registryVersion: number;
  readonly members: readonly NodeId[];
  /** Encoded, by what they sign. */
  readonly transcripts: Readonly<Record<KeySet, Uint8Array>>;
}

export interface Summary {
  /** Heights from this summary to the next. */
  readonly length: number;
  /** From that one to the one after it. */
  readonly nextLength: number;
  /** Nothing is ordered after it, and its catch-up package is where the subnet stands still. */
  readonly halts: boolean;
  /** Of this interval. */
  readonly current: Epoch;
  /** Of the next one; null when there were too few dealings: then the current ones stay. */
  readonly next: Epoch | null;
}

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
  return { registryVersion: interval.registryVersion, members: record.members, transcripts: { low, high } };
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

export function encodeSummary({ length, nextLength, halts, current, next }: Summary): Uint8Array {
  return encodeCborBare({
    l: length,
    n: nextLength,
    h: halts,
    c: epochFields(current),
    x: next === null ? null : epochFields(next),
  });
}

function epochFields({ registryVersion, members, transcripts }: Epoch): readonly CborValue[] {
  return [registryVersion, members as readonly CborValue[], transcripts.low, transcripts.high];
}

const invalid = (what: string): OrreryError =>
  new OrreryError("block_invalid", `not the summary of an interval: ${what}`);

function natural(value: CborValue | undefined, what: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw invalid(what);
  return value;
}

function epochFrom(value: CborValue | undefined): Epoch {
  if (!Array.isArray(value) || value.length !== 4) throw invalid("members and keys");
  const [version, members, low, high] = value as readonly CborValue[];
  if (!Array.isArray(members) || members.length === 0) throw invalid("members");
  for (const member of members as readonly CborValue[])
    if (!(member instanceof Uint8Array)) throw invalid("a member");
  if (!(low instanceof Uint8Array) || !(high instanceof Uint8Array)) throw invalid("keys");
  return {
    registryVersion: natural(version, "registry version"),
    members: members as readonly NodeId[],
    transcripts: { low, high },
  };
}

/** They are large, and looked at for every block of their interval. */
const decoded = new WeakMap<Uint8Array, Summary>();

/** `block_invalid` for anything but a summary. */
export function decodeSummary(bytes: Uint8Array): Summary {
  const known = decoded.get(bytes);
  if (known !== undefined) return known;
  const format = { what: "the summary of an interval", read: summaryFrom, encode: encodeSummary };
  const summary = decodeExactly(bytes, format);
  decoded.set(bytes, summary);
  return summary;
}

function summaryFrom(value: CborValue): Summary {
  if (!(value instanceof Map)) throw invalid("not a map");
  const map = value as CborMap;
  const halts = map.get("h");
  if (typeof halts !== "boolean") throw invalid("whether it halts");
  const [length, nextLength] = [natural(map.get("l"), "length"), natural(map.get("n"), "next length")];
  if (length === 0 || nextLength === 0) throw invalid("length");
  const next = map.get("x");
  return {
    length,
    nextLength,
    halts,
    current: epochFrom(map.get("c")),
    next: next === null ? null : epochFrom(next),
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
