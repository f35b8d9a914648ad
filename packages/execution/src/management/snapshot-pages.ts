/** Bytes of a paged memory by offset: what snapshot downloads read and uploads write. */
import { PAGE_BYTES, type PageArena, type PageTable } from "@orrery/state";

export function readBytes(
  table: PageTable,
  arena: Pick<PageArena, "read">,
  range: { readonly offset: number; readonly length: number },
): Uint8Array {
  const { offset, length } = range;
  const first = Math.floor(offset / PAGE_BYTES);
  const end = Math.ceil((offset + length) / PAGE_BYTES);
  const pages = new Uint8Array(Math.max(end - first, 0) * PAGE_BYTES);
  for (let index = first; index < end; index++)
    arena.read(table.get(index), pages, (index - first) * PAGE_BYTES);
  const start = offset - first * PAGE_BYTES;
  return pages.subarray(start, start + length);
}

/** Every page touched becomes a new version, the zero page where nothing but zeros is left. */
export function writeBytes(
  table: PageTable,
  arena: Pick<PageArena, "read" | "allocate" | "retire">,
  write: { readonly offset: number; readonly bytes: Uint8Array },
): void {
  const { offset, bytes } = write;
  const page = new Uint8Array(PAGE_BYTES);
  for (let at = 0; at < bytes.length; ) {
    const index = Math.floor((offset + at) / PAGE_BYTES);
    const within = (offset + at) % PAGE_BYTES;
    const piece = bytes.subarray(at, at + PAGE_BYTES - within);
    arena.read(table.get(index), page, 0);
    page.set(piece, within);
    const id = page.every((b) => b === 0) ? 0 : arena.allocate(page);
    arena.retire(table.set(index, id));
    at += piece.length;
  }
}
