/**
 * Uploaded modules and chunks by content (code is never inline in a record). One reference is held by every
 * record that names a blob: a canister's installed module and each entry of its chunk store. Counts are not durable; they are
 * what the records say, so loading recounts them. Invariant: a key's bytes never change and must not be written to.
 */
import { assert, OrreryError, toHex } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import type { BlobKey } from "./types.ts";

interface Entry {
  readonly bytes: Uint8Array;
  references: number;
}

export class BlobStore {
  readonly #entries = new Map<BlobKey, Entry>();
  #changed = new Set<BlobKey>();
  #bytes = 0;

  /** Number of blobs held. */
  get size(): number {
    return this.#entries.size;
  }

  /** Sum of their lengths. */
  get totalBytes(): number {
    return this.#bytes;
  }

  /** Takes one reference to these bytes, storing a copy of them when they are new. */
  put(bytes: Uint8Array): BlobKey {
    const key = toHex(sha256(bytes));
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      entry.references++;
      return key;
    }
    this.#entries.set(key, { bytes: bytes.slice(), references: 1 });
    this.#bytes += bytes.length;
    this.#changed.add(key);
    return key;
  }

  /** Takes one more reference to a blob that is there. */
  retain(key: BlobKey): void {
    this.#entry(key).references++;
  }

  /** The blob's bytes; a key that no record holds is a broken invariant. */
  get(key: BlobKey): Uint8Array {
    return this.#entry(key).bytes;
  }

  has(key: BlobKey): boolean {
    return this.#entries.has(key);
  }

  /** Gives back one reference; the last one drops the blob. */
  release(key: BlobKey): void {
    const entry = this.#entry(key);
    entry.references--;
    if (entry.references > 0) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes.length;
    this.#changed.add(key);
  }

  /** Keys in byte order. */
  keys(): BlobKey[] {
    return [...this.#entries.keys()].sort();
  }

  /** Keys that appeared or disappeared since the last call; whether one is there now is `has`'s to say. */
  takeChanges(): BlobKey[] {
    const changed = [...this.#changed].sort();
    this.#changed = new Set();
    return changed;
  }

  /** The same blobs and references in a store of its own; the bytes are shared. */
  clone(): BlobStore {
    const copy = new BlobStore();
    for (const [key, entry] of this.#entries) copy.#entries.set(key, { ...entry });
    copy.#changed = new Set(this.#changed);
    copy.#bytes = this.#bytes;
    return copy;
  }

  /**
   * Fills an empty store from durable blobs: `references` names a key once per record that holds it. Blobs that nobody holds
   * are left out; a reference without bytes, or bytes that are not what their key says, are `store_corrupt`.
   */
  static restore(blobs: ReadonlyMap<BlobKey, Uint8Array>, references: Iterable<BlobKey>): BlobStore {
    const store = new BlobStore();
    for (const key of references) {
      const known = store.#entries.get(key);
      if (known !== undefined) {
        known.references++;
        continue;
      }
      const bytes = blobs.get(key);
      if (bytes === undefined || toHex(sha256(bytes)) !== key) {
        throw new OrreryError(
          "store_corrupt",
          `blob ${key} is ${bytes === undefined ? "missing" : "not what its name says"}`,
          {
            data: { blob: key },
          },
        );
      }
      store.#entries.set(key, { bytes, references: 1 });
      store.#bytes += bytes.length;
    }
    return store;
  }

  #entry(key: BlobKey): Entry {
    const entry = this.#entries.get(key);
    assert(entry !== undefined, `no blob ${key} is held`);
    return entry;
  }
}
