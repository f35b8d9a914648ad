/**
 * Judges from outside what the members of a simulated subnet agreed on about themselves: whether each summary is what the registry, the summary before
 * it and the dealings in the blocks between make of it. It counts for itself what a run of key generation takes, so that it does not
 * believe what consensus counts.
 */
import { type Block, type BlockPayload, encodeCborBare, equalBytes, type Height } from "@orrery/base";
import {
  type DealingArtifact,
  type DealtKeys,
  type DkgConfig,
  decodeDealing,
  decodeSummary,
  type Epoch,
  encodeSummary,
  type PlannedSubnet,
  type SubnetRecord,
  type Summary,
} from "@orrery/consensus/member";
import { neededOf } from "./ideal-keys.ts";
import type { SimRegistry } from "./sim-registry.ts";
import type { Keys } from "./world-nodes.ts";

export interface Judged {
  readonly checkers: { readonly blocks: readonly Block[] };
  readonly registry: Pick<SimRegistry, "record" | "idOf">;
  readonly keys: Keys;
  /** Of the genesis; null where members and keys never change. */
  readonly first: Summary | null;
}

interface Interval {
  readonly start: Height;
  readonly summary: Summary;
  /** Of the registry, at its beginning. */
  readonly record: SubnetRecord;
  readonly version: number;
  /** Subnets that were created up to its beginning. */
  readonly created: readonly number[];
  /** In its blocks so far. */
  readonly dealings: DealingArtifact[];
}

/** A subnet that the members created, as the summary of a height says. */
export interface Created {
  readonly height: Height;
  readonly subnet: number;
  readonly epoch: Epoch;
  /** Those who dealt its keys. */
  readonly dealers: Epoch;
}

interface Verdict {
  readonly faults: readonly string[];
  readonly created: readonly Created[];
}

/** What is to be dealt in the interval beside its own keys. */
function plannedIn({ record, created }: Interval): PlannedSubnet | null {
  return record.planned?.find(({ subnet }) => !created.includes(subnet)) ?? null;
}

function configOf(interval: Interval, keys: DealtKeys): DkgConfig | null {
  const { start, summary, record, version } = interval;
  const isOwn = keys === "low" || keys === "high";
  const receivers = isOwn ? record.members : plannedIn(interval)?.members;
  if (receivers === undefined) return null;
  const dealers = summary.current.members;
  return {
    ...{ start, keys, registryVersion: version, dealers, receivers },
    threshold: neededOf(keys === "low" || keys === "remote_low" ? "low" : "high", receivers.length),
    // One honest member's is enough where the receivers see them dealt; others are to have a quorum's word.
    dealingsNeeded: neededOf(keys === "low" ? "low" : "high", dealers.length),
    reshared: keys === "high" ? summary.current.transcripts.high : null,
  };
}

/** Why it should not be in a block of the interval; null: it may be. */
function faultOfDealing({ keys: source, registry }: Judged, interval: Interval, bytes: Uint8Array) {
  const { start, dealings } = interval;
  const dealt = decodeDealing(bytes);
  const { height, keys, signer, dealing } = dealt;
  const config = configOf(interval, keys);
  const same = dealings.filter((other) => other.keys === keys);
  dealings.push(dealt);
  if (config === null) return "is for a subnet that nobody asks for";
  if (height !== start + 1) return "is of another interval";
  if (config.dealers[signer] === undefined) return "is nobody's";
  if (same.some((other) => other.signer === signer)) return "is there twice";
  if (same.length >= config.dealingsNeeded) return "is one more than its keys take";
  const isGood = source.of(registry.idOf(0)).verifyDealing(config, signer, dealing);
  return isGood === true ? null : "is wrong";
}

/** Of what the blocks of the interval have, for both sets of keys; null where that is too little. */
function transcriptsOf(
  { keys: source, registry }: Judged,
  interval: Interval,
  sets: readonly [low: DealtKeys, high: DealtKeys],
): Epoch["transcripts"] | null {
  const [low, high] = sets.map((keys) => {
    const config = configOf(interval, keys);
    const given = interval.dealings
      .filter((dealt) => dealt.keys === keys)
      .map(({ signer, dealing }) => [signer, dealing] as const)
      .sort(([a], [b]) => a - b);
    if (config === null || given.length < config.dealingsNeeded) return null;
    return source.of(registry.idOf(0)).aggregate(config, given);
  });
  return low instanceof Uint8Array && high instanceof Uint8Array ? { low, high } : null;
}

/** The summary that closes the interval, made anew; `newest`: of the version that its block names. */
function expectedAfter(judged: Judged, interval: Interval, newest: SubnetRecord): Summary {
  const { summary, record, version, created } = interval;
  const own = transcriptsOf(judged, interval, ["low", "high"]);
  const planned = plannedIn(interval);
  const transcripts = planned && transcriptsOf(judged, interval, ["remote_low", "remote_high"]);
  const { replicaVersion } = newest;
  const isOther = replicaVersion !== summary.replicaVersion;
  const all = planned && transcripts ? [...created, planned.subnet] : created;
  const founding = planned &&
    transcripts && {
      founded: {
        subnet: planned.subnet,
        epoch: { registryVersion: version, members: planned.members, transcripts },
      },
    };
  return {
    length: summary.nextLength,
    nextLength: newest.intervalLength,
    halts: newest.halts,
    ...(replicaVersion === undefined ? {} : { replicaVersion, ...(isOther ? { upgrades: true } : {}) }),
    current: summary.next ?? summary.current,
    next: own && { registryVersion: version, members: record.members, transcripts: own },
    ...(all.length === 0 ? {} : { created: all }),
    ...founding,
  };
}

/** In which of their parts two summaries differ. */
function differences(own: Summary, other: Summary): readonly string[] {
  const partsOf = (summary: Summary): ReadonlyMap<string, Uint8Array> => {
    const { length, nextLength, halts, replicaVersion = "", upgrades = false, created = [] } = summary;
    const epoch = (of: Epoch | null | undefined): Uint8Array =>
      encodeSummary({ length: 1, nextLength: 1, halts: false, current: summary.current, next: of ?? null });
    return new Map([
      ["length", encodeCborBare([length, nextLength])],
      ["halt", encodeCborBare(halts)],
      ["program", encodeCborBare([replicaVersion, upgrades])],
      ["members", epoch(null)],
      ["next members", epoch(summary.next)],
      ["created subnets", encodeCborBare(created)],
      ["new subnet", encodeCborBare([summary.founded?.subnet ?? null, epoch(summary.founded?.epoch)])],
    ]);
  };
  const others = partsOf(other);
  return [...partsOf(own)].flatMap(([name, bytes]) =>
    equalBytes(bytes, others.get(name) as Uint8Array) ? [] : [name],
  );
}

/** Nothing but what members say of themselves. */
function isBare({ dealings: _dealings, summary: _summary, ingress, ...sections }: BlockPayload): boolean {
  return ingress.length === 0 && Object.values(sections).every((section) => section === undefined);
}

/** Whether the block may order something: not while the subnet halts, nor before others of it know the state where it did, or where programs change. */
function isToBeBare({ start, summary }: Interval, { context }: Block, { halts }: SubnetRecord): boolean {
  if (!summary.halts && summary.upgrades !== true) return false;
  return context.certifiedHeight < start || (summary.halts && halts);
}

function judgeBlock(judged: Judged, interval: Interval, block: Block): Interval | readonly string[] {
  const { height, context, payload } = block;
  const newest = judged.registry.record(context.registryVersion);
  if (newest === null) return [`block ${height} knows version ${context.registryVersion} of the registry`];
  const { start, summary, created } = interval;
  const isLast = height === start + summary.length;
  if (isLast !== (payload.summary !== undefined))
    return [`block ${height} ${isLast ? "begins no interval" : `begins one in that of ${start}`}`];
  if (isToBeBare(interval, block, newest) && !isBare(payload))
    return [`block ${height} orders something before the package of ${start}, or while the subnet halts`];
  if (payload.summary === undefined) {
    return (payload.dealings ?? []).flatMap((bytes) => {
      const fault = faultOfDealing(judged, interval, bytes);
      return fault === null ? [] : [`a dealing in block ${height} ${fault}`];
    });
  }
  if (!isBare(payload)) return [`the summary of ${height} has something else beside it`];
  const made = decodeSummary(payload.summary);
  const expected = expectedAfter(judged, interval, newest);
  const wrong = differences(expected, made);
  if (wrong.length > 0) return [`the summary of ${height} has another ${wrong.join(", another ")}`];
  return {
    ...{ start: height, summary: made, record: newest, version: context.registryVersion },
    created: expected.created ?? created,
    dealings: [],
  };
}

/** From the first block on, up to the first summary that is wrong: what comes after it follows from that. */
export function judgeSummaries(judged: Judged): Verdict {
  const { first, registry, checkers } = judged;
  const record = registry.record(1);
  if (first === null || record === null) return { faults: [], created: [] };
  let interval: Interval = {
    ...{ start: 0, summary: first, record, version: 1, created: [], dealings: [] },
  };
  const faults: string[] = [];
  const created: Created[] = [];
  const blocks = [...checkers.blocks].sort((a, b) => a.height - b.height);
  for (const [place, block] of blocks.entries()) {
    if (block.height !== place + 1) return { faults: [`nobody delivered block ${place + 1}`], created };
    const judgement = judgeBlock(judged, interval, block);
    if ("start" in judgement) {
      const { summary: before } = interval;
      const { start: height, summary } = judgement;
      if (summary.founded !== undefined)
        created.push({ height, ...summary.founded, dealers: before.current });
      interval = judgement;
    } else if (judgement.length > 0) {
      faults.push(...judgement);
      const { start, summary } = interval;
      if (block.payload.summary !== undefined || block.height === start + summary.length) break;
    }
  }
  return { faults, created };
}
