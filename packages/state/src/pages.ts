/**
 * The page arena: 4 KiB page versions in shared slabs, readable from any thread by id (docs/ARCHITECTURE.md, "Pages"). One owner thread
 * writes. A version is immutable once its round is published; it is reclaimed by epoch: `retire` queues it under the current
 * epoch and `reclaim(upTo)` frees what no follower (query view, checkpoint writer) can still name. A version made and retired
 * within one epoch was never seen by anybody and is freed at once. Tables share a version (a snapshot and its canister) by
 * `retain`; each of them retires its own reference, and the last one counts.
 */
import { assert } from "@orrery/base";
import { PAGE_BYTES, type PageId } from "./page-table.ts";

const SLAB_PAGES = 1024;
const SLAB_BYTES: number = SLAB_PAGES * PAGE_BYTES;

/** Slabs of an arena, shareable with other threads. */
export type Slab = SharedArrayBuffer;

/** Read-only access by id; followers extend it with the slabs they are sent. */
export class PageReader {
  readonly #slabs: Uint8Array[] = [];

  addSlab(slab: Slab): void {
    this.#slabs.push(new Uint8Array(slab));
  }

  get slabCount(): number {
    return this.#slabs.length;
  }

  /** Copies page `id` to `target[offset…]`; page 0 is zeros. */
  read(id: PageId, target: Uint8Array, offset: number): void {
    if (id === 0) {
      target.fill(0, offset, offset + PAGE_BYTES);
      return;
    }
    target.set(this.view(id), offset);
  }

  /** The page's bytes in place; callers do not write. */
  view(id: PageId): Uint8Array {
    assert(id !== 0, "page 0 has no bytes in place");
    const slab = this.#slabs[Math.floor(id / SLAB_PAGES)];
    assert(slab !== undefined, `page ${id} is in a slab not known here`);
    const at = (id % SLAB_PAGES) * PAGE_BYTES;
    return slab.subarray(at, at + PAGE_BYTES);
  }
}

export class PageArena extends PageReader {
  readonly #slabList: Slab[] = [];
  readonly #free: PageId[] = [];
  /** Epoch in which each live page was allocated; index is the id. */
  #born: number[] = [];
  readonly #retired: { epoch: number; ids: PageId[] }[] = [];
  /** References beyond the first, by slab; absent where nothing is shared. */
  readonly #shared: (Uint32Array | undefined)[] = [];
  #epoch = 0;
  #live = 0;

  get livePages(): number {
    return this.#live;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Slabs from number `from` on, for followers. */
  slabs(from = 0): readonly Slab[] {
    return this.#slabList.slice(from);
  }

  /** Stores a copy of `PAGE_BYTES` bytes of `source` at `offset`; an all-zero page is a page like another. */
  allocate(source: Uint8Array, offset = 0): PageId {
    const id = this.allocateBlank();
    this.view(id).set(source.subarray(offset, offset + PAGE_BYTES));
    return id;
  }

  /** A page with unspecified bytes, to be filled through `writable` before its epoch ends. */
  allocateBlank(): PageId {
    if (this.#free.length === 0) this.#grow();
    const id = this.#free.pop() as PageId;
    this.#born[id] = this.#epoch;
    this.#live++;
    return id;
  }

  /** The bytes of a page made in this epoch, for filling in; any other page is immutable. */
  writable(id: PageId): Uint8Array {
    assert(this.isFresh(id), `page ${id} is immutable: it was made in an earlier epoch, or is shared`);
    return this.view(id);
  }

  /** Made in this epoch and named by one table only, so that it may still be overwritten. */
  isFresh(id: PageId): boolean {
    return this.#born[id] === this.#epoch && this.#extra(id) === 0;
  }

  /** One more table names this version; it goes back by as many calls of `retire`. */
  retain(id: PageId): void {
    if (id === 0) return;
    const slab = Math.floor(id / SLAB_PAGES);
    const counts = this.#shared[slab] ?? new Uint32Array(SLAB_PAGES);
    this.#shared[slab] = counts;
    counts[id % SLAB_PAGES] = (counts[id % SLAB_PAGES] as number) + 1;
  }

  #extra(id: PageId): number {
    return this.#shared[Math.floor(id / SLAB_PAGES)]?.[id % SLAB_PAGES] ?? 0;
  }

  /** Gives back a table's reference; a version that no table names any more is reclaimed later. */
  retire(id: PageId): void {
    if (id === 0) return;
    if (this.#extra(id) > 0) {
      const counts = this.#shared[Math.floor(id / SLAB_PAGES)] as Uint32Array;
      counts[id % SLAB_PAGES] = (counts[id % SLAB_PAGES] as number) - 1;
      return;
    }
    if (this.#born[id] === this.#epoch) {
      this.#release(id);
      return;
    }
    let last = this.#retired.at(-1);
    if (last === undefined || last.epoch !== this.#epoch) {
      last = { epoch: this.#epoch, ids: [] };
      this.#retired.push(last);
    }
    last.ids.push(id);
  }

  /** Ends the current epoch (a round): everything allocated so far becomes immutable. */
  advance(epoch: number): void {
    assert(epoch > this.#epoch, `epochs increase: ${epoch} after ${this.#epoch}`);
    this.#epoch = epoch;
  }

  /** Frees versions retired in epochs up to and including `epoch`: every follower has moved past it. */
  reclaim(epoch: number): void {
    while (this.#retired.length > 0 && (this.#retired[0] as { epoch: number }).epoch <= epoch) {
      const { ids } = this.#retired.shift() as { ids: PageId[] };
      for (const id of ids) this.#release(id);
    }
  }

  #release(id: PageId): void {
    this.#born[id] = -1;
    this.#live--;
    this.#free.push(id);
  }

  #grow(): void {
    const slab = new SharedArrayBuffer(SLAB_BYTES);
    const first = this.#slabList.length * SLAB_PAGES;
    this.#slabList.push(slab);
    this.addSlab(slab);
    for (let i = SLAB_PAGES - 1; i >= 0; i--) if (first + i !== 0) this.#free.push(first + i);
    this.#born.length = first + SLAB_PAGES;
    this.#born.fill(-1, first);
  }
}
