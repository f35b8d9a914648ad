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

export function encodeSummary({ length, nextLength, halts, current, next }: Summary): Uint8Array {
  return encodeCborBare({
    l: length,
    n: nextLength,
    h: halts,
    c: epochFields(current),
    x: next === null ? null : epochFields(next),
  });
}

function epochFields({ registryVersion, members, transcripts, publicKeys }: Epoch): readonly CborValue[] {
  const fields = [registryVersion, members as readonly CborValue[], transcripts.low, transcripts.high];
  return publicKeys === undefined ? fields : [...fields, publicKeys as readonly CborValue[]];
}

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
    current: epochFrom(map.get("c")),
    next: next === null ? null : epochFrom(next),
  };
}
