/**
 * Stable memory during one execution (interface spec, "Stable memory"): the canister's page table underneath, private copies of
 * the 4 KiB pages written so far on top. Up to 500 GiB, sparse; size in Wasm pages. Dropping the overlay is the rollback,
 * `commit` is the only way into the table. Offsets are byte offsets below 2^53, already checked against the size.
 */
import { PAGE_BYTES, type PageArena, type PageReader, type PageTable } from "@orrery/state";
import type { PagesChange } from "../types.ts";
import { packPages, storePage } from "./page-commit.ts";

/** 500 GiB in Wasm pages. */
export const STABLE_PAGES_MAX = 8_192_000;
/** Largest stable memory that the 32-bit functions can see, Wasm pages. */
export const STABLE32_PAGES_MAX = 65_536;
const WASM_PAGE_BYTES = 65_536;

/** What lies below the overlay: nothing on install and reinstall. */
export interface StableBase {
  readonly table: PageTable | null;
  readonly reader: PageReader;
}

/** What an execution begins with, and most end with; a set of its own comes with the first page. */
const NOTHING_WRITTEN: Map<number, Uint8Array> = new Map();
const NOTHING_READ: Set<number> = new Set();

export class StableOverlay {
  readonly #base: StableBase;
  #dirty: Map<number, Uint8Array> = NOTHING_WRITTEN;
  #accessed: Set<number> = NOTHING_READ;
  #pages: number;

  constructor(base: StableBase, pages: number) {
    this.#base = base;
    this.#pages = pages;
  }

  /** Size in Wasm pages. */
  get pages(): number {
    return this.#pages;
  }

  get bytes(): number {
    return this.#pages * WASM_PAGE_BYTES;
  }

  get accessedPageCount(): number {
    return this.#accessed.size;
  }

  grow(deltaPages: number): void {
    this.#pages += deltaPages;
  }

  /** An independent overlay with the same contents, for running the same execution twice. */
  fork(): StableOverlay {
    const copy = new StableOverlay(this.#base, this.#pages);
    if (this.#dirty.size === 0) return copy;
    copy.#dirty = new Map();
    for (const [index, page] of this.#dirty) copy.#dirty.set(index, page.slice());
    return copy;
  }

  /** Pages in the range that no write of this execution has touched. */
  newlyDirty(offset: number, length: number): number {
    if (length === 0) return 0;
    let count = 0;
    const last = Math.floor((offset + length - 1) / PAGE_BYTES);
    for (let index = Math.floor(offset / PAGE_BYTES); index <= last; index++) {
      if (!this.#dirty.has(index)) count++;
    }
    return count;
  }

  /** Pages in the range that this execution has neither read nor written. */
  newlyAccessed(offset: number, length: number): number {
    const first = Math.floor(offset / PAGE_BYTES);
    const last = Math.floor((offset + length - 1) / PAGE_BYTES);
    if (this.#accessed.size === 0) return last - first + 1;
    let count = 0;
    for (let index = first; index <= last; index++) {
      if (!this.#accessed.has(index)) count++;
    }
    return count;
  }

  /** Fills `target` from `offset` on. */
  read(offset: number, target: Uint8Array): void {
    if (this.#accessed === NOTHING_READ) this.#accessed = new Set();
    let at = 0;
    while (at < target.length) {
      const index = Math.floor((offset + at) / PAGE_BYTES);
      const within = (offset + at) % PAGE_BYTES;
      const length = Math.min(PAGE_BYTES - within, target.length - at);
      const page = this.#page(index);
      if (page === null) target.fill(0, at, at + length);
      else target.set(page.subarray(within, within + length), at);
      this.#accessed.add(index);
      at += length;
    }
  }

  write(offset: number, source: Uint8Array): void {
    if (this.#accessed === NOTHING_READ) this.#accessed = new Set();
    let at = 0;
    while (at < source.length) {
      const index = Math.floor((offset + at) / PAGE_BYTES);
      const within = (offset + at) % PAGE_BYTES;
      const length = Math.min(PAGE_BYTES - within, source.length - at);
      this.#writable(index).set(source.subarray(at, at + length), within);
      this.#accessed.add(index);
      at += length;
    }
  }

  /** Counts pages again from none: a new message over the same contents (callbacks of a composite query). */
  resetAccess(): void {
    this.#accessed = NOTHING_READ;
  }

  /** Puts the written pages into `table`; unchanged ones keep their version. */
  commit(table: PageTable, arena: PageArena): void {
    for (const [index, page] of this.#dirty) storePage(table, arena, index, page, 0);
    this.#dirty = NOTHING_WRITTEN;
  }

  /** The written pages, for a commit that comes later. */
  changes(): PagesChange {
    return packPages([...this.#dirty.keys()], (index) => this.#dirty.get(index) as Uint8Array);
  }

  #page(index: number): Uint8Array | null {
    const own = this.#dirty.get(index);
    if (own !== undefined) return own;
    const id = this.#base.table === null ? 0 : this.#base.table.get(index);
    return id === 0 ? null : this.#base.reader.view(id);
  }

  #writable(index: number): Uint8Array {
    const own = this.#dirty.get(index);
    if (own !== undefined) return own;
    const copy = this.#page(index)?.slice() ?? new Uint8Array(PAGE_BYTES);
    if (this.#dirty === NOTHING_WRITTEN) this.#dirty = new Map();
    this.#dirty.set(index, copy);
    return copy;
  }
}
