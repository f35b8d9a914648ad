/**
 * The page arena: 4 KiB page versions by id, readable from any thread (docs/ARCHITECTURE.md, "Pages"). Versions in use are hot, in
 * shared slabs; what a checkpoint file holds may be cold, on the disk only, when there are more of them than `hotPagesMax`. One owner
 * thread writes. A version is immutable once its round is published; it is reclaimed by epoch: `retire` queues it under the
 * current epoch and `reclaim(upTo)` frees what no follower (query view, checkpoint writer) can still name. A version made and
 * retired within one epoch was never seen by anybody and is freed at once. Tables share a version (a snapshot and its canister,
 * canisters of one module) by `retain`; each of them retires its own reference, and the last one counts.
 */
import { assert } from "@orrery/base";
import { type ColdPages, PAGE_UNITS, type PageLocation } from "./cold-pages.ts";
import { DIRECTORY_BYTES, DIRECTORY_IDS } from "./page-directory.ts";
import { PageReader, SLAB_PAGES, type Slab } from "./page-reader.ts";
import { PAGE_BYTES, type PageId } from "./page-table.ts";

const SLAB_BYTES: number = SLAB_PAGES * PAGE_BYTES;

/** Shared where memory can be; a web page that is not isolated from other origins has one thread only, so that nothing is lost. */
function newBuffer(bytes: number): SharedArrayBuffer {
  return typeof SharedArrayBuffer === "undefined"
    ? (new ArrayBuffer(bytes) as unknown as SharedArrayBuffer)
    : new SharedArrayBuffer(bytes);
}

export interface ArenaOptions {
  /** The checkpoint files; without them every page stays in memory. */
  readonly cold?: ColdPages | undefined;
  /** Versions kept in memory beside those that no checkpoint holds yet; unlimited by default. */
  readonly hotPagesMax?: number | undefined;
}

interface Retired {
  readonly epoch: number;
  readonly ids: PageId[];
  /** Slots of pages that went cold, which followers may be looking at. */
  readonly slots: number[];
}

export class PageArena extends PageReader {
  readonly #slabList: Slab[] = [];
  readonly #hotPagesMax: number;
  /** Ids and slots from here on were never used; 0 stands for the zero page, and for no slot. */
  #nextId = 1;
  #nextSlot = 1;
  /** By slab of pages: the version in each slot. */
  readonly #occupants: Uint32Array[] = [];
  /** Slot at which the search for pages that may go cold goes on. */
  #hand = 1;
  readonly #freeIds: PageId[] = [];
  readonly #freeSlots: number[] = [];
  /** By directory slab: references to each version, and the epoch in which it was made. */
  readonly #references: Uint32Array[] = [];
  readonly #born: Uint32Array[] = [];
  readonly #retired: Retired[] = [];
  #epoch = 0;
  #reclaimed = -1;
  #live = 0;
  #hot = 0;

  constructor(options: ArenaOptions = {}) {
    super({ cold: options.cold });
    const { hotPagesMax = Number.POSITIVE_INFINITY } = options;
    this.#hotPagesMax = options.cold === undefined ? Number.POSITIVE_INFINITY : hotPagesMax;
  }

  get livePages(): number {
    return this.#live;
  }

  /** Versions whose bytes are in memory. */
  get hotPages(): number {
    return this.#hot;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Up to which epoch versions were reclaimed. */
  get reclaimedEpoch(): number {
    return this.#reclaimed;
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
    const id = this.#newId();
    this.directory.setSlot(id, this.#takeSlot(id));
    this.#setCounts(id, 1, this.#epoch);
    this.#live++;
    return id;
  }

  /**
   * Versions that stand behind one another in a checkpoint file from `location` on, with these checksums: one reference each, which
   * `retire` takes back. Returns the first of their ids, which follow one another. Before the first round only, when nobody else reads.
   */
  adoptRun({ generation, unit }: Pick<PageLocation, "generation" | "unit">, sums: Uint32Array): PageId {
    const first = this.#nextId;
    for (let done = 0; done < sums.length; ) {
      if (this.#nextId >= this.directory.capacity) this.#moreIds();
      const room = DIRECTORY_IDS - (this.#nextId % DIRECTORY_IDS);
      const part = sums.subarray(done, done + room);
      this.directory.setRun(this.#nextId, { generation, unit: unit + done * PAGE_UNITS }, part);
      const slab = Math.floor(this.#nextId / DIRECTORY_IDS);
      const at = this.#nextId % DIRECTORY_IDS;
      (this.#references[slab] as Uint32Array).fill(1, at, at + part.length);
      this.#nextId += part.length;
      this.#live += part.length;
      done += part.length;
    }
    return first;
  }

  /** Brings every cold version into memory. Cost: all of them. */
  warm(): void {
    for (let id = 1; id < this.#nextId; id++) {
      if (this.directory.slot(id) !== 0 || !this.directory.isStored(id)) continue;
      const bytes = this.view(id);
      const slot = this.#takeSlot(id);
      this.directory.setSlot(id, slot);
      this.view(id).set(bytes);
    }
  }

  /** The bytes of a page made in this epoch, for filling in; any other page is immutable. */
  writable(id: PageId): Uint8Array {
    assert(this.isFresh(id), `page ${id} is immutable: it was made in an earlier epoch, or is shared`);
    return this.view(id);
  }

  /** Made in this epoch and named by one table only, so that it may still be overwritten. */
  isFresh(id: PageId): boolean {
    return this.#referencesTo(id) === 1 && this.#bornIn(id) === this.#epoch && this.directory.slot(id) !== 0;
  }

  /**
   * Whether whoever read the version before `epoch` ended has its bytes. Otherwise they may have been written in place since, or the
   * id may be another version's by now.
   */
  isOlderThan(id: PageId, epoch: number): boolean {
    return id === 0 || this.#bornIn(id) < epoch;
  }

  /** Whether some table names the version: ids of others may be given to new ones. */
  isLive(id: PageId): boolean {
    return id !== 0 && id < this.#nextId && this.#referencesTo(id) > 0;
  }

  /** One more table names this version; it goes back by as many calls of `retire`. */
  retain(id: PageId): void {
    if (id !== 0) this.#addReferences(id, 1);
  }

  /** Gives back a table's reference; a version that no table names any more is reclaimed later. */
  retire(id: PageId): void {
    if (id === 0) return;
    if (this.#addReferences(id, -1) > 0) return;
    if (this.#bornIn(id) === this.#epoch && !this.directory.isStored(id)) this.#release(id);
    else this.#retiring().ids.push(id);
  }

  /** Ends the current epoch (a round): everything allocated so far becomes immutable. */
  advance(epoch: number): void {
    assert(epoch > this.#epoch, `epochs increase: ${epoch} after ${this.#epoch}`);
    this.#epoch = epoch;
    this.closeSuperseded();
  }

  /** Frees versions retired in epochs up to and including `epoch`: every follower has moved past it. */
  reclaim(epoch: number): void {
    this.#reclaimed = Math.max(this.#reclaimed, Math.min(epoch, this.#epoch));
    while (this.#retired.length > 0 && (this.#retired[0] as Retired).epoch <= epoch) {
      const { ids, slots } = this.#retired.shift() as Retired;
      for (const id of ids) if (this.#referencesTo(id) === 0) this.#release(id);
      for (const slot of slots) this.#freeSlots.push(slot);
    }
  }

  /**
   * Pages that are in checkpoint files go cold, in turn, until the rest fits the budget; their slots are free once this epoch is
   * reclaimed. To be called when a checkpoint became current. Cost: what goes cold, at most one look at every slot.
   */
  cool(): void {
    for (let looked = 1; this.#hot > this.#hotPagesMax && looked < this.#nextSlot; looked++) {
      const slot = this.#hand;
      this.#hand = slot + 1 < this.#nextSlot ? slot + 1 : 1;
      const id = this.#occupants[Math.floor(slot / SLAB_PAGES)]?.[slot % SLAB_PAGES] ?? 0;
      if (id === 0 || this.directory.slot(id) !== slot || !this.directory.isStored(id)) continue;
      this.directory.setSlot(id, 0);
      this.#hot--;
      this.#retiring().slots.push(slot);
    }
  }

  #retiring(): Retired {
    const last = this.#retired.at(-1);
    if (last !== undefined && last.epoch === this.#epoch) return last;
    const next = { epoch: this.#epoch, ids: [], slots: [] };
    this.#retired.push(next);
    return next;
  }

  /** An id that was released already is not released twice. */
  #release(id: PageId): void {
    const slot = this.directory.slot(id);
    if (slot === 0 && !this.directory.isStored(id)) return;
    if (slot !== 0) {
      this.#freeSlots.push(slot);
      this.#hot--;
    }
    this.directory.clear(id);
    this.#live--;
    this.#freeIds.push(id);
  }

  #newId(): PageId {
    const free = this.#freeIds.pop();
    if (free !== undefined) return free;
    if (this.#nextId >= this.directory.capacity) this.#moreIds();
    return this.#nextId++;
  }

  #moreIds(): void {
    this.#share("directory", DIRECTORY_BYTES);
    this.#references.push(new Uint32Array(DIRECTORY_IDS));
    this.#born.push(new Uint32Array(DIRECTORY_IDS));
  }

  #takeSlot(id: PageId): number {
    const slot = this.#freeSlots.pop() ?? this.#newSlot();
    (this.#occupants[Math.floor(slot / SLAB_PAGES)] as Uint32Array)[slot % SLAB_PAGES] = id;
    this.#hot++;
    return slot;
  }

  #newSlot(): number {
    if (this.#nextSlot >= this.#occupants.length * SLAB_PAGES) {
      this.#share("pages", SLAB_BYTES);
      this.#occupants.push(new Uint32Array(SLAB_PAGES));
    }
    return this.#nextSlot++;
  }

  #share(kind: Slab["kind"], bytes: number): void {
    const slab: Slab = { kind, buffer: newBuffer(bytes) };
    this.#slabList.push(slab);
    this.addSlab(slab);
  }

  #setCounts(id: PageId, references: number, born: number): void {
    const slab = Math.floor(id / DIRECTORY_IDS);
    (this.#references[slab] as Uint32Array)[id % DIRECTORY_IDS] = references;
    (this.#born[slab] as Uint32Array)[id % DIRECTORY_IDS] = born;
  }

  #referencesTo(id: PageId): number {
    return this.#references[Math.floor(id / DIRECTORY_IDS)]?.[id % DIRECTORY_IDS] ?? 0;
  }

  #bornIn(id: PageId): number {
    return this.#born[Math.floor(id / DIRECTORY_IDS)]?.[id % DIRECTORY_IDS] ?? 0;
  }

  #addReferences(id: PageId, change: 1 | -1): number {
    const counts = this.#references[Math.floor(id / DIRECTORY_IDS)];
    const count = ((counts?.[id % DIRECTORY_IDS] ?? 0) as number) + change;
    assert(counts !== undefined && count >= 0, `page ${id} is given back more often than it was named`);
    counts[id % DIRECTORY_IDS] = count;
    return count;
  }
}
