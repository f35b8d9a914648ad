/** Reads a segment of the block log record by record: up to where it is whole, and whether what follows is a torn tail or damage. */
import type { Height } from "@orrery/base";
import {
  KIND_BLOCK,
  KIND_MARK,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  readRecordHeader,
  recordSum,
  SEGMENT_HEADER_BYTES,
} from "./block-log-format.ts";
import type { DiskFile } from "./disk.ts";
import { corrupt, WindowReader } from "./durable-format.ts";

export interface Segment {
  readonly name: string;
  readonly firstHeight: Height;
  readonly file: DiskFile;
  /** Checksum that the first record chains to. */
  readonly chain: number;
}

/** What reading a segment found: `end` is the first byte that is not part of a valid record. */
export interface SegmentScan {
  readonly end: number;
  readonly chain: number;
  readonly nextHeight: Height;
}

/** `seed` is the start value of the network's checksums; records of heights below `unread` are taken at their headers' word. */
export function scanSegment(
  segment: Segment,
  seed: number,
  { unread = 0 }: { readonly unread?: Height } = {},
): SegmentScan {
  const reader = new WindowReader(segment.file);
  let at = SEGMENT_HEADER_BYTES;
  let { chain, firstHeight: nextHeight } = segment;
  for (;;) {
    const header = validRecord(reader, at, { seed, unread });
    if (header === null || header.previous !== chain || header.height !== nextHeight) {
      return { end: at, chain, nextHeight };
    }
    if (header.kind === KIND_BLOCK) nextHeight++;
    chain = header.sum;
    at += RECORD_HEADER_BYTES + header.length;
  }
}

/** The record at `at` if its own checksum holds, whatever stands before it. */
function validRecord(
  reader: WindowReader,
  at: number,
  { seed, unread }: { readonly seed: number; readonly unread: Height },
): RecordHeader | null {
  const header = readRecordHeader(reader.read(at, RECORD_HEADER_BYTES));
  if (header === null || at + RECORD_HEADER_BYTES + header.length > reader.size) return null;
  if (header.height < unread) return header;
  const bytes = reader.read(at, RECORD_HEADER_BYTES + header.length);
  return recordSum(bytes, seed) === header.sum ? header : null;
}

/** A later record that knew the bytes at `bad` to be durable proves that they were damaged since: `store_corrupt`. */
export function requireTorn(segment: Segment, bad: number, seed: number): void {
  const reader = new WindowReader(segment.file);
  for (let at = bad + 1; at + RECORD_HEADER_BYTES <= reader.size; at++) {
    const start = reader.read(at, 4);
    const isMagic = start[0] === (KIND_BLOCK & 0xff) || start[0] === (KIND_MARK & 0xff);
    if (!isMagic) continue;
    const header = validRecord(reader, at, { seed, unread: 0 });
    if (header !== null && header.durable > bad)
      throw corrupt(segment.name, `a record at byte ${bad}, which had been synced`);
  }
}
