/**
 * Bytes of the block log: a segment is a file header and records, each with a header of its own. A record's checksum covers its
 * header, which holds the checksum of the record before, and its payload.
 */
import type { Height } from "@orrery/base";
import { checksum } from "./checksum.ts";
import { fileHeaderBytes, getU64, putU64, viewOf } from "./durable-format.ts";

export const LOG_PREFIX = "blocks-";
export const LOG_MAGIC = "ORRERYBL";
/** Fields: first height, checksum of the last record of the segment before. */
export const SEGMENT_HEADER_BYTES: number = fileHeaderBytes(2);
/** kind 4 · payload length 4 · height 8 · durable length 8 · checksum of the record before 4 · checksum 4. */
export const RECORD_HEADER_BYTES = 32;
export const KIND_BLOCK = 0x4b4c4231;
/** Says what is durable, and which roots states had; follows syncs without being waited for. */
export const KIND_MARK = 0x4b52414d;
/** Height 8 · root hash 32: a mark's payload is a list of these. */
const NOTE_BYTES = 40;

/** A block is at most 4 MiB of payload with its envelope; longer cannot be a record. */
export const LOG_RECORD_BYTES_MAX: number = 64 << 20;
/** A segment is closed once it is this long: pruning frees the disk in such pieces. */
export const SEGMENT_BYTES_DEFAULT: number = 64 << 20;

export interface RecordHeader {
  readonly kind: number;
  readonly length: number;
  readonly height: Height;
  readonly durable: number;
  readonly previous: number;
  readonly sum: number;
}

/** The header at the front of these bytes, null when they cannot be one. */
export function readRecordHeader(bytes: Uint8Array): RecordHeader | null {
  if (bytes.length < RECORD_HEADER_BYTES) return null;
  const view = viewOf(bytes);
  const kind = view.getUint32(0, true);
  const length = view.getUint32(4, true);
  if ((kind !== KIND_BLOCK && kind !== KIND_MARK) || length > LOG_RECORD_BYTES_MAX) return null;
  return {
    kind,
    length,
    height: getU64(view, 8),
    durable: getU64(view, 16),
    previous: view.getUint32(24, true),
    sum: view.getUint32(28, true),
  };
}

/** Checksum over everything but the checksum's own field. */
export function recordSum(bytes: Uint8Array, seed: number): number {
  return checksum(bytes.subarray(RECORD_HEADER_BYTES), checksum(bytes.subarray(0, 28), seed));
}

/** A record ready to be written, and its checksum. */
export function sealRecord(
  payload: Uint8Array,
  header: Pick<RecordHeader, "kind" | "height" | "durable" | "previous"> & { readonly seed: number },
): { readonly bytes: Uint8Array; readonly sum: number } {
  const bytes = new Uint8Array(RECORD_HEADER_BYTES + payload.length);
  const view = viewOf(bytes);
  view.setUint32(0, header.kind, true);
  view.setUint32(4, payload.length, true);
  putU64(view, 8, header.height);
  putU64(view, 16, header.durable);
  view.setUint32(24, header.previous, true);
  bytes.set(payload, RECORD_HEADER_BYTES);
  const sum = recordSum(bytes, header.seed);
  view.setUint32(28, sum, true);
  return { bytes, sum };
}

/** The root hash of the state at a height, as it was certified. */
export interface RootNote {
  readonly height: Height;
  readonly rootHash: Uint8Array;
}

export function encodeNotes(notes: readonly RootNote[]): Uint8Array {
  const out = new Uint8Array(NOTE_BYTES * notes.length);
  const view = viewOf(out);
  for (const [i, { height, rootHash }] of notes.entries()) {
    putU64(view, NOTE_BYTES * i, height);
    out.set(rootHash, NOTE_BYTES * i + 8);
  }
  return out;
}

export function decodeNotes(payload: Uint8Array): readonly RootNote[] {
  const view = viewOf(payload);
  return Array.from({ length: Math.floor(payload.length / NOTE_BYTES) }, (_, i) => ({
    height: getU64(view, NOTE_BYTES * i),
    rootHash: payload.slice(NOTE_BYTES * i + 8, NOTE_BYTES * (i + 1)),
  }));
}
