/** How parts of states are asked for and told: CBOR of height, hash of the state, kind of the parts and their places; a list of byte strings. */
import { type CborValue, decodeCbor, encodeCborBare } from "@orrery/base";
import { STATE_ASK_CHUNKS_MAX, type StateAsk } from "@orrery/state";
import type { StateRequest } from "../state/state-calls.ts";

const PARTS: readonly StateAsk["part"][] = ["head", "slices", "chunks"];
const HASH_BYTES = 32;

export function encodeStateRequest({ height, stateHash, ask }: StateRequest): Uint8Array {
  return encodeCborBare([height, stateHash, PARTS.indexOf(ask.part), [...ask.places]]);
}

const isCount = (value: CborValue | undefined): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

/** Null for what no honest peer asks. */
export function decodeStateRequest(body: Uint8Array): StateRequest | null {
  const list = decoded(body);
  if (!Array.isArray(list) || list.length !== 4) return null;
  const [height, stateHash, kind, places] = list as readonly CborValue[];
  const part = isCount(kind) ? PARTS[kind] : undefined;
  const isHash = stateHash instanceof Uint8Array && stateHash.length === HASH_BYTES;
  if (!isCount(height) || !isHash || part === undefined || !Array.isArray(places)) return null;
  const all = places as readonly CborValue[];
  if (all.length > STATE_ASK_CHUNKS_MAX || !all.every(isCount)) return null;
  return { height, stateHash: stateHash.slice(), ask: { part, places: all } };
}

/** What is no list of byte strings is read as a part, which it is not either: whoever takes it finds that out. */
export function readParts(body: Uint8Array): readonly Uint8Array[] {
  const list = decoded(body);
  const isList = Array.isArray(list) && list.length > 0 && list.length <= STATE_ASK_CHUNKS_MAX;
  return isList && list.every((each) => each instanceof Uint8Array)
    ? (list as readonly Uint8Array[])
    : [body];
}

function decoded(body: Uint8Array): CborValue | null {
  try {
    return decodeCbor(body);
  } catch {
    return null;
  }
}
