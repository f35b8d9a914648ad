/**
 * One node's word on an HTTPS outcall: what it signs, and its encoding for peers. The content travels only where one node makes the outcall;
 * else whoever makes a block got the same. Decoding is strict; signatures are for others to verify.
 */
import {
  type CborValue,
  concatBytes,
  decodeCbor,
  decodeOutcallContent,
  decodeOutcallShare,
  encodeCborBare,
  encodeOutcallContent,
  encodeOutcallShare,
  OrreryError,
  type OutcallResponse,
  type OutcallShare,
  readU64be,
  type SubnetId,
  type TimeNs,
  u64be,
} from "@orrery/base";
import { domainSep } from "@orrery/crypto";

/** Which outcall: numbers are given again by nobody, the time tells until when an answer counts. */
export interface OutcallName {
  readonly id: number;
  /** Block time of its begin. */
  readonly time: TimeNs;
}

export interface ToldShare {
  readonly outcall: OutcallName;
  readonly share: Required<OutcallShare>;
  /** Of an outcall that one node makes. */
  readonly content: OutcallResponse["content"] | null;
}

const LABEL_BYTES = 16;

/** What a node signs. */
export function outcallStatement(
  subnetId: SubnetId,
  { id, time }: OutcallName,
  { hash, spent }: Pick<Required<OutcallShare>, "hash" | "spent">,
): Uint8Array {
  const content = encodeCborBare([subnetId, id, time, hash, spent.toString()]);
  return concatBytes(domainSep("ic-canister-http-response-share-domain"), content);
}

/** By which peers decide whether they want it. */
export function shareLabel({ id, time }: OutcallName): Uint8Array {
  return concatBytes(u64be(BigInt(id)), u64be(time));
}

/** Null for what is no label. */
export function readShareLabel(label: Uint8Array): OutcallName | null {
  if (label.length !== LABEL_BYTES) return null;
  const id = readU64be(label);
  if (id > BigInt(Number.MAX_SAFE_INTEGER)) return null;
  return { id: Number(id), time: readU64be(label.subarray(8)) };
}

export function encodeToldShare({ outcall, share, content }: ToldShare): Uint8Array {
  const told = [outcall.id, outcall.time, encodeOutcallShare(share)];
  return encodeCborBare(content === null ? told : [...told, ...encodeOutcallContent(content)]);
}

/** Null for what is none. */
export function decodeToldShare(bytes: Uint8Array): ToldShare | null {
  try {
    const [id, time, entry, ...content] = decodeCbor(bytes) as readonly CborValue[];
    if (typeof id !== "number" || !Number.isSafeInteger(id) || id < 0) return null;
    if (typeof time !== "number" && typeof time !== "bigint") return null;
    const share = decodeOutcallShare(entry);
    const { hash } = share;
    if (hash === undefined) return null;
    return {
      outcall: { id, time: BigInt(time) },
      share: { ...share, hash },
      content: content.length === 0 ? null : decodeOutcallContent(content),
    };
  } catch (error) {
    if (error instanceof OrreryError || error instanceof TypeError) return null;
    throw error;
  }
}
