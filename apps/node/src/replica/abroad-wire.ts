/**
 * What nodes of different subnets say to each other. How far a stream goes: its two ends. A request for a slice: for which subnet, from which
 * indices on, how many messages at most. A request for a delegation: of which subnet. Numbers are big-endian, a subnet is one byte.
 */
import {
  type CanisterId,
  type CborValue,
  concatBytes,
  decodeCbor,
  encodeCborBare,
  type SubnetId,
  u64be,
} from "@orrery/base";
import type { SliceRequest, StreamEnds } from "@orrery/execution";
import type { Delegation } from "@orrery/execution/delegation";
import type { SubnetIndex } from "../protocol.ts";

const ENDS_BYTES = 16;
const REQUEST_BYTES = 25;
const U64_MAX: bigint = 2n ** 64n - 1n;

const wordAt = (bytes: Uint8Array, offset: number): bigint =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(offset);

export const encodeSubnet = (subnet: SubnetIndex): Uint8Array => Uint8Array.of(subnet);

/** Null for what names none. */
export const decodeSubnet = (bytes: Uint8Array): SubnetIndex | null =>
  bytes.length === 1 ? (bytes[0] as number) : null;

export const encodeEnds = ({ messagesEnd, signalsEnd }: StreamEnds): Uint8Array =>
  concatBytes(u64be(messagesEnd), u64be(signalsEnd));

export function decodeEnds(bytes: Uint8Array): StreamEnds | null {
  if (bytes.length !== ENDS_BYTES) return null;
  return { messagesEnd: wordAt(bytes, 0), signalsEnd: wordAt(bytes, 8) };
}

/** As it travels: who asks names its subnet by its place. */
export type AskedSlice = Pick<SliceRequest, "messageIndex" | "signalIndex" | "maxMessages"> & {
  readonly to: SubnetIndex;
};

export function encodeSliceRequest({ to, messageIndex, signalIndex, maxMessages }: AskedSlice): Uint8Array {
  return concatBytes(encodeSubnet(to), u64be(messageIndex), u64be(signalIndex), u64be(BigInt(maxMessages)));
}

export function decodeSliceRequest(bytes: Uint8Array): AskedSlice | null {
  if (bytes.length !== REQUEST_BYTES) return null;
  const maxMessages = Number(wordAt(bytes, 17));
  if (!Number.isSafeInteger(maxMessages)) return null;
  return {
    to: bytes[0] as number,
    messageIndex: wordAt(bytes, 1),
    signalIndex: wordAt(bytes, 9),
    maxMessages,
  };
}

export function encodeDelegation({ time, flat, shards, bare }: Delegation): Uint8Array {
  return encodeCborBare([time, flat, bare, shards.map(({ start, certificate }) => [start, certificate])]);
}

const isBytes = (value: CborValue | undefined): value is Uint8Array => value instanceof Uint8Array;

/** In its form; whether it holds is for who uses it. */
export function decodeDelegation(bytes: Uint8Array, subnetId: SubnetId): Delegation | null {
  const list = decoded(bytes);
  if (!Array.isArray(list) || list.length !== 4) return null;
  const [time, flat, bare, pairs] = list as readonly CborValue[];
  const at = typeof time === "number" && Number.isSafeInteger(time) ? BigInt(time) : time;
  if (typeof at !== "bigint" || at < 0n || at > U64_MAX || !isBytes(flat) || !isBytes(bare)) return null;
  if (!Array.isArray(pairs)) return null;
  const shards: { readonly start: CanisterId; readonly certificate: Uint8Array }[] = [];
  for (const pair of pairs as readonly CborValue[]) {
    if (!Array.isArray(pair) || pair.length !== 2) return null;
    const [start, certificate] = pair as readonly CborValue[];
    if (!isBytes(start) || !isBytes(certificate)) return null;
    shards.push({ start: start as CanisterId, certificate });
  }
  return { subnetId, time: at, flat, shards, bare };
}

function decoded(bytes: Uint8Array): CborValue | null {
  try {
    return decodeCbor(bytes);
  } catch {
    return null;
  }
}
