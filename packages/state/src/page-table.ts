/**
 * Page tables: which immutable 4 KiB page version stands at each page of a memory. Sparse and chunked, so
 * 500 GiB of addressable stable memory costs what was written. Id 0 is the all-zero page. Changes since the last `takeDelta`
 * are remembered, which is what deltas and checkpoints cost.
 */

/** Identifies a page version in a `PageArena`; 0 is the zero page. */
export type PageId = number;

export const PAGE_BYTES = 4096;
const CHUNK_PAGES = 512;

const NO_PAGES: Uint32Array = new Uint32Array(CHUNK_PAGES);

/** Flat list of (page index, page id) pairs. Indices stay below 2^27 (500 GiB), ids below 2^32. */
export type PageDelta = Uint32Array;

export class PageTable {
  readonly #chunks = new Map<number, Uint32Array>();
  #changed = new Set<number>();
  #pages = 0;

  /** Number of pages that are not the zero page. */
  get pageCount(): number {
    return this.#pages;
  }

  get(index: number): PageId {
    const chunk = this.#chunks.get(Math.floor(index / CHUNK_PAGES));
    return chunk === undefined ? 0 : (chunk[index % CHUNK_PAGES] as number);
  }

  /** Puts `id` at `index`; returns the id that stood there, whose reference passes to the caller. */
  set(index: number, id: PageId): PageId {
    const key = Math.floor(index / CHUNK_PAGES);
    let chunk = this.#chunks.get(key);
    if (chunk === undefined) {
      if (id === 0) return 0;
      chunk = new Uint32Array(CHUNK_PAGES);
      this.#chunks.set(key, chunk);
    }
    const old = chunk[index % CHUNK_PAGES] as number;
    chunk[index % CHUNK_PAGES] = id;
    if (old === 0 && id !== 0) this.#pages++;
    else if (old !== 0 && id === 0) this.#pages--;
    this.#changed.add(index);
    return old;
  }

  /** Removes every page and returns their ids (one reference each). */
  clear(): PageId[] {
    const ids: PageId[] = [];
    for (const [index, id] of this.entries()) {
      ids.push(id);
      this.#changed.add(index);
    }
    this.#chunks.clear();
    this.#pages = 0;
    return ids;
  }

  /** Non-zero pages in index order. */
  *entries(): IterableIterator<[index: number, id: PageId]> {
    for (const key of [...this.#chunks.keys()].sort((a, b) => a - b)) {
      const chunk = this.#chunks.get(key) as Uint32Array;
      for (let i = 0; i < CHUNK_PAGES; i++) {
        const id = chunk[i] as number;
        if (id !== 0) yield [key * CHUNK_PAGES + i, id];
      }
    }
  }

  /** The same pages in a table of its own, nothing of it changed; the caller retains each version. Costs the table's size. */
  clone(): PageTable {
    const copy = new PageTable();
    for (const [key, chunk] of this.#chunks) copy.#chunks.set(key, chunk.slice());
    copy.#pages = this.#pages;
    return copy;
  }

  /** Where `other` has another version than this table, in index order, with what stands there in `other`. */
  *differences(other: PageTable): IterableIterator<[index: number, id: PageId]> {
    const keys = new Set([...this.#chunks.keys(), ...other.#chunks.keys()]);
    for (const key of [...keys].sort((a, b) => a - b)) {
      const mine = this.#chunks.get(key) ?? NO_PAGES;
      const theirs = other.#chunks.get(key) ?? NO_PAGES;
      for (let i = 0; i < CHUNK_PAGES; i++) {
        if (mine[i] !== theirs[i]) yield [key * CHUNK_PAGES + i, theirs[i] as number];
      }
    }
  }

  /** Pairs changed since the last call, sorted by index. */
  takeDelta(): PageDelta {
    const indices = [...this.#changed].sort((a, b) => a - b);
    this.#changed = new Set();
    const delta = new Uint32Array(indices.length * 2);
    for (let i = 0; i < indices.length; i++) {
      delta[2 * i] = indices[i] as number;
      delta[2 * i + 1] = this.get(indices[i] as number);
    }
    return delta;
  }

  /** Applies a delta taken from another table (a mirror following its tip); does not count as a change of its own. */
  applyDelta(delta: PageDelta): void {
    for (let i = 0; i < delta.length; i += 2) {
      this.set(delta[i] as number, delta[i + 1] as number);
      this.#changed.delete(delta[i] as number);
    }
  }
}
