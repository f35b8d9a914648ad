/**
 * The newest state that a pinned store leads to: its current checkpoint, and the blocks after it. What a node does at its start, without
 * finishing what a crash interrupted: a torn tail of the log is passed over, and damage of what is needed is `store_corrupt` as there.
 */
import type { Height } from "@orrery/base";
import {
  KIND_BLOCK,
  LOG_PREFIX,
  RECORD_HEADER_BYTES,
  readRecordHeader,
  SEGMENT_HEADER_BYTES,
} from "./block-log-format.ts";
import {
  goesOn,
  openSegment,
  requireTorn,
  type Segment,
  type SegmentScan,
  scanSegment,
} from "./block-log-scan.ts";
import { type LoadedCheckpoint, loadCheckpoint } from "./checkpoint-loader.ts";
import type { Disk } from "./disk.ts";
import { corrupt, type LogRecord, networkTag, numberOf, WindowReader } from "./durable-format.ts";
import { openIdentity } from "./store-identity.ts";
import { type PinnedStore, pinnedDisk } from "./store-pin.ts";

/** Where a state can be had from. */
export interface Newest {
  /** Null: the network has no checkpoint yet, and its blocks follow on the state that it begins with. */
  readonly loaded: LoadedCheckpoint | null;
  /** After it, oldest first, read as they are asked for. */
  readonly blocks: Iterable<LogRecord>;
  /** Of the newest block, or of the checkpoint if there is none after it. */
  readonly last: Height;
}

interface Scanned extends Segment {
  /** Where it stops being whole. */
  readonly end: number;
}

/** At most `hotPagesMax` of the state's pages come into memory, as they are used. */
export function openNewest({ files }: PinnedStore, options: { readonly hotPagesMax: number }): Newest {
  const disk = pinnedDisk(files);
  const ignore: readonly string[] = [];
  const { networkId, seed } = openIdentity(disk, {
    networkId: null,
    createIfMissing: false,
    salt: null,
    ignore,
  });
  const loaded = loadCheckpoint(disk, { networkId, ...options, verify: false });
  const from = (loaded?.info.height ?? 0) + 1;
  const { segments, next } = readSegments(disk, { network: networkTag(networkId), seed, from });
  return { loaded, blocks: records(segments, from), last: (next ?? from) - 1 };
}

function readSegments(
  disk: Disk,
  options: { readonly network: Uint8Array; readonly seed: number; readonly from: Height },
): { readonly segments: readonly Scanned[]; readonly next: Height | null } {
  const { network, seed, from } = options;
  const names = disk.list().filter((name) => numberOf(LOG_PREFIX, name) !== null);
  names.sort();
  // The segment that has the checkpoint's block, and those after it.
  const first = names.findLastIndex((name) => (numberOf(LOG_PREFIX, name) as number) < from);
  const segments: Scanned[] = [];
  let before: SegmentScan | null = null;
  for (const [i, name] of names.entries()) {
    if (i < first) continue;
    const isLast = i === names.length - 1;
    const segment = openSegment(name, disk.open(name, { create: false }), { network, isLast });
    if (segment === null) break;
    if (before === null ? segment.firstHeight > from : !goesOn(before, segment))
      throw corrupt(name, `it does not continue the log at height ${before?.nextHeight ?? from}`);
    const scan = scanSegment(segment, seed, { unread: from });
    if (scan.end < segment.file.size) requireTorn(segment, scan.end, seed);
    segments.push({ ...segment, end: scan.end });
    before = scan;
  }
  const next = before?.nextHeight ?? null;
  if (next !== null && next < from)
    throw corrupt(segments.at(-1)?.name as string, "the block of the checkpoint is not in it");
  return { segments, next };
}

function* records(segments: readonly Scanned[], from: Height): IterableIterator<LogRecord> {
  for (const { file, end } of segments) {
    const reader = new WindowReader(file);
    for (let at = SEGMENT_HEADER_BYTES; at < end; ) {
      const header = readRecordHeader(reader.read(at, RECORD_HEADER_BYTES));
      if (header === null) return;
      const { kind, height, length } = header;
      if (kind === KIND_BLOCK && height >= from)
        yield { height, bytes: reader.read(at + RECORD_HEADER_BYTES, length).slice() };
      at += RECORD_HEADER_BYTES + length;
    }
  }
}
