/**
 * Chunks of states on the disk, by their hashes: those that were fetched are there after a restart. A file of records (hash, length, bytes)
 * that only grows; nothing in it is believed before it was checked against a manifest again, so nothing in it needs to be synced.
 */
import { concatBytes, OrreryError, toHex } from "@orrery/base";
import type { Disk, DiskFile } from "../disk.ts";
import { viewOf } from "../durable-format.ts";
import { temporaryName } from "../small-file.ts";
import { STATE_CHUNK_BYTES_MAX } from "./manifest.ts";

const HASH_BYTES = 32;
const HEAD_BYTES: number = HASH_BYTES + 4;
/** What nobody needs any more may take so much, or as much as what is needed. */
const SLACK_BYTES: number = 64 << 20;

interface Place {
  readonly offset: number;
  readonly length: number;
}

export class ChunkPack {
  readonly #disk: Disk;
  readonly #name: string;
  #file: DiskFile;
  #end = 0;
  #places = new Map<string, Place>();

  constructor(disk: Disk, name: string) {
    this.#disk = disk;
    this.#name = name;
    this.#file = disk.open(name, { create: true });
    this.#scan();
  }

  /** Hashes in hexadecimal. */
  has(hash: string): boolean {
    return this.#places.has(hash);
  }

  /** As it was put, if the disk is whole; null where it never was. */
  get(hash: string): Uint8Array | null {
    const place = this.#places.get(hash);
    return place === undefined ? null : this.#file.read(place.offset, place.length);
  }

  put(hash: Uint8Array, bytes: Uint8Array): void {
    const head = new Uint8Array(HEAD_BYTES);
    head.set(hash);
    viewOf(head).setUint32(HASH_BYTES, bytes.length);
    this.#file.write(this.#end, concatBytes(head, bytes));
    this.#places.set(toHex(hash), { offset: this.#end + HEAD_BYTES, length: bytes.length });
    this.#end += HEAD_BYTES + bytes.length;
  }

  /** It is not what its hash says. */
  drop(hash: string): void {
    this.#places.delete(hash);
  }

  sync(): void {
    this.#file.sync();
  }

  /** Leaves only what is needed, when the rest has become much. */
  prune(needed: ReadonlySet<string>): void {
    const kept = [...this.#places].filter(([hash]) => needed.has(hash));
    const bytes = kept.reduce((sum, [, { length }]) => sum + HEAD_BYTES + length, 0);
    if (this.#end <= 2 * bytes + SLACK_BYTES) return;
    const draft = temporaryName(this.#name);
    removeIfThere(this.#disk, draft);
    const smaller = new ChunkPack(this.#disk, draft);
    for (const [hash, { offset, length }] of kept)
      smaller.put(this.#file.read(offset - HEAD_BYTES, HASH_BYTES), this.get(hash) ?? new Uint8Array(length));
    this.close();
    this.#disk.rename(draft, this.#name);
    this.#file = smaller.#file;
    this.#places = smaller.#places;
    this.#end = smaller.#end;
  }

  close(): void {
    this.#file.close();
  }

  /** What a power cut left behind the last whole record goes. A chunk may be empty; what was never written is zeros. */
  #scan(): void {
    for (;;) {
      const head = this.#file.read(this.#end, HEAD_BYTES);
      if (head.length < HEAD_BYTES || head.every((byte) => byte === 0)) break;
      const length = viewOf(head).getUint32(HASH_BYTES);
      const offset = this.#end + HEAD_BYTES;
      if (length > STATE_CHUNK_BYTES_MAX || offset + length > this.#file.size) break;
      this.#places.set(toHex(head.subarray(0, HASH_BYTES)), { offset, length });
      this.#end = offset + length;
    }
    this.#file.truncate(this.#end);
  }
}

export function removeIfThere(disk: Disk, name: string): void {
  try {
    disk.remove(name);
  } catch (cause) {
    if (!(cause instanceof OrreryError) || cause.code !== "file_missing") throw cause;
  }
}
