/**
 * A saved network as one piece of bytes, which travels between machines and systems: the files of its directories one after the other
 * behind a list of them, with a checksum over everything.
 */
import { type CborValue, decodeCbor, encodeCbor, equalBytes, OrreryError, utf8 } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import type { Disk, DiskFile } from "@orrery/state";
import { openInstance } from "./instance.ts";
import type { Instance, InstanceOptions } from "./types.ts";

const MAGIC: Uint8Array = utf8("ORRERYNETWORK1\n");
const SUM_BYTES = 32;
/** What one array can hold on every engine. */
const ARCHIVE_BYTES_MAX: number = 2 ** 31;
const LENGTH_BYTES = 4;

/** Files in memory; whatever is written is durable. */
class MemoryDisk implements Disk {
  readonly files: Map<string, Uint8Array>;

  constructor(files: Map<string, Uint8Array> = new Map()) {
    this.files = files;
  }

  list(): readonly string[] {
    return [...this.files.keys()].sort();
  }

  open(name: string, { create }: { readonly create: boolean }): DiskFile {
    const { files } = this;
    if (!files.has(name)) {
      if (!create) throw new OrreryError("file_missing", `there is no file ${name}`);
      files.set(name, new Uint8Array(0));
    }
    let length = (files.get(name) as Uint8Array).length;
    const room = (size: number): Uint8Array => {
      const bytes = files.get(name) as Uint8Array;
      if (size <= bytes.length) return bytes;
      const grown = new Uint8Array(Math.max(size, 2 * bytes.length));
      grown.set(bytes.subarray(0, length));
      files.set(name, grown);
      return grown;
    };
    const trim = (): void => {
      files.set(name, (files.get(name) as Uint8Array).slice(0, length));
    };
    return {
      get size(): number {
        return length;
      },
      read: (offset, count) =>
        (files.get(name) as Uint8Array).slice(offset, Math.min(offset + count, length)),
      write(offset, bytes): void {
        room(offset + bytes.length).set(bytes, offset);
        length = Math.max(length, offset + bytes.length);
      },
      truncate(size): void {
        room(size).fill(0, Math.min(length, size), size);
        length = size;
      },
      sync: trim,
      close: trim,
    };
  }

  rename(from: string, to: string): void {
    const bytes = this.files.get(from);
    if (bytes === undefined) throw new OrreryError("file_missing", `there is no file ${from}`);
    this.files.delete(from);
    this.files.set(to, bytes);
  }

  remove(name: string): void {
    this.files.delete(name);
  }

  syncDirectory(): void {}
}

/** `archive_too_large` when there is more of it than one array holds; the errors of `save`. */
export function archiveOf(instance: Instance): Uint8Array {
  const disks = new Map<string, MemoryDisk>();
  instance.save((name) => {
    const disk = disks.get(name) ?? new MemoryDisk();
    disks.set(name, disk);
    return disk;
  });
  const files = [...disks].flatMap(([folder, disk]) =>
    disk.list().map((name) => ({ folder, name, bytes: disk.files.get(name) as Uint8Array })),
  );
  const list = encodeCbor(files.map(({ folder, name, bytes }): CborValue => [folder, name, bytes.length]));
  const before = MAGIC.length + LENGTH_BYTES + list.length;
  const size = files.reduce((sum, { bytes }) => sum + bytes.length, before) + SUM_BYTES;
  if (size > ARCHIVE_BYTES_MAX) {
    throw new OrreryError(
      "archive_too_large",
      `a network of ${size} bytes does not fit one archive of ${ARCHIVE_BYTES_MAX}: save it into a directory`,
    );
  }
  const archive = new Uint8Array(size);
  archive.set(MAGIC);
  new DataView(archive.buffer).setUint32(MAGIC.length, list.length);
  archive.set(list, MAGIC.length + LENGTH_BYTES);
  let at = before;
  for (const { bytes } of files) {
    archive.set(bytes, at);
    at += bytes.length;
  }
  archive.set(sha256(archive.subarray(0, at)), at);
  return archive;
}

/** A network as it was archived; `archive_invalid` for other bytes. Of the options what `openInstance` takes. */
export function openArchive(options: InstanceOptions, archive: Uint8Array): Instance {
  const folders = foldersOf(archive);
  return openInstance(options, (name) => new MemoryDisk(folders.get(name)));
}

function foldersOf(archive: Uint8Array): Map<string, Map<string, Uint8Array>> {
  const start = MAGIC.length + LENGTH_BYTES;
  const end = archive.length - SUM_BYTES;
  if (end < start || !equalBytes(archive.subarray(0, MAGIC.length), MAGIC)) {
    throw invalid("it does not begin as one");
  }
  if (!equalBytes(sha256(archive.subarray(0, end)), archive.subarray(end))) {
    throw invalid("its checksum does not hold: it was cut off or changed on the way");
  }
  const length = new DataView(archive.buffer, archive.byteOffset).getUint32(MAGIC.length);
  const list = decodeCbor(archive.subarray(start, start + length)) as readonly (readonly [
    string,
    string,
    number,
  ])[];
  const folders = new Map<string, Map<string, Uint8Array>>();
  let at = start + length;
  for (const [folder, name, size] of list) {
    const files = folders.get(folder) ?? new Map<string, Uint8Array>();
    folders.set(folder, files.set(name, archive.slice(at, at + size)));
    at += size;
  }
  return folders;
}

function invalid(why: string): OrreryError {
  return new OrreryError("archive_invalid", `these bytes are no saved network: ${why}`);
}
