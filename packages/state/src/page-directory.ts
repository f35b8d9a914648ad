/**
 * Where each page version is: in a slot of the shared slabs, in a checkpoint file, or both. One entry a version, in shared memory
 * that every thread reads; a version's name (its id) stays the same wherever its bytes go, so page tables never change for it.
 * The arena's owner writes slots, the checkpoint writer writes locations; a location is written in an order in which a reader
 * on another thread sees the whole old one or the whole new one.
 */
import { assert } from "@orrery/base";
import { PAGE_UNITS, type PageLocation } from "./cold-pages.ts";
import type { PageId } from "./page-table.ts";

/** Versions whose entries are in one slab: 512 KiB. */
export const DIRECTORY_IDS = 32_768;
/** slot · generation · unit · checksum */
const ENTRY_WORDS = 4;
export const DIRECTORY_BYTES: number = DIRECTORY_IDS * ENTRY_WORDS * 4;
const SLOT = 0;
const GENERATION = 1;
const UNIT = 2;
const SUM = 3;
/** Entry 0 is nobody's: this word of it is the first generation of checkpoint files that is still named. */
const FIRST_GENERATION = 1;
/** A location is being written for some nanoseconds; longer means that there is none. */
const SPINS_MAX = 10_000_000;

export class PageDirectory {
  readonly #slabs: Uint32Array[] = [];

  addSlab(buffer: SharedArrayBuffer): void {
    this.#slabs.push(new Uint32Array(buffer));
  }

  /** Entries that there is room for. */
  get capacity(): number {
    return this.#slabs.length * DIRECTORY_IDS;
  }

  #slab(id: PageId): Uint32Array {
    const slab = this.#slabs[Math.floor(id / DIRECTORY_IDS)];
    assert(slab !== undefined, `page ${id} is in a slab not known here`);
    return slab;
  }

  /** The page's slot; 0: it is in a checkpoint file only. */
  slot(id: PageId): number {
    return Atomics.load(this.#slab(id), (id % DIRECTORY_IDS) * ENTRY_WORDS + SLOT);
  }

  setSlot(id: PageId, slot: number): void {
    Atomics.store(this.#slab(id), (id % DIRECTORY_IDS) * ENTRY_WORDS + SLOT, slot);
  }

  /** Whether a checkpoint file has the page. */
  isStored(id: PageId): boolean {
    return Atomics.load(this.#slab(id), (id % DIRECTORY_IDS) * ENTRY_WORDS + GENERATION) !== 0;
  }

  /** The page's place in the checkpoint files, which it has. */
  location(id: PageId): PageLocation {
    const words = this.#slab(id);
    const at = (id % DIRECTORY_IDS) * ENTRY_WORDS;
    for (let spins = 0; spins < SPINS_MAX; spins++) {
      const generation = Atomics.load(words, at + GENERATION);
      const unit = Atomics.load(words, at + UNIT);
      const sum = Atomics.load(words, at + SUM);
      // Generations only grow, so the same one before and after means that nothing changed between.
      if (generation !== 0 && Atomics.load(words, at + GENERATION) === generation)
        return { generation, unit, sum };
    }
    assert(false, `page ${id} is nowhere`);
  }

  setLocation(id: PageId, { generation, unit, sum }: PageLocation): void {
    const words = this.#slab(id);
    const at = (id % DIRECTORY_IDS) * ENTRY_WORDS;
    Atomics.store(words, at + GENERATION, 0);
    Atomics.store(words, at + UNIT, unit);
    Atomics.store(words, at + SUM, sum);
    Atomics.store(words, at + GENERATION, generation);
  }

  /** Ids of one slab that follow one another, for pages that do in a file; nobody reads them yet. */
  setRun(first: PageId, at: Pick<PageLocation, "generation" | "unit">, sums: Uint32Array): void {
    const words = this.#slab(first);
    let word = (first % DIRECTORY_IDS) * ENTRY_WORDS;
    for (let i = 0; i < sums.length; i++) {
      words[word + GENERATION] = at.generation;
      words[word + UNIT] = at.unit + i * PAGE_UNITS;
      words[word + SUM] = sums[i] as number;
      word += ENTRY_WORDS;
    }
  }

  /** The id is free again. */
  clear(id: PageId): void {
    this.setSlot(id, 0);
    Atomics.store(this.#slab(id), (id % DIRECTORY_IDS) * ENTRY_WORDS + GENERATION, 0);
  }

  /** Checkpoint files of earlier generations are superseded; 0 before the first full one. */
  get firstGeneration(): number {
    return this.#slabs[0] === undefined ? 0 : Atomics.load(this.#slabs[0], FIRST_GENERATION);
  }

  set firstGeneration(generation: number) {
    // Without pages there are no slabs, and nobody has a file open.
    if (this.#slabs[0] !== undefined) Atomics.store(this.#slabs[0], FIRST_GENERATION, generation);
  }
}
