/**
 * Reading page versions by id, on any thread: from the shared slabs, or from the checkpoint files when they are cold. A reader on
 * another thread than the arena's owner is sent the slabs and never writes to them.
 */
import { assert } from "@orrery/base";
import { type ColdPages, isFileMissing, PAGE_UNITS, type PageLocation } from "./cold-pages.ts";
import { PageDirectory } from "./page-directory.ts";
import { PAGE_BYTES, type PageId, type PageTable } from "./page-table.ts";

/** Slots in one slab: 4 MiB. */
export const SLAB_PAGES = 1024;
/** Neighbours on the disk that are read at once: 1 MiB. */
const RUN_PAGES_MAX = 256;

/** Shared memory of an arena, for other threads: contents of pages, or where pages are. */
export interface Slab {
  readonly kind: "pages" | "directory";
  readonly buffer: SharedArrayBuffer;
}

/** Read-only access by id; followers extend it with the slabs they are sent. */
export class PageReader {
  protected readonly directory: PageDirectory = new PageDirectory();
  readonly #slots: Uint8Array[] = [];
  readonly #cold: ColdPages | null;
  #slabCount = 0;
  #firstGeneration = 0;

  /** `cold`: the checkpoint files as this thread reads them; without it only hot pages can be read. */
  constructor(options: { readonly cold?: ColdPages | undefined } = {}) {
    this.#cold = options.cold ?? null;
  }

  addSlab({ kind, buffer }: Slab): void {
    this.#slabCount++;
    if (kind === "directory") this.directory.addSlab(buffer);
    else this.#slots.push(new Uint8Array(buffer));
  }

  get slabCount(): number {
    return this.#slabCount;
  }

  /** Pages that this thread has read from the disk. */
  get coldReads(): number {
    return this.#cold?.reads ?? 0;
  }

  /** Whether cold pages can be read here. */
  get readsCold(): boolean {
    return this.#cold !== null;
  }

  /** Copies page `id` to `target[offset…]`; page 0 is zeros. */
  read(id: PageId, target: Uint8Array, offset: number): void {
    if (id === 0) {
      target.fill(0, offset, offset + PAGE_BYTES);
      return;
    }
    for (let slot = this.directory.slot(id); slot !== 0; slot = this.directory.slot(id)) {
      target.set(this.#slot(slot), offset);
      // Unless its slot went to another page meanwhile, as it may under a reader that no epoch waits for.
      if (this.directory.slot(id) === slot) return;
    }
    target.set(this.#fromDisk(id), offset);
  }

  /** The page's bytes in place; callers do not write, nor keep them beyond what they are doing. */
  view(id: PageId): Uint8Array {
    assert(id !== 0, "page 0 has no bytes in place");
    const slot = this.directory.slot(id);
    return slot === 0 ? this.#fromDisk(id) : this.#slot(slot);
  }

  /** Copies all pages of `table` to their places in `target`; cold neighbours are read at once. */
  load(table: PageTable, target: Uint8Array): void {
    let run: PageLocation[] = [];
    let runIds: PageId[] = [];
    let first = 0;
    const flush = (): void => {
      if (run.length > 0) this.#loadRun(run, runIds, target, first * PAGE_BYTES);
      run = [];
      runIds = [];
    };
    for (const [index, id] of table.entries()) {
      if (this.directory.slot(id) !== 0) {
        this.read(id, target, index * PAGE_BYTES);
        continue;
      }
      const location = this.directory.location(id);
      const last = run.at(-1);
      const joins =
        last !== undefined &&
        run.length < RUN_PAGES_MAX &&
        index === first + run.length &&
        location.generation === last.generation &&
        location.unit === last.unit + PAGE_UNITS;
      if (!joins) {
        flush();
        first = index;
      }
      run.push(location);
      runIds.push(id);
    }
    flush();
  }

  /** Where the page stands in the checkpoint files, null when it was never written to one. */
  location(id: PageId): PageLocation | null {
    return this.directory.isStored(id) ? this.directory.location(id) : null;
  }

  /** The checkpoint writer's word that a durable, current file holds the page. */
  place(id: PageId, location: PageLocation): void {
    this.directory.setLocation(id, location);
  }

  /** The checkpoint writer's word that the files before `generation` are named by no checkpoint any more. */
  supersede(generation: number): void {
    this.directory.firstGeneration = generation;
  }

  /** Lets go of superseded files, so that the disk gets their space back. Cheap; to be called now and then. */
  closeSuperseded(): void {
    const { firstGeneration } = this.directory;
    if (firstGeneration === this.#firstGeneration) return;
    this.#firstGeneration = firstGeneration;
    this.#cold?.closeBefore(firstGeneration);
  }

  #slot(slot: number): Uint8Array {
    const slab = this.#slots[Math.floor(slot / SLAB_PAGES)];
    assert(slab !== undefined, `slot ${slot} is in a slab not known here`);
    const at = (slot % SLAB_PAGES) * PAGE_BYTES;
    return slab.subarray(at, at + PAGE_BYTES);
  }

  /** A cold page. Its file may be superseded and gone while we look: then the directory names another one by now. */
  #fromDisk(id: PageId): Uint8Array {
    const cold = this.#cold;
    assert(cold !== null, `page ${id} is on the disk, which this reader was not given`);
    let location = this.directory.location(id);
    for (;;) {
      try {
        return cold.page(id, location);
      } catch (cause) {
        const now = this.directory.location(id);
        if (!isFileMissing(cause) || now.generation === location.generation) throw cause;
        location = now;
      }
    }
  }

  #loadRun(run: readonly PageLocation[], ids: readonly PageId[], target: Uint8Array, offset: number): void {
    assert(this.#cold !== null, `page ${ids[0]} is on the disk, which this reader was not given`);
    try {
      target.set(this.#cold.run(run), offset);
    } catch (cause) {
      if (!isFileMissing(cause)) throw cause;
      for (const [i, id] of ids.entries()) target.set(this.#fromDisk(id), offset + i * PAGE_BYTES);
    }
  }
}
