/**
 * What a member persisted, on the disk: its own signatures, which it must never contradict after a restart, and what others' signatures
 * added up to. Files of records beside the subnet's block log; a file goes when all of it is below what the member still needs. A
 * record is length, height, a checksum of both and the artifact, and the artifact; what a power cut tore off the newest file's end is cut.
 */
import { assert, concatBytes, type Height, OrreryError, readU64be, u64be } from "@orrery/base";
import { checksum, type Disk, type DiskFile } from "@orrery/state";

const NAME = /^artifacts-(\d{12})$/;
/** A file that has grown to this is followed by another. */
const FILE_BYTES_MAX: number = 16 * 1024 * 1024;
/** Length, height, checksum. */
const HEAD_BYTES = 24;
const CHECKED_HEAD_BYTES = 16;
/** No artifact is longer: a block's inputs, and room. */
const RECORD_BYTES_MAX: number = 16 * 1024 * 1024;

export interface ArtifactRecord {
  readonly height: Height;
  readonly bytes: Uint8Array;
}

/** Names that the log keeps in a subnet's store. */
export function artifactFiles(disk: Disk): readonly string[] {
  return disk.list().filter((name) => NAME.test(name));
}

const nameOf = (number: number): string => `artifacts-${`${number}`.padStart(12, "0")}`;

function encodeRecord({ height, bytes }: ArtifactRecord): Uint8Array {
  const head = concatBytes(u64be(BigInt(bytes.length)), u64be(BigInt(height)));
  return concatBytes(head, u64be(BigInt(checksum(bytes, checksum(head)))), bytes);
}

/** The record at `at`; null where there is none that is whole. */
function readRecord(file: DiskFile, at: number): ArtifactRecord | null {
  const head = file.read(at, HEAD_BYTES);
  if (head.length < HEAD_BYTES) return null;
  const length = Number(readU64be(head));
  // What a power cut left empty reads as zeros: no record has no bytes.
  if (length === 0 || length > RECORD_BYTES_MAX) return null;
  const bytes = file.read(at + HEAD_BYTES, length);
  const sum = checksum(bytes, checksum(head.subarray(0, CHECKED_HEAD_BYTES)));
  if (bytes.length < length || BigInt(sum) !== readU64be(head, CHECKED_HEAD_BYTES)) return null;
  return { height: Number(readU64be(head, 8)), bytes };
}

/** The whole records of a file, and how many bytes they take. */
function readRecords(file: DiskFile): { readonly records: readonly ArtifactRecord[]; readonly end: number } {
  const records: ArtifactRecord[] = [];
  let end = 0;
  for (let next = readRecord(file, end); next !== null; next = readRecord(file, end)) {
    records.push(next);
    end += HEAD_BYTES + next.bytes.length;
  }
  return { records, end };
}

/** One file: its number, the greatest height in it. */
interface Part {
  readonly number: number;
  newest: Height;
}

export class ArtifactLog {
  readonly #disk: Disk;
  /** Oldest first; the last is written to. */
  readonly #parts: Part[];
  #file: DiskFile;
  #dirty = false;

  private constructor(disk: Disk, parts: Part[]) {
    this.#disk = disk;
    this.#parts = parts;
    this.#file = this.#begin();
  }

  /**
   * `recovered`: in their order, as they are now; the log does not keep them. `store_corrupt` where a file but the newest ends in something
   * else than a record.
   */
  static open(disk: Disk): { readonly log: ArtifactLog; readonly recovered: readonly ArtifactRecord[] } {
    const recovered: ArtifactRecord[] = [];
    const parts: Part[] = [];
    const names = artifactFiles(disk);
    for (const [i, name] of names.entries()) {
      const file = disk.open(name, { create: false });
      const { records, end } = readRecords(file);
      if (end < file.size) {
        if (i < names.length - 1) throw damaged(name);
        file.truncate(end);
        file.sync();
      }
      file.close();
      for (const record of records) recovered.push(record);
      parts.push({
        number: Number(NAME.exec(name)?.[1]),
        newest: records.reduce((newest, { height }) => Math.max(newest, height), 0),
      });
    }
    return { log: new ArtifactLog(disk, parts), recovered };
  }

  append(record: ArtifactRecord): void {
    if (this.#file.size >= FILE_BYTES_MAX) {
      this.sync();
      this.#file.close();
      this.#file = this.#begin();
    }
    const part = this.#parts.at(-1);
    assert(part !== undefined, "there is a file to write to");
    part.newest = Math.max(part.newest, record.height);
    this.#file.write(this.#file.size, encodeRecord(record));
    this.#dirty = true;
  }

  /** Everything appended is durable once it returns. */
  sync(): void {
    if (!this.#dirty) return;
    this.#file.sync();
    this.#dirty = false;
  }

  /** What is below is not needed any more. */
  purge(below: Height): void {
    const last = this.#parts.at(-1);
    // The next file to go is the one that is written to: another takes its place.
    if (last !== undefined && last.newest > 0 && this.#parts.length === 1) {
      this.sync();
      this.#file.close();
      this.#file = this.#begin();
    }
    while (this.#parts.length > 1 && (this.#parts[0] as Part).newest < below)
      this.#disk.remove(nameOf((this.#parts.shift() as Part).number));
  }

  close(): void {
    this.sync();
    this.#file.close();
  }

  #begin(): DiskFile {
    const number = (this.#parts.at(-1)?.number ?? 0) + 1;
    this.#parts.push({ number, newest: 0 });
    const file = this.#disk.open(nameOf(number), { create: true });
    this.#disk.syncDirectory();
    return file;
  }
}

function damaged(name: string): OrreryError {
  return new OrreryError(
    "store_corrupt",
    `${name} is damaged: it ends in the middle of a record and others follow it; restore the state directory from a copy`,
  );
}
