/**
 * What a summary block says, and its one encoding (consensus of the replica, "DKG summary"). Apart from members, for whoever executes or keeps
 * blocks reads it too.
 */
import { type CborMap, type CborValue, encodeCborBare, type NodeId, OrreryError } from "@orrery/base";
import { decodeExactly } from "./exact.ts";
import type { KeySet } from "./member/types.ts";

/** Members with the keys that they share; the order of the members is their index. */
export interface Epoch {
  /** Version of the registry whose members these are. */
  readonly registryVersion: number;
  readonly members: readonly NodeId[];
  /** Encoded, by what they sign. */
  readonly transcripts: Readonly<Record<KeySet, Uint8Array>>;
  /** Of the record of the members. */
  readonly publicKeys?: readonly Uint8Array[];
}

/** The first keys of a subnet that the root subnet's members created, as their dealings gave them to its nodes. */
export interface FoundedEpoch {
  /** Its place in the network. */
  readonly subnet: number;
  readonly epoch: Epoch;
}

export interface Summary {
  /** Heights from this summary to the next. */
  readonly length: number;
  /** From that one to the one after it. */
  readonly nextLength: number;
  /** Nothing is ordered after it, and its catch-up package is where the subnet stands still. */
  readonly halts: boolean;
  /** Of the program that executes the blocks after it, up to the next one; not there: the registry named none yet. */
  readonly replicaVersion?: string;
  /** It is another one than that of the interval before: nothing is ordered before the catch-up package, from which other programs go on. */
  readonly upgrades?: true;
  /** Of this interval. */
  readonly current: Epoch;
  /** Of the next one; null when there were too few dealings: then the current ones stay. */
  readonly next: Epoch | null;
  /** Subnets that the members created so far, in the order in which they did; not there: none. */
  readonly created?: readonly number[];
  /** The last of them, where the interval before this summary gave it its keys. */
  readonly founded?: FoundedEpoch;
}

export function encodeSummary(summary: Summary): Uint8Array {
  const { length, nextLength, halts, replicaVersion, upgrades, current, next, created, founded } = summary;
  return encodeCborBare({
    l: length,
    n: nextLength,
    h: halts,
    ...(replicaVersion === undefined ? {} : { v: replicaVersion }),
    ...(upgrades === undefined ? {} : { u: true }),
    c: epochFields(current),
    x: next === null ? null : epochFields(next),
    ...(created === undefined ? {} : { r: created }),
    ...(founded === undefined ? {} : { f: [founded.subnet, epochFields(founded.epoch)] }),
  });
}

function epochFields({ registryVersion, members, transcripts, publicKeys }: Epoch): readonly CborValue[] {
  const fields = [registryVersion, members as readonly CborValue[], transcripts.low, transcripts.high];
  return publicKeys === undefined ? fields : [...fields, publicKeys as readonly CborValue[]];
}

const REPLICA_VERSION_CHARACTERS_MAX = 48;
const REPLICA_VERSION = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;

/** Semantic versioning 2.0.0, §2 and §9, and no more than a name has to be. */
export function isReplicaVersion(text: string): boolean {
  return text.length <= REPLICA_VERSION_CHARACTERS_MAX && REPLICA_VERSION.test(text);
}

/** More subnets than a network has. */
const CREATED_MAX = 256;

const invalid = (what: string): OrreryError =>
  new OrreryError("block_invalid", `not the summary of an interval: ${what}`);

function natural(value: CborValue | undefined, what: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw invalid(what);
  return value;
}

function epochFrom(value: CborValue | undefined): Epoch {
  if (!Array.isArray(value) || value.length < 4 || value.length > 5) throw invalid("members and keys");
  const [version, members, low, high, publicKeys] = value as readonly CborValue[];
  if (!Array.isArray(members) || members.length === 0) throw invalid("members");
  for (const member of members as readonly CborValue[])
    if (!(member instanceof Uint8Array)) throw invalid("a member");
  if (!(low instanceof Uint8Array) || !(high instanceof Uint8Array)) throw invalid("keys");
  return {
    registryVersion: natural(version, "registry version"),
    members: members as readonly NodeId[],
    transcripts: { low, high },
    ...(publicKeys === undefined ? {} : { publicKeys: publicKeysFrom(publicKeys, members.length) }),
  };
}

function publicKeysFrom(value: CborValue, members: number): readonly Uint8Array[] {
  const isOfAll = Array.isArray(value) && value.length === members;
  if (!isOfAll || !value.every((key) => key instanceof Uint8Array)) throw invalid("the members' keys");
  return value as readonly Uint8Array[];
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
    ...versionFrom(map.get("v"), map.get("u")),
    current: epochFrom(map.get("c")),
    next: next === null ? null : epochFrom(next),
    ...createdFrom(map.get("r"), map.get("f")),
  };
}

function createdFrom(
  value: CborValue | undefined,
  founded: CborValue | undefined,
): Pick<Summary, "created" | "founded"> {
  if (value === undefined && founded === undefined) return {};
  if (!Array.isArray(value) || value.length === 0 || value.length > CREATED_MAX) throw invalid("subnets");
  const created = (value as readonly CborValue[]).map((each) => natural(each, "a subnet"));
  if (new Set(created).size < created.length) throw invalid("subnets");
  if (founded === undefined) return { created };
  if (!Array.isArray(founded) || founded.length !== 2) throw invalid("a subnet");
  const [subnet, epoch] = founded as readonly CborValue[];
  if (subnet !== created.at(-1)) throw invalid("a subnet");
  return { created, founded: { subnet: natural(subnet, "a subnet"), epoch: epochFrom(epoch) } };
}

function versionFrom(
  version: CborValue | undefined,
  upgrades: CborValue | undefined,
): Pick<Summary, "replicaVersion" | "upgrades"> {
  if (version === undefined && upgrades === undefined) return {};
  if (typeof version !== "string" || !isReplicaVersion(version)) throw invalid("the replica's version");
  if (upgrades === undefined) return { replicaVersion: version };
  if (upgrades !== true) throw invalid("whether it upgrades");
  return { replicaVersion: version, upgrades };
}
