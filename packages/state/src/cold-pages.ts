/**
 * Pages that are on the disk only: read from the checkpoint files by location, each checked against its own checksum, over
 * descriptors of this thread (docs/ARCHITECTURE.md, "Pages"). A bounded cache keeps what was read last; whatever needs a page for
 * longer (a live instance) keeps it itself. Damage is `store_corrupt` with the file's name, never a page that was not written.
 */
import { OrreryError } from "@orrery/base";
import { checkpointFileName } from "./checkpoint-manifest.ts";
import { checksum } from "./checksum.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { corrupt } from "./durable-format.ts";
import { PAGE_BYTES, type PageId } from "./page-table.ts";

/** Bulk data of pages begins at multiples of this, so that a location is two 32-bit numbers in files of up to 1 TiB. */
export const LOCATION_UNIT_BYTES = 256;
export const PAGE_UNITS: number = PAGE_BYTES / LOCATION_UNIT_BYTES;

/** Descriptors kept open; a chain has some dozen files, and most reads go to a few of them. */
const OPEN_FILES_MAX = 16;
/** 8 MiB for each thread. */
const CACHED_PAGES = 2_048;

/** Where a page version stands in the checkpoint files. */
export interface PageLocation {
  /** Of the file; positive. */
  readonly generation: number;
  /** In units of `LOCATION_UNIT_BYTES` from the file's beginning. */
  readonly unit: number;
  /** Checksum of the page's bytes. */
  readonly sum: number;
}

interface Cached extends PageLocation {
  readonly bytes: Uint8Array;
}

export class ColdPages {
  readonly #disk: Disk;
  readonly #cachedMax: number;
  /** Least recently used first. */
  readonly #files = new Map<number, DiskFile>();
  readonly #cache = new Map<PageId, Cached>();
  #reads = 0;

  constructor(disk: Disk, options: { readonly cachedPages?: number } = {}) {
    this.#disk = disk;
    this.#cachedMax = options.cachedPages ?? CACHED_PAGES;
  }

  /** Pages read from the disk so far. */
  get reads(): number {
    return this.#reads;
  }

  /** The bytes of page `id`, which stands at `location`; not to be written to. `file_missing` when the file is gone. */
  page(id: PageId, location: PageLocation): Uint8Array {
    const cached = this.#cache.get(id);
    if (
      cached !== undefined &&
      cached.generation === location.generation &&
      cached.unit === location.unit &&
      cached.sum === location.sum
    ) {
      this.#cache.delete(id);
      this.#cache.set(id, cached);
      return cached.bytes;
    }
    const bytes = this.run([location]);
    this.#cache.delete(id);
    this.#cache.set(id, { ...location, bytes });
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= this.#cachedMax) break;
      this.#cache.delete(oldest);
    }
    return bytes;
  }

  /** Pages that stand behind one another in a file, read at once and past the cache. */
  run(locations: readonly PageLocation[]): Uint8Array {
    const { generation, unit } = locations[0] as PageLocation;
    const bytes = this.#file(generation).read(unit * LOCATION_UNIT_BYTES, locations.length * PAGE_BYTES);
    this.#reads += locations.length;
    for (const [i, { sum }] of locations.entries()) {
      const page = bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
      if (page.length === PAGE_BYTES && checksum(page) === sum) continue;
      const at = unit * LOCATION_UNIT_BYTES + i * PAGE_BYTES;
      throw corrupt(checkpointFileName(generation), `the page at byte ${at}`);
    }
    return bytes;
  }

  /** Lets go of the files before `generation`, which nothing names any more. */
  closeBefore(generation: number): void {
    for (const [each, file] of this.#files) {
      if (each >= generation) continue;
      this.#files.delete(each);
      file.close();
    }
  }

  close(): void {
    this.closeBefore(Number.POSITIVE_INFINITY);
    this.#cache.clear();
  }

  #file(generation: number): DiskFile {
    const known = this.#files.get(generation);
    const file = known ?? this.#disk.open(checkpointFileName(generation), { create: false });
    this.#files.delete(generation);
    this.#files.set(generation, file);
    for (const [oldest, one] of this.#files) {
      if (this.#files.size <= OPEN_FILES_MAX) break;
      this.#files.delete(oldest);
      one.close();
    }
    return file;
  }
}

/** Whether reading failed because the file is gone, which is right when its pages have moved to another meanwhile. */
export function isFileMissing(cause: unknown): boolean {
  return cause instanceof OrreryError && cause.code === "file_missing";
}
