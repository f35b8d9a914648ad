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
  type RecordHeader,
  type RootNote,
  readRecordHeader,
  recordSum,
  SEGMENT_BYTES_DEFAULT,
  SEGMENT_HEADER_BYTES,
  sealRecord,
} from "./block-log-format.ts";
import type { Disk, DiskFile } from "./disk.ts";
import {
  corrupt,
  decodeFileHeader,
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
  /** The first block that may still be needed; segments wholly below are removed. */
  readonly keepFrom: Height;
  readonly segmentBytes?: number;
}

interface Segment {
  readonly name: string;
  readonly firstHeight: Height;
  readonly file: DiskFile;
  /** Checksum that the first record chains to. */
  readonly chain: number;
}

/** What reading a segment found: `end` is the first byte that is not part of a valid record. */
interface SegmentScan {
  readonly end: number;
  readonly chain: number;
  readonly nextHeight: Height;
}

export class BlockLog {
  readonly #disk: Disk;
  readonly #options: BlockLogOptions;
  readonly #segmentBytes: number;
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

  /** Height of the oldest record, null when there is none. */
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
    const keep = Math.max(
      0,
      this.#segments.findLastIndex(({ firstHeight }) => firstHeight <= height),
    );
    if (keep === 0) return;
    this.#attempt(() => {
      for (const { name, file } of this.#segments.slice(0, keep)) {
        file.close();
        this.#disk.remove(name);
      }
      this.#disk.syncDirectory();
    });
    this.#segments = this.#segments.slice(keep);
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
    const names = this.#disk
      .list()
      .filter((name) => numberOf(LOG_PREFIX, name) !== null)
      .sort();
    const heights = names.map((name) => numberOf(LOG_PREFIX, name) as number);
    const first = Math.max(
      0,
      heights.findLastIndex((height) => height <= this.#options.keepFrom),
    );
    const scans: SegmentScan[] = [];
    for (const [i, name] of names.entries()) {
      if (i < first) continue;
      const isLast = i === names.length - 1;
      const segment = this.#openExisting(name, isLast);
      if (segment === null) continue;
      const before = scans.at(-1);
      if (
        before !== undefined &&
        (before.nextHeight !== segment.firstHeight || before.chain !== segment.chain)
      ) {
        throw corrupt(name, `it does not continue the log, which goes on with height ${before.nextHeight}`);
      }
      const scan = this.#scan(segment);
      if (scan.end !== segment.file.size && !isLast) throw corrupt(name, `a record at byte ${scan.end}`);
      if (scan.end !== segment.file.size) this.#requireTorn(segment, scan.end);
      this.#segments.push(segment);
      scans.push(scan);
    }
    // Everything has been checked: only now is anything changed.
    for (const name of names.slice(0, first)) this.#disk.remove(name);
    const kept = this.#segments.map(({ name }) => name);
    const torn = names.slice(first).filter((name) => !kept.includes(name));
    for (const name of torn) this.#disk.remove(name);
    if (first > 0 || torn.length > 0) this.#disk.syncDirectory();
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

  /** Null for a last segment whose header never became durable: no record can have been in it. */
  #openExisting(name: string, isLast: boolean): Segment | null {
    const file = this.#disk.open(name, { create: false });
    if (isLast && file.size <= SEGMENT_HEADER_BYTES && !this.#hasWholeHeader(name, file)) {
      file.close();
      return null;
    }
    const [firstHeight, chain] = this.#header(name, file) as [number, number];
    if (firstHeight !== numberOf(LOG_PREFIX, name)) throw corrupt(name, `it begins at height ${firstHeight}`);
    return { name, firstHeight, file, chain };
  }

  #header(name: string, file: DiskFile): readonly number[] {
    const bytes = file.read(0, SEGMENT_HEADER_BYTES);
    return decodeFileHeader(name, bytes, { magic: LOG_MAGIC, network: this.#options.network, fields: 2 });
  }

  #hasWholeHeader(name: string, file: DiskFile): boolean {
    try {
      this.#header(name, file);
      return true;
    } catch (cause) {
      if (cause instanceof OrreryError && cause.code === "store_corrupt") return false;
      throw cause;
    }
  }

  #scan(segment: Segment): SegmentScan {
    const reader = new WindowReader(segment.file);
    let at = SEGMENT_HEADER_BYTES;
    let { chain, firstHeight: nextHeight } = segment;
    for (;;) {
      const header = this.#validRecord(reader, at);
      if (header === null || header.previous !== chain || header.height !== nextHeight) {
        return { end: at, chain, nextHeight };
      }
      if (header.kind === KIND_BLOCK) nextHeight++;
      chain = header.sum;
      at += RECORD_HEADER_BYTES + header.length;
    }
  }

  /** The record at `at` if its own checksum holds, whatever stands before it. */
  #validRecord(reader: WindowReader, at: number): RecordHeader | null {
    const header = readRecordHeader(reader.read(at, RECORD_HEADER_BYTES));
    if (header === null || at + RECORD_HEADER_BYTES + header.length > reader.size) return null;
    const bytes = reader.read(at, RECORD_HEADER_BYTES + header.length);
    return recordSum(bytes, this.#options.seed) === header.sum ? header : null;
  }

  /** A later record that knew the bytes at `bad` to be durable proves that they were damaged since. */
  #requireTorn(segment: Segment, bad: number): void {
    const reader = new WindowReader(segment.file);
    for (let at = bad + 1; at + RECORD_HEADER_BYTES <= reader.size; at++) {
      const start = reader.read(at, 4);
      const isMagic = start[0] === (KIND_BLOCK & 0xff) || start[0] === (KIND_MARK & 0xff);
      if (!isMagic) continue;
      const header = this.#validRecord(reader, at);
      if (header !== null && header.durable > bad)
        throw corrupt(segment.name, `a record at byte ${bad}, which had been synced`);
    }
  }
}
