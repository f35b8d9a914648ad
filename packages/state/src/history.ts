/**
 * What a store still knows of its network's past: states at the checkpoints that it kept, the blocks between and after them, and the root
 * hashes that were certified. Reads files that were pinned (`pinStores`), changes nothing, and needs nobody to stop meanwhile.
 */
import { assert, type Height } from "@orrery/base";
import {
  decodeNotes,
  KIND_BLOCK,
  LOG_PREFIX,
  RECORD_HEADER_BYTES,
  readRecordHeader,
  recordSum,
  SEGMENT_HEADER_BYTES,
} from "./block-log-format.ts";
import { goesOn, openSegment, type SegmentScan, unlessDamaged } from "./block-log-scan.ts";
import { CHECKPOINT_PREFIX } from "./checkpoint-format.ts";
import { readCheckpointHeader } from "./checkpoint-former.ts";
import { type CheckpointChain, type LoadedCheckpoint, loadChain } from "./checkpoint-loader.ts";
import { checkpointFileName, MANIFEST_FILE, type Manifest, readManifest } from "./checkpoint-manifest.ts";
import type { Disk } from "./disk.ts";
import { corrupt, type LogRecord, networkTag, numberOf, WindowReader } from "./durable-format.ts";
import { openIdentity } from "./store-identity.ts";
import { openPinned, type PinnedFile, type PinnedStore, pinnedDisk } from "./store-pin.ts";

export interface History {
  readonly networkId: Uint8Array;
  /** Ascending: a state can be had at these. */
  readonly checkpoints: readonly Height[];
  /** Of the blocks; null when there is none. */
  readonly first: Height | null;
  readonly last: Height | null;
  /** The state at the newest checkpoint at or below `height`, null when there is none. Pages beyond `hotPagesMax` stay in the files. */
  load(height: Height, options?: { readonly hotPagesMax?: number }): LoadedCheckpoint | null;
  /** From `height` on, oldest first, read as they are asked for. */
  blocks(height: Height): IterableIterator<LogRecord>;
  block(height: Height): Uint8Array | null;
  /** As it was certified; null when nobody noted it. */
  rootHash(height: Height): Uint8Array | null;
}

/** Where a block's bytes are: positions in a segment. */
interface Segment {
  readonly file: PinnedFile;
  readonly first: Height;
  /** Of the block of height `first + i`, with its header. */
  readonly offsets: number[];
}

interface Log {
  segments: Segment[];
  readonly hashes: Map<Height, Uint8Array>;
}

export function openHistory({ files }: PinnedStore): History {
  const disk = pinnedDisk(files);
  const { networkId, seed } = openIdentity(disk, {
    networkId: null,
    createIfMissing: false,
    salt: null,
    ignore: [],
  });
  const network = networkTag(networkId);
  const chains = readChains(disk, network);
  const { segments, hashes } = readLog(files, { network, seed });
  const [oldest] = segments;
  const newest = segments.at(-1);
  const blockAt = (height: Height): Uint8Array | null => {
    const segment = segments.findLast(({ first }) => first <= height);
    return segment === undefined ? null : readBlock(segment, height);
  };
  return {
    networkId,
    checkpoints: chains.map(({ height }) => height),
    first: oldest?.first ?? null,
    last: newest === undefined ? null : newest.first + newest.offsets.length - 1,
    load(height, { hotPagesMax } = {}): LoadedCheckpoint | null {
      const chain = chains.findLast((one) => one.height <= height);
      return chain === undefined ? null : loadChain(disk, chain, { networkId, hotPagesMax });
    },
    *blocks(height): IterableIterator<LogRecord> {
      for (let at = Math.max(height, oldest?.first ?? height); ; at++) {
        const bytes = blockAt(at);
        if (bytes === null) return;
        yield { height: at, bytes };
      }
    },
    block: blockAt,
    rootHash: (height) => hashes.get(height) ?? null,
  };
}

/** Every state that the files add up to, by height: those of the current chain, and those of former ones that were kept. */
function readChains(disk: Disk, network: Uint8Array): readonly CheckpointChain[] {
  const manifest: Manifest | null = readManifest(disk, network);
  const named = new Map(manifest?.chain.map((file) => [file.generation, file]));
  const chains = new Map<number, CheckpointChain>();
  for (const name of disk.list()) {
    const generation = numberOf(CHECKPOINT_PREFIX, name);
    if (generation === null) continue;
    const header = readCheckpointHeader(disk, generation, network);
    const before = header === null || header.parent === 0 ? [] : chains.get(header.parent)?.chain;
    // A file whose base is gone is no state.
    if (header === null || before === undefined) continue;
    const { sum } = named.get(generation) ?? { sum: null };
    chains.set(generation, {
      height: header.height,
      chain: [...before, { generation, bytes: disk.open(name, { create: false }).size, sum }],
    });
  }
  for (const generation of named.keys()) {
    if (!chains.has(generation)) throw corrupt(MANIFEST_FILE, `it names ${checkpointFileName(generation)}`);
  }
  return [...chains.values()].sort((a, b) => a.height - b.height);
}

/** The blocks that can be read one after the other up to the newest, and what was noted of them. */
function readLog(
  files: readonly PinnedFile[],
  options: { readonly network: Uint8Array; readonly seed: number },
): Log {
  const log: Log = { segments: [], hashes: new Map() };
  let before: Omit<SegmentScan, "end"> | null = null;
  const names = files.filter(({ name }) => numberOf(LOG_PREFIX, name) !== null);
  names.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const [at, file] of names.entries()) {
    const isLast = at === names.length - 1;
    const { network, seed } = options;
    const opened = unlessDamaged(() => openSegment(file.name, openPinned(file), { network, isLast }));
    if (opened === null) {
      // The newest may be being made just now; an older one was damaged, and what can be read begins after it.
      if (!isLast) log.segments = [];
      continue;
    }
    // Older segments were removed while this was opened, or one of them was damaged: no block is read over a gap.
    if (before !== null && !goesOn(before, opened)) log.segments = [];
    const segment: Segment = { file, first: opened.firstHeight, offsets: [] };
    const chain = readSegment(segment, log, { chain: opened.chain, seed });
    before = { nextHeight: segment.first + segment.offsets.length, chain };
    log.segments.push(segment);
  }
  return log;
}

/** Up to where the segment is whole; returns the checksum there. */
function readSegment(
  { file, first, offsets }: Segment,
  { hashes }: Log,
  start: { readonly chain: number; readonly seed: number },
): number {
  const reader = new WindowReader(openPinned(file));
  let { chain } = start;
  for (let at = SEGMENT_HEADER_BYTES; ; ) {
    const header = readRecordHeader(reader.read(at, RECORD_HEADER_BYTES));
    if (header === null || at + RECORD_HEADER_BYTES + header.length > file.bytes) return chain;
    const bytes = reader.read(at, RECORD_HEADER_BYTES + header.length);
    const isNext = header.previous === chain && header.height === first + offsets.length;
    if (!isNext || recordSum(bytes, start.seed) !== header.sum) return chain;
    if (header.kind === KIND_BLOCK) offsets.push(at);
    else
      for (const note of decodeNotes(bytes.subarray(RECORD_HEADER_BYTES)))
        hashes.set(note.height, note.rootHash);
    chain = header.sum;
    at += RECORD_HEADER_BYTES + header.length;
  }
}

function readBlock({ file, first, offsets }: Segment, height: Height): Uint8Array | null {
  const at = offsets[height - first];
  if (at === undefined) return null;
  const header = readRecordHeader(file.read(at, RECORD_HEADER_BYTES));
  assert(header !== null, `a checked record of ${file.name} is gone at ${at}`);
  return file.read(at + RECORD_HEADER_BYTES, header.length);
}
