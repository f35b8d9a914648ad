/**
 * The disk as the durable layer sees it: a flat directory of files, synchronous, with the guarantees
 * of POSIX and no more. Bytes written but not synced may be lost, torn or reordered by a power cut; a created, renamed or removed
 * name is durable only after `syncDirectory`. `host` implements it on files, `sim` with faults.
 */
import type { OrreryError } from "@orrery/base";

export interface DiskFile {
  /** Current length in bytes. */
  readonly size: number;
  /** Reads up to `length` bytes at `offset`; shorter only at the end of the file. */
  read(offset: number, length: number): Uint8Array;
  /** Writes at `offset`, extending the file as needed. Throws `disk_full` when there is no room. */
  write(offset: number, bytes: Uint8Array): void;
  truncate(length: number): void;
  /** Returns once all bytes and the length are durable. */
  sync(): void;
  close(): void;
}

export interface Disk {
  list(): readonly string[];
  /** Opens for reading and writing; `create` makes it when missing, otherwise a missing file is `file_missing`. */
  open(name: string, options: { readonly create: boolean }): DiskFile;
  rename(from: string, to: string): void;
  remove(name: string): void;
  syncDirectory(): void;
}

export type DiskError = OrreryError & { readonly code: "disk_full" | "disk_failed" | "file_missing" };
