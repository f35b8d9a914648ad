/**
 * Page tables: which immutable 4 KiB page version stands at each page of a memory. Sparse, so that 500 GiB of addressable stable
 * memory costs what was written, and small while few pages are: a sorted list first, chunks of 512 pages from then on. Id 0 is the
 * all-zero page. Changes since the last `takeDelta` are remembered, which is what deltas and checkpoints cost.
 */

/** Identifies a page version in a `PageArena`; 0 is the zero page. */
export type PageId = number;

export const PAGE_BYTES = 4096;
const CHUNK_PAGES = 512;
/** Pages that the list may hold; a chunk with fewer takes more room than they. */
const LISTED_MAX = 128;
const LIST_GROWTH = 16;

const NO_PAGES: Uint32Array = new Uint32Array(CHUNK_PAGES);
const NO_DELTA: Uint32Array = new Uint32Array(0);

/** Flat list of (page index, page id) pairs. Indices stay below 2^27 (500 GiB), ids below 2^32. */
export type PageDelta = Uint32Array;

export class PageTable {
  /** Pairs sorted by index, `#pages` of them; in use until there are chunks. */
  #list: Uint32Array = NO_DELTA;
  #chunks: Map<number, Uint32Array> | null = null;
  /** Chunks that a clone has too: copied before they are written. */
  #shared: Set<number> | null = null;
  #changed: Set<number> | null = null;
  #pages = 0;

  /** Number of pages that are not the zero page. */
  get pageCount(): number {
    return this.#pages;
  }

  get(index: number): PageId {
    if (this.#chunks === null) {
      const at = this.#find(index);
      return this.#list[2 * at] === index && at < this.#pages ? (this.#list[2 * at + 1] as number) : 0;
    }
    const chunk = this.#chunks.get(Math.floor(index / CHUNK_PAGES));
    return chunk === undefined ? 0 : (chunk[index % CHUNK_PAGES] as number);
  }

  /** Puts `id` at `index`; returns the id that stood there, whose reference passes to the caller. */
  set(index: number, id: PageId): PageId {
    const old = this.#put(index, id);
    if (old !== 0 || id !== 0) {
      this.#changed ??= new Set();
      this.#changed.add(index);
    }
    return old;
  }

  /** Removes every page and returns their ids (one reference each). */
  clear(): PageId[] {
    const ids: PageId[] = [];
    for (const [index, id] of this.entries()) {
      ids.push(id);
      this.#changed ??= new Set();
      this.#changed.add(index);
    }
    this.#list = NO_DELTA;
    this.#chunks = null;
    this.#shared = null;
    this.#pages = 0;
    return ids;
  }

  /** Non-zero pages in index order. */
  *entries(): IterableIterator<[index: number, id: PageId]> {
    if (this.#chunks === null) {
      for (let i = 0; i < 2 * this.#pages; i += 2)
        yield [this.#list[i] as number, this.#list[i + 1] as number];
      return;
    }
    for (const key of [...this.#chunks.keys()].sort((a, b) => a - b)) {
      const chunk = this.#chunks.get(key) as Uint32Array;
      for (let i = 0; i < CHUNK_PAGES; i++) {
        const id = chunk[i] as number;
        if (id !== 0) yield [key * CHUNK_PAGES + i, id];
      }
    }
  }

  /** The non-zero pages in index order: what a table that has none becomes the same by. Faster than `entries`. */
  pairs(): PageDelta {
    if (this.#chunks === null) return this.#list.slice(0, 2 * this.#pages);
    const pairs = new Uint32Array(2 * this.#pages);
    let at = 0;
    for (const key of [...this.#chunks.keys()].sort((a, b) => a - b)) {
      const chunk = this.#chunks.get(key) as Uint32Array;
      for (let i = 0; i < CHUNK_PAGES; i++) {
        const id = chunk[i] as number;
        if (id === 0) continue;
        pairs[at++] = key * CHUNK_PAGES + i;
        pairs[at++] = id;
      }
    }
    return pairs;
  }

  /** Visits the non-zero pages, neighbours together but in no other order; the table must not change meanwhile. Faster than `entries`. */
  forEachPage(visit: (id: PageId) => void): void {
    if (this.#chunks === null) {
      for (let i = 1; i < 2 * this.#pages; i += 2) visit(this.#list[i] as number);
      return;
    }
    for (const chunk of this.#chunks.values()) {
      for (let i = 0; i < CHUNK_PAGES; i++) {
        const id = chunk[i] as number;
        if (id !== 0) visit(id);
      }
    }
  }

  /** The same pages in a table of its own, nothing of it changed; the caller retains each version. Costs a chunk's worth each. */
  clone(): PageTable {
    const copy = new PageTable();
    copy.#list = this.#list.slice(0, 2 * this.#pages);
    if (this.#chunks !== null) {
      copy.#chunks = new Map(this.#chunks);
      copy.#shared = new Set(this.#chunks.keys());
      this.#shared = new Set(this.#chunks.keys());
    }
    copy.#pages = this.#pages;
    return copy;
  }

  /**
   * Where `other` has another version than this table, in index order, with what stands there in `other`; also pages of the same
   * version that `isOther` calls another one, among those near which something was set since one table was cloned from the other.
   */
  *differences(
    other: PageTable,
    isOther: (id: PageId) => boolean = () => false,
  ): IterableIterator<[index: number, id: PageId]> {
    const [mine, theirs] = [this.#chunked(), other.#chunked()];
    const keys = new Set([...mine.keys(), ...theirs.keys()]);
    for (const key of [...keys].sort((a, b) => a - b)) {
      const before = mine.get(key) ?? NO_PAGES;
      const after = theirs.get(key) ?? NO_PAGES;
      if (before === after) continue;
      for (let i = 0; i < CHUNK_PAGES; i++) {
        const id = after[i] as number;
        if (before[i] !== id || (id !== 0 && isOther(id))) yield [key * CHUNK_PAGES + i, id];
      }
    }
  }

  /** Pairs changed since the last call, sorted by index. */
  takeDelta(): PageDelta {
    if (this.#changed === null) return NO_DELTA;
    const indices = Uint32Array.from(this.#changed).sort();
    this.#changed = null;
    const delta = new Uint32Array(indices.length * 2);
    for (let i = 0; i < indices.length; i++) {
      delta[2 * i] = indices[i] as number;
      delta[2 * i + 1] = this.get(indices[i] as number);
    }
    return delta;
  }

  /** Applies a delta taken from another table (a mirror following its tip); does not count as a change of its own. */
  applyDelta(delta: PageDelta): void {
    if (this.#pages === 0 && delta.length <= 2 * LISTED_MAX && isList(delta)) {
      // What a new mirror is told first: the list as it stands.
      this.#list = delta.slice();
      this.#chunks = null;
      this.#shared = null;
      this.#pages = delta.length / 2;
    } else {
      for (let i = 0; i < delta.length; i += 2) this.#put(delta[i] as number, delta[i + 1] as number);
    }
    if (this.#changed === null) return;
    for (let i = 0; i < delta.length; i += 2) this.#changed.delete(delta[i] as number);
  }

  /** As `set`, but no change of its own: the table is being put together. */
  place(index: number, id: PageId): PageId {
    return this.#put(index, id);
  }

  /** The same for ids that follow one another from `first` on, at these places in any order; `replaced` hears what stood there. */
  placeRun(indices: Uint32Array, first: PageId, replaced: (id: PageId) => void): void {
    let done = 0;
    while (done < indices.length && this.#chunks === null) {
      const old = this.#put(indices[done] as number, first + done);
      if (old !== 0) replaced(old);
      done++;
    }
    let chunk = NO_PAGES;
    let key = -1;
    for (; done < indices.length; done++) {
      const index = indices[done] as number;
      const place = index % CHUNK_PAGES;
      if (key !== (index - place) / CHUNK_PAGES) {
        // The first of a chunk the long way: the chunk is there then, and no clone has it.
        const old = this.#put(index, first + done);
        if (old !== 0) replaced(old);
        key = (index - place) / CHUNK_PAGES;
        chunk = this.#chunks?.get(key) as Uint32Array;
        continue;
      }
      const old = chunk[place] as number;
      chunk[place] = first + done;
      if (old === 0) this.#pages++;
      else replaced(old);
    }
  }

  #put(index: number, id: PageId): PageId {
    if (this.#chunks === null) {
      const at = this.#find(index);
      if (at < this.#pages && this.#list[2 * at] === index) return this.#replaceListed(at, id);
      if (id === 0) return 0;
      if (this.#pages < LISTED_MAX) {
        this.#insertListed(at, index, id);
        return 0;
      }
      this.#chunks = this.#chunked();
      this.#list = NO_DELTA;
    }
    return this.#putChunked(this.#chunks, index, id);
  }

  #putChunked(chunks: Map<number, Uint32Array>, index: number, id: PageId): PageId {
    const key = Math.floor(index / CHUNK_PAGES);
    let chunk = chunks.get(key);
    if (chunk === undefined) {
      if (id === 0) return 0;
      chunk = new Uint32Array(CHUNK_PAGES);
      chunks.set(key, chunk);
    }
    if (this.#shared?.delete(key) === true) {
      chunk = chunk.slice();
      chunks.set(key, chunk);
    }
    const old = chunk[index % CHUNK_PAGES] as number;
    chunk[index % CHUNK_PAGES] = id;
    if (old === 0 && id !== 0) this.#pages++;
    else if (old !== 0 && id === 0) this.#pages--;
    return old;
  }

  /** Position of the first listed page at or above `index`. */
  #find(index: number): number {
    let low = 0;
    let high = this.#pages;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#list[2 * middle] as number) < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #replaceListed(at: number, id: PageId): PageId {
    const old = this.#list[2 * at + 1] as number;
    if (id === 0) {
      this.#list.copyWithin(2 * at, 2 * at + 2, 2 * this.#pages);
      this.#pages--;
    } else {
      this.#list[2 * at + 1] = id;
    }
    return old;
  }

  #insertListed(at: number, index: number, id: PageId): void {
    if (2 * this.#pages === this.#list.length) {
      const longer = new Uint32Array(this.#list.length + 2 * LIST_GROWTH);
      longer.set(this.#list);
      this.#list = longer;
    }
    this.#list.copyWithin(2 * at + 2, 2 * at, 2 * this.#pages);
    this.#list[2 * at] = index;
    this.#list[2 * at + 1] = id;
    this.#pages++;
  }

  /** The pages in chunks, those of the table itself when it has some. */
  #chunked(): Map<number, Uint32Array> {
    if (this.#chunks !== null) return this.#chunks;
    const chunks = new Map<number, Uint32Array>();
    for (const [index, id] of this.entries()) {
      const key = Math.floor(index / CHUNK_PAGES);
      let chunk = chunks.get(key);
      if (chunk === undefined) {
        chunk = new Uint32Array(CHUNK_PAGES);
        chunks.set(key, chunk);
      }
      chunk[index % CHUNK_PAGES] = id;
    }
    return chunks;
  }
}

/** Ascending indices, no zero page. */
function isList(delta: PageDelta): boolean {
  for (let i = 0; i < delta.length; i += 2) {
    if (delta[i + 1] === 0 || (i > 0 && (delta[i - 2] as number) >= (delta[i] as number))) return false;
  }
  return true;
}
