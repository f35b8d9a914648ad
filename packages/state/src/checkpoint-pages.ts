/**
 * Pages in checkpoint files, written and found again. A frame of pages names page numbers and checksums, and the pages follow it,
 * so that they can be read in place later; what a file of the chain holds already (a version that tables share) is named by
 * its place there and not written again. Loading reads no page: it gives each version an id that stands for its place.
 */
import { concatBytes } from "@orrery/base";
import { type Frame, FrameKind, type FrameReader, type FrameWriter } from "./checkpoint-format.ts";
import { checksum } from "./checksum.ts";
import { LOCATION_UNIT_BYTES, PAGE_UNITS, type PageLocation } from "./cold-pages.ts";
import { corrupt, STREAM_BYTES, viewOf } from "./durable-format.ts";
import type { PageReader } from "./page-reader.ts";
import { PAGE_BYTES, type PageDelta, type PageId, PageTable } from "./page-table.ts";
import type { PageArena } from "./pages.ts";

/** Pages in one frame: 1 MiB. */
const PAGES_PER_FRAME = 256;
/** Page number, checksum. */
const ENTRY_BYTES = 8;
/** Page number, generation, unit, checksum. */
const REFERENCE_BYTES = 16;

/** Writes the pages of one file and notes where they came to stand. */
export class PagesWriter {
  readonly #out: FrameWriter;
  readonly #reader: PageReader;
  readonly #generation: number;
  readonly #chain: ReadonlySet<number>;
  readonly #ids: PageId[] = [];
  readonly #places: { readonly unit: number; readonly sum: number }[] = [];
  /** Position in `#places` plus one, by page id. */
  readonly #placed = new PageTable();

  /** `chain`: generations of the files before this one that stay. */
  constructor(options: {
    readonly out: FrameWriter;
    readonly reader: PageReader;
    readonly generation: number;
    readonly chain: ReadonlySet<number>;
  }) {
    this.#out = options.out;
    this.#reader = options.reader;
    this.#generation = options.generation;
    this.#chain = options.chain;
  }

  /** Frames for one memory, which `prefix` names; pairs of page number and page id. A step for each megabyte. */
  *write(prefix: Uint8Array, pages: PageDelta): Generator<void> {
    const zeros: number[] = [];
    const references: number[] = [];
    const full: number[] = [];
    for (let i = 0; i < pages.length; i += 2) {
      const id = pages[i + 1] as PageId;
      if (id === 0) zeros.push(i);
      else if (this.#standing(id) !== null) references.push(i);
      else full.push(i);
    }
    for (const batch of batches(full, PAGES_PER_FRAME)) {
      this.#writeFull(prefix, pages, batch);
      yield;
    }
    for (const batch of batches(references, STREAM_BYTES / REFERENCE_BYTES)) {
      const entries = new Uint8Array(batch.length * REFERENCE_BYTES);
      const view = viewOf(entries);
      for (const [k, at] of batch.entries()) {
        const { generation, unit, sum } = this.#standing(pages[at + 1] as PageId) as PageLocation;
        [pages[at] as number, generation, unit, sum].forEach((value, word) => {
          view.setUint32(k * REFERENCE_BYTES + 4 * word, value, true);
        });
      }
      this.#out.frame(FrameKind.pageReferences, concatBytes(prefix, entries));
    }
    for (const batch of batches(zeros, STREAM_BYTES / 4)) {
      const entries = new Uint8Array(4 * batch.length);
      const view = viewOf(entries);
      for (const [k, at] of batch.entries()) view.setUint32(4 * k, pages[at] as number, true);
      this.#out.frame(FrameKind.zeroPages, concatBytes(prefix, entries));
    }
  }

  /** Tells the readers where the pages are; once the file is durable and current. */
  settle(): void {
    for (const [i, id] of this.#ids.entries()) {
      const { unit, sum } = this.#places[i] as { readonly unit: number; readonly sum: number };
      this.#reader.place(id, { generation: this.#generation, unit, sum });
    }
  }

  /** Where a version stands already, null when it has to be written. */
  #standing(id: PageId): PageLocation | null {
    const placed = this.#places[this.#placed.get(id) - 1];
    if (placed !== undefined) return { generation: this.#generation, ...placed };
    const location = this.#reader.location(id);
    return location !== null && this.#chain.has(location.generation) ? location : null;
  }

  #writeFull(prefix: Uint8Array, pages: PageDelta, batch: readonly number[]): void {
    const payloadAt = this.#out.nextPayload;
    const used = prefix.length + ENTRY_BYTES * batch.length;
    const bulkAt = Math.ceil((payloadAt + used) / LOCATION_UNIT_BYTES) * LOCATION_UNIT_BYTES;
    const payload = new Uint8Array(bulkAt - payloadAt);
    payload.set(prefix);
    const view = viewOf(payload);
    for (const [k, at] of batch.entries()) {
      const id = pages[at + 1] as PageId;
      const sum = this.#reader.location(id)?.sum ?? checksum(this.#reader.view(id));
      view.setUint32(prefix.length + ENTRY_BYTES * k, pages[at] as number, true);
      view.setUint32(prefix.length + ENTRY_BYTES * k + 4, sum, true);
      this.#ids.push(id);
      this.#places.push({ unit: bulkAt / LOCATION_UNIT_BYTES + k * PAGE_UNITS, sum });
      this.#placed.set(id, this.#places.length);
    }
    this.#out.frame(FrameKind.pages, payload, batch.length * PAGE_BYTES);
    for (const at of batch) this.#out.bulk(this.#reader.view(pages[at + 1] as PageId));
    this.#out.settle();
  }
}

function* batches(all: readonly number[], size: number): IterableIterator<readonly number[]> {
  for (let from = 0; from < all.length; from += size) yield all.slice(from, from + size);
}

/** The pages of one frame: their ids follow one another as they stand in the file. */
interface LoadedFrame {
  readonly unit: number;
  readonly firstId: PageId;
  readonly count: number;
}

/** Gives ids to the pages of checkpoint files, the same id to the same page. */
export class PagesLoader {
  readonly #arena: PageArena;
  readonly #verify: boolean;
  /** By generation, in the order of the file. */
  readonly #frames = new Map<number, LoadedFrame[]>();

  /** `verify`: read each page and check it now, rather than when it is used. */
  constructor(arena: PageArena, options: { readonly verify: boolean }) {
    this.#arena = arena;
    this.#verify = options.verify;
  }

  /** A frame of pages; `entries`: its payload behind the memory's name. */
  pages(name: string, reader: FrameReader, frame: Frame, memory: LoadingMemory): void {
    const count = frame.bulkBytes / PAGE_BYTES;
    // The payload's buffer is reused by the reads below.
    const entries = memory.rest.slice();
    const unit = frame.bulkOffset / LOCATION_UNIT_BYTES;
    if (!Number.isInteger(count) || !Number.isInteger(unit) || entries.length < count * ENTRY_BYTES)
      throw corrupt(name, "a frame of pages with the wrong length");
    const view = viewOf(entries);
    const { generation } = reader.header;
    const indices = new Uint32Array(count);
    const sums = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      indices[i] = view.getUint32(ENTRY_BYTES * i, true);
      sums[i] = view.getUint32(ENTRY_BYTES * i + 4, true);
    }
    if (this.#verify) {
      for (let i = 0; i < count; i++) {
        const page = reader.read(frame.bulkOffset + i * PAGE_BYTES, PAGE_BYTES);
        if (checksum(page) !== sums[i]) throw corrupt(name, `page ${indices[i]} of a memory`);
      }
    }
    const firstId = this.#arena.adoptRun({ generation, unit }, sums);
    memory.table.placeRun(indices, firstId, (old) => this.#arena.retire(old));
    const frames = this.#frames.get(generation);
    const loaded = { unit, firstId, count };
    if (frames === undefined) this.#frames.set(generation, [loaded]);
    else frames.push(loaded);
  }

  /** A frame that names pages by their places. */
  references(name: string, { table, rest }: LoadingMemory): void {
    const view = viewOf(rest);
    for (let at = 0; at + REFERENCE_BYTES <= rest.length; at += REFERENCE_BYTES) {
      const generation = view.getUint32(at + 4, true);
      const unit = view.getUint32(at + 8, true);
      const id = this.#find(generation, unit);
      if (id === null) throw corrupt(name, `a page at unit ${unit} of file ${generation} is not there`);
      this.replace(table, view.getUint32(at, true), id);
    }
  }

  /** Puts a version in a table's place, 0 for none. */
  replace(table: PageTable, index: number, id: PageId): void {
    this.#arena.retain(id);
    this.#arena.retire(table.place(index, id));
  }

  #find(generation: number, unit: number): PageId | null {
    const frames = this.#frames.get(generation) ?? [];
    let low = 0;
    let high = frames.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((frames[middle] as LoadedFrame).unit <= unit) low = middle + 1;
      else high = middle;
    }
    const frame = frames[low - 1];
    if (frame === undefined) return null;
    const i = (unit - frame.unit) / PAGE_UNITS;
    return Number.isInteger(i) && i < frame.count ? frame.firstId + i : null;
  }
}

/** A table that is being put together, and the rest of the payload that named it. */
export interface LoadingMemory {
  readonly table: PageTable;
  readonly rest: Uint8Array;
}
