/**
 * The `Disk` of the state package on a directory of real files (docs/ARCHITECTURE.md "One truth"). `sync` is fsync of data and length,
 * `syncDirectory` fsync of the directory: what a power cut cannot take back.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { OrreryError } from "@orrery/base";
import type { Disk, DiskFile } from "@orrery/state";

function failure(what: string, cause: unknown): OrreryError {
  const code = (cause as NodeJS.ErrnoException).code ?? "";
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new OrreryError(
      "disk_full",
      `the disk is full: ${what} failed; free some space and start again, nothing is damaged`,
      {
        cause,
      },
    );
  }
  if (code === "ENOENT") return new OrreryError("file_missing", `${what}: no such file`, { cause });
  return new OrreryError("disk_failed", `${what} failed: ${(cause as Error).message}`, { cause });
}

function attempt<T>(what: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw failure(what, cause);
  }
}

function openFile(path: string, access: { readonly create: boolean; readonly readOnly: boolean }): DiskFile {
  const flags = access.readOnly
    ? constants.O_RDONLY
    : constants.O_RDWR | (access.create ? constants.O_CREAT : 0);
  const fd = attempt(`opening ${path}`, () => openSync(path, flags, 0o600));
  let size = fstatSync(fd).size;
  return {
    get size(): number {
      return size;
    },
    read(offset: number, length: number): Uint8Array {
      const out = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
      let done = 0;
      while (done < out.length) {
        const n = attempt(`reading ${path}`, () => readSync(fd, out, done, out.length - done, offset + done));
        if (n === 0) return out.subarray(0, done);
        done += n;
      }
      return out;
    },
    write(offset: number, bytes: Uint8Array): void {
      let done = 0;
      while (done < bytes.length) {
        done += attempt(`writing ${path}`, () =>
          writeSync(fd, bytes, done, bytes.length - done, offset + done),
        );
      }
      size = Math.max(size, offset + bytes.length);
    },
    truncate(length: number): void {
      attempt(`truncating ${path}`, () => ftruncateSync(fd, length));
      size = length;
    },
    sync(): void {
      attempt(`syncing ${path}`, () => fdatasyncSync(fd));
    },
    close(): void {
      closeSync(fd);
    },
  };
}

/** A `Disk` over an existing directory; one for reading only also where nothing may be written. */
export function createFileDisk(directory: string, options: { readonly readOnly?: boolean } = {}): Disk {
  const { readOnly = false } = options;
  return {
    list: () => attempt(`listing ${directory}`, () => readdirSync(directory).sort()),
    open: (name, { create }) => openFile(join(directory, name), { create, readOnly }),
    rename: (from, to) =>
      attempt(`renaming ${join(directory, from)}`, () =>
        renameSync(join(directory, from), join(directory, to)),
      ),
    remove: (name) => attempt(`removing ${join(directory, name)}`, () => unlinkSync(join(directory, name))),
    syncDirectory(): void {
      // Directories cannot be opened for fsync on Windows, where renames are journalled by the file system.
      if (process.platform === "win32") return;
      const fd = attempt(`opening ${directory}`, () => openSync(directory, constants.O_RDONLY));
      try {
        attempt(`syncing ${directory}`, () => fsyncSync(fd));
      } finally {
        closeSync(fd);
      }
    },
  };
}
