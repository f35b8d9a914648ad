/**
 * Canister ranges in the state tree (interface spec, "Canister ranges"): inclusive ranges of canister ids, as
 * one blob under `/subnet/<id>/canister_ranges` or in shards under `/canister_ranges/<id>/<first id of the
 * shard>`. Ranges are disjoint and in order.
 */
import {
  type CanisterId,
  type CborValue,
  canisterIdFromIndex,
  compareBytes,
  decodeCbor,
  encodeCbor,
  err,
  ok,
  PRINCIPAL_BYTES_MAX,
  type Result,
} from "@orrery/base";

/** Both ends included. */
export interface CanisterRange {
  readonly start: CanisterId;
  readonly end: CanisterId;
}

/** Ranges in one shard, as the replica cuts them. */
export const RANGES_PER_SHARD_MAX = 5;

export interface RangeShard {
  /** First canister id of the shard: its label. */
  readonly label: CanisterId;
  readonly ranges: readonly CanisterRange[];
}

/** Tagged CBOR list of `[start, end]` pairs. */
export function encodeRanges(ranges: readonly CanisterRange[]): Uint8Array {
  return encodeCbor(ranges.map(({ start, end }) => [start, end]));
}

function decodeEnd(value: CborValue): CanisterId | null {
  return value instanceof Uint8Array && value.length <= PRINCIPAL_BYTES_MAX ? (value as CanisterId) : null;
}

/** Strict: pairs of principals, each range non-empty, ranges strictly increasing. */
export function decodeRanges(bytes: Uint8Array): Result<readonly CanisterRange[], string> {
  let list: CborValue;
  try {
    list = decodeCbor(bytes);
  } catch (cause) {
    return err((cause as Error).message);
  }
  if (!Array.isArray(list)) return err("canister ranges are not a list");
  const ranges: CanisterRange[] = [];
  for (const pair of list as readonly CborValue[]) {
    if (!Array.isArray(pair) || pair.length !== 2) return err("a canister range is not a pair");
    const start = decodeEnd(pair[0] as CborValue);
    const end = decodeEnd(pair[1] as CborValue);
    if (start === null || end === null) return err("the end of a canister range is not a principal");
    if (compareBytes(start, end) > 0) return err("a canister range ends before it starts");
    const previous = ranges.at(-1);
    if (previous !== undefined && compareBytes(previous.end, start) >= 0)
      return err("canister ranges are out of order");
    ranges.push({ start, end });
  }
  return ok(ranges);
}

export function rangesContain(ranges: readonly CanisterRange[], canisterId: Uint8Array): boolean {
  return ranges.some(
    ({ start, end }) => compareBytes(start, canisterId) <= 0 && compareBytes(canisterId, end) <= 0,
  );
}

/** Cuts ranges into shards; no ranges make one empty shard labelled by the first canister id. */
export function shardRanges(ranges: readonly CanisterRange[]): readonly RangeShard[] {
  if (ranges.length === 0) return [{ label: canisterIdFromIndex(0n), ranges: [] }];
  const shards: RangeShard[] = [];
  for (let at = 0; at < ranges.length; at += RANGES_PER_SHARD_MAX) {
    const shard = ranges.slice(at, at + RANGES_PER_SHARD_MAX);
    shards.push({ label: (shard[0] as CanisterRange).start, ranges: shard });
  }
  return shards;
}
