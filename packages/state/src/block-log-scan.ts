/**
 * Reads a segment of the block log: its header, and record by record up to where it is whole, and whether what follows is a torn tail or
 * damage. Whoever starts from a log, copies it or looks back in it takes the same for a segment, and the same for the next one.
 */
import { type Height, OrreryError } from "@orrery/base";
import {
  KIND_BLOCK,
  KIND_MARK,
  LOG_MAGIC,
  LOG_PREFIX,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  readRecordHeader,
  recordSum,
  SEGMENT_HEADER_BYTES,
} from "./block-log-format.ts";
import type { DiskFile } from "./disk.ts";
import { corrupt, decodeFileHeader, numberOf, WindowReader } from "./durable-format.ts";

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

/**
 * An existing segment. Null for a last one whose header never became durable: no record can have been in it. `store_corrupt` for any
 * other whose header is not whole, or is that of another height than the name's.
 */
export function openSegment(
  name: string,
  file: DiskFile,
  { network, isLast }: { readonly network: Uint8Array; readonly isLast: boolean },
): Segment | null {
  const fields = (): readonly number[] =>
    decodeFileHeader(name, file.read(0, SEGMENT_HEADER_BYTES), { magic: LOG_MAGIC, network, fields: 2 });
  const isBare = isLast && file.size <= SEGMENT_HEADER_BYTES;
  const header = isBare ? unlessDamaged(fields) : fields();
  if (header === null) return null;
  const [firstHeight, chain] = header as [Height, number];
  if (firstHeight !== numberOf(LOG_PREFIX, name)) throw corrupt(name, `it begins at height ${firstHeight}`);
  return { name, firstHeight, file, chain };
}

/** What `read` comes to; null where that is damaged. */
export function unlessDamaged<T>(read: () => T): T | null {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof OrreryError && cause.code === "store_corrupt") return null;
    throw cause;
  }
}

/** Whether a segment goes on where the one before it ends. */
export function goesOn(before: Omit<SegmentScan, "end">, segment: Segment): boolean {
  return before.nextHeight === segment.firstHeight && before.chain === segment.chain;
}

/** `seed` is the start value of the network's checksums; records of heights below `unread` are taken at their headers' word. */
export function scanSegment(
  segment: Segment,
  seed: number,
  { unread = 0 }: { readonly unread?: Height } = {},
): SegmentScan {
  // Of records that are not read only the headers are fetched.
  const reader = new WindowReader(segment.file, { skips: unread > segment.firstHeight });
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
