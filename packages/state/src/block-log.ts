/**
 * The block log: the truth of a node, in segments of consecutive heights (docs/ARCHITECTURE.md, "One truth"). Records carry chained checksums
 * and the length known to be durable when they were written, so that after a power cut a torn tail (dropped: nobody was told of
 * it) is told from damage to what had been synced (`store_corrupt`: never skipped). Invariants: a segment's header is durable
 * before its first record, a segment is wholly durable before the next one exists, heights are consecutive across segments.
 */
import { assert, concatBytes, type Height, OrreryError } from "@orrery/base";
import {
  encodeNotes,
  KIND_BLOCK,
  KIND_MARK,
  LOG_MAGIC,
  LOG_PREFIX,
  LOG_RECORD_BYTES_MAX,
  RECORD_HEADER_BYTES,
  type RootNote,
  readRecordHeader,
  SEGMENT_BYTES_DEFAULT,
  SEGMENT_HEADER_BYTES,
  sealRecord,
} from "./block-log-format.ts";
import {
  goesOn,
  openSegment,
  requireTorn,
  type Segment,
  type SegmentScan,
  scanSegment,
} from "./block-log-scan.ts";
import type { Disk } from "./disk.ts";
import {
  corrupt,
  encodeFileHeader,
  type LogRecord,
  numberedName,
  numberOf,
  STREAM_BYTES,
  WindowReader,
} from "./durable-format.ts";

export interface BlockLogOptions {
  /** `networkTag` of the network. */
  readonly network: Uint8Array;
  /** Start value of checksums, not guessable by who writes messages: nothing inside a block passes for a record. */
  readonly seed: number;
  /** The first block that may not be removed; segments wholly below go. */
  readonly keepFrom: Height;
  /** The first block that the node needs, at or after `keepFrom`: from its segment on the log must be whole. */
  readonly neededFrom: Height;
  readonly segmentBytes?: number;
}

/** A segment that only history reads: nothing here opens it, and damage to it stops nobody. */
type FormerSegment = Pick<Segment, "name" | "firstHeight">;

export class BlockLog {
  readonly #disk: Disk;
  readonly #options: BlockLogOptions;
  readonly #segmentBytes: number;
  #former: FormerSegment[] = [];
  #segments: Segment[] = [];
  /** Length and checksum chain of the last segment, pending records included. */
  #end = 0;
  #chain = 0;
  #durable = 0;
  #nextHeight: Height | null = null;
  #durableHeight: Height | null = null;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** Records were appended since the last sync. */
  #unsynced = false;
  /** For the next mark. */
  #notes: RootNote[] = [];
  #failed: unknown = null;

  constructor(disk: Disk, options: BlockLogOptions) {
    this.#disk = disk;
    this.#options = options;
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES_DEFAULT;
    try {
      this.#recover();
    } catch (cause) {
      for (const { file } of this.#segments) file.close();
      throw cause;
    }
  }

  /** Height of the newest durable record, null when there is none. */
  get durableHeight(): Height | null {
    return this.#durableHeight;
  }

  /** Height of the oldest record that was needed at the start or came later, null when there is none. */
  get firstHeight(): Height | null {
    return this.#durableHeight === null ? null : (this.#segments[0] as Segment).firstHeight;
  }

  /** Whether there is a file of the log at all. */
  get exists(): boolean {
    return this.#segments.length > 0;
  }

  /** Makes the log's first file if there is none, durably: from here on a log that is missing has been lost. */
  begin(firstHeight: Height): void {
    if (this.exists) return;
    this.#checkUsable();
    this.#attempt(() => this.#openSegment(firstHeight));
    this.#nextHeight = firstHeight;
  }

  /** Queues a record; it is durable once `sync` returned. Heights are consecutive. */
  append(record: LogRecord): void {
    this.#checkUsable();
    assert(
      record.bytes.length <= LOG_RECORD_BYTES_MAX,
      `a log record of ${record.bytes.length} bytes is over the limit`,
    );
    assert(
      this.#nextHeight === null || record.height === this.#nextHeight,
      `the log continues with height ${this.#nextHeight}, not ${record.height}`,
    );
    if (this.#segments.length === 0) this.#attempt(() => this.#openSegment(record.height));
    this.#queue(KIND_BLOCK, record.height, record.bytes);
    this.#nextHeight = record.height + 1;
    this.#unsynced = true;
    if (this.#pendingBytes > STREAM_BYTES) this.#attempt(() => this.#flush());
  }

  /** Makes everything appended durable; returns the newest durable height. One disk sync whatever the number of records. */
  sync(): Height | null {
    this.#checkUsable();
    if (!this.#unsynced) return this.#durableHeight;
    this.#attempt(() => {
      this.#flush();
      this.#last().file.sync();
      this.#unsynced = false;
      this.#durable = this.#end;
      this.#durableHeight = (this.#nextHeight as Height) - 1;
      this.#mark();
      if (this.#end >= this.#segmentBytes) this.#rotate();
    });
    return this.#durableHeight;
  }

  /** Keeps what a block led to, for whoever runs it again; nobody waits for it, and a crash may take it. */
  note(note: RootNote): void {
    this.#checkUsable();
    this.#notes.push(note);
    if (!this.#unsynced && this.exists) this.#attempt(() => this.#mark());
  }

  /** Durable records from `height` on, oldest first, read as they are asked for. */
  *records(height: Height): IterableIterator<LogRecord> {
    const segments = this.#segments;
    for (const [i, segment] of segments.entries()) {
      const next = segments[i + 1];
      if (next !== undefined && next.firstHeight <= height) continue;
      const end = next === undefined ? this.#durable : segment.file.size;
      const reader = new WindowReader(segment.file);
      for (let at = SEGMENT_HEADER_BYTES; at < end; ) {
        const header = readRecordHeader(reader.read(at, RECORD_HEADER_BYTES));
        assert(header !== null, `a checked record of ${segment.name} is gone at ${at}`);
        const length = header.length;
        if (header.kind === KIND_BLOCK && header.height >= height) {
          yield { height: header.height, bytes: reader.read(at + RECORD_HEADER_BYTES, length).slice() };
        }
        at += RECORD_HEADER_BYTES + length;
      }
    }
  }

  /** Removes segments that hold only records below `height`; the caller has made them superfluous durably. */
  prune(height: Height): void {
    this.#checkUsable();
    const all: readonly FormerSegment[] = [...this.#former, ...this.#segments];
    const keep = segmentOf(all, height);
    if (keep === 0) return;
    const kept = Math.max(0, keep - this.#former.length);
    this.#attempt(() => {
      for (const { file } of this.#segments.slice(0, kept)) file.close();
      for (const { name } of all.slice(0, keep)) this.#disk.remove(name);
      this.#disk.syncDirectory();
    });
    this.#former = this.#former.slice(keep);
    this.#segments = this.#segments.slice(kept);
  }

  /** Syncs what is pending and closes the files. */
  close(): void {
    try {
      if (this.#failed === null && this.#segments.length > 0) {
        this.sync();
        // The mark becomes durable too: from here on any damage shows.
        this.#attempt(() => this.#last().file.sync());
      }
    } finally {
      for (const { file } of this.#segments) file.close();
      this.#segments = [];
      this.#failed ??= new OrreryError("store_closed", "the store is closed; open it again");
    }
  }

  #last(): Segment {
    return this.#segments.at(-1) as Segment;
  }

  #checkUsable(): void {
    if (this.#failed !== null) throw this.#failed;
  }

  /** After a failed write or sync nothing is known about what is on the disk: only opening anew may go on. */
  #attempt(action: () => void): void {
    try {
      action();
    } catch (cause) {
      this.#failed = cause;
      throw cause;
    }
  }

  #queue(kind: number, height: Height, payload: Uint8Array): void {
    const out = sealRecord(payload, {
      kind,
      height,
      durable: this.#durable,
      previous: this.#chain,
      seed: this.#options.seed,
    });
    this.#chain = out.sum;
    this.#pending.push(out.bytes);
    this.#pendingBytes += out.bytes.length;
    this.#end += out.bytes.length;
  }

  #flush(): void {
    if (this.#pending.length === 0) return;
    this.#last().file.write(this.#end - this.#pendingBytes, concatBytes(...this.#pending));
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  /** Notes in the file what is durable, so that damage to the newest records shows; the next sync makes the note durable. */
  #mark(): void {
    const payload = encodeNotes(this.#notes);
    this.#notes = [];
    this.#queue(KIND_MARK, (this.#nextHeight ?? this.#last().firstHeight) as Height, payload);
    this.#flush();
  }

  #rotate(): void {
    this.#last().file.sync();
    this.#openSegment(this.#nextHeight as Height);
  }

  #openSegment(firstHeight: Height): void {
    const name = numberedName(LOG_PREFIX, firstHeight);
    const file = this.#disk.open(name, { create: true });
    const header = encodeFileHeader({
      magic: LOG_MAGIC,
      network: this.#options.network,
      fields: [firstHeight, this.#chain],
    });
    file.truncate(0);
    file.write(0, header);
    file.sync();
    this.#disk.syncDirectory();
    this.#segments.push({ name, firstHeight, file, chain: this.#chain });
    this.#end = header.length;
    this.#durable = header.length;
  }

  #recover(): void {
    const { keepFrom, neededFrom, network, seed } = this.#options;
    const listed = this.#disk.list().flatMap((name): readonly FormerSegment[] => {
      const firstHeight = numberOf(LOG_PREFIX, name);
      return firstHeight === null ? [] : [{ name, firstHeight }];
    });
    listed.sort((a, b) => a.firstHeight - b.firstHeight);
    const first = segmentOf(listed, keepFrom);
    const needed = Math.max(first, segmentOf(listed, neededFrom));
    const names = listed.map(({ name }) => name);
    const scans: SegmentScan[] = [];
    for (const [i, name] of names.entries()) {
      if (i < needed) continue;
      const isLast = i === names.length - 1;
      const file = this.#disk.open(name, { create: false });
      const segment = openSegment(name, file, { network, isLast });
      if (segment === null) {
        file.close();
        continue;
      }
      const before = scans.at(-1);
      if (before !== undefined && !goesOn(before, segment)) {
        throw corrupt(name, `it does not continue the log, which goes on with height ${before.nextHeight}`);
      }
      const scan = scanSegment(segment, seed);
      if (scan.end !== segment.file.size && !isLast) throw corrupt(name, `a record at byte ${scan.end}`);
      if (scan.end !== segment.file.size) requireTorn(segment, scan.end, seed);
      this.#segments.push(segment);
      scans.push(scan);
    }
    // Everything has been checked: only now is anything changed.
    for (const name of names.slice(0, first)) this.#disk.remove(name);
    const kept = this.#segments.map(({ name }) => name);
    const torn = names.slice(needed).filter((name) => !kept.includes(name));
    for (const name of torn) this.#disk.remove(name);
    if (first > 0 || torn.length > 0) this.#disk.syncDirectory();
    this.#former = listed.slice(first, needed);
    const last = scans.at(-1);
    if (last !== undefined) this.#resume(last);
  }

  #resume(scan: SegmentScan): void {
    const { file } = this.#last();
    if (scan.end !== file.size) file.truncate(scan.end);
    file.sync();
    this.#end = scan.end;
    this.#durable = scan.end;
    this.#chain = scan.chain;
    this.#nextHeight = scan.nextHeight;
    const first = (this.#segments[0] as Segment).firstHeight;
    this.#durableHeight = scan.nextHeight > first ? scan.nextHeight - 1 : null;
    this.#mark();
    file.sync();
    this.#durable = this.#end;
  }
}

/** Index of the segment that `height` is in, 0 when all begin after it. */
function segmentOf(segments: readonly FormerSegment[], height: Height): number {
  return Math.max(
    0,
    segments.findLastIndex(({ firstHeight }) => firstHeight <= height),
  );
}
