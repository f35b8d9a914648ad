/**
 * Putting page contents into a page table: a page that did not change keeps its version, one made in this
 * epoch is overwritten in place, any other gets a new version and its old one is retired. The zero page is id 0.
 */
import { PAGE_BYTES, type PageArena, type PageReader, type PageTable } from "@orrery/state";
import type { PagesChange } from "../types.ts";

/** Words of 32 bits: comparing words of 64 takes five times as long. */
const WORDS = PAGE_BYTES / 4;

function words(bytes: Uint8Array, offset: number): Int32Array {
  const at = bytes.byteOffset + offset;
  if (at % 4 === 0) return new Int32Array(bytes.buffer, at, WORDS);
  return new Int32Array(bytes.slice(offset, offset + PAGE_BYTES).buffer);
}

function isZero(source: Uint8Array, offset: number): boolean {
  const page = words(source, offset);
  for (let i = 0; i < WORDS; i++) if (page[i] !== 0) return false;
  return true;
}

/** Whether the page at `source[offset…]` has the bytes of `version`. */
export function isSamePage(source: Uint8Array, offset: number, version: Uint8Array): boolean {
  const a = words(source, offset);
  const b = words(version, 0);
  for (let i = 0; i < WORDS; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Stores the page at `source[offset…]` at `index`. */
export function storePage(
  table: PageTable,
  arena: PageArena,
  index: number,
  source: Uint8Array,
  offset: number,
): void {
  const old = table.get(index);
  if (old === 0) {
    if (!isZero(source, offset)) table.set(index, arena.allocate(source, offset));
    return;
  }
  if (arena.isFresh(old)) {
    // Copying costs a fraction of comparing, and the round's delta has the page already.
    arena.writable(old).set(source.subarray(offset, offset + PAGE_BYTES));
    table.set(index, old);
    return;
  }
  if (isSamePage(source, offset, arena.view(old))) return;
  const id = isZero(source, offset) ? 0 : arena.allocate(source, offset);
  arena.retire(table.set(index, id));
}

/** Copies pages into one piece, in ascending order. */
export function packPages(indices: Iterable<number>, page: (index: number) => Uint8Array): PagesChange {
  const sorted = Uint32Array.from(indices).sort();
  const bytes = new Uint8Array(sorted.length * PAGE_BYTES);
  for (const [i, index] of sorted.entries()) bytes.set(page(index), i * PAGE_BYTES);
  return { indices: sorted, bytes };
}

/** Stores every page of a change. */
export function storePages(table: PageTable, arena: PageArena, { indices, bytes }: PagesChange): void {
  for (const [i, index] of indices.entries()) storePage(table, arena, index, bytes, i * PAGE_BYTES);
}

/** Empties a table, giving every version back. */
export function clearTable(table: PageTable, arena: PageArena): void {
  for (const id of table.clear()) arena.retire(id);
}

/** Writes the page that stands at `index` into `target`; zeros when there is none. */
export function loadPage(
  table: PageTable | null,
  reader: PageReader,
  index: number,
  target: Uint8Array,
): void {
  const offset = index * PAGE_BYTES;
  reader.read(table === null ? 0 : table.get(index), target, offset);
}
