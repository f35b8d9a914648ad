/**
 * The host's side of the page map (layout.ts): which 4 KiB pages the running message has dirtied. One map serves all
 * instances of an engine, so it is cleared between messages; clearing and listing cost the dirty pages only.
 */
import { MAP_COUNT_OFFSET, MAP_LIST_OFFSET, MAP_PAGES_MAX, MAP_WASM_PAGES } from "./layout.ts";

const PAGE_BYTES = 4096;
const NO_PAGES: Uint32Array = new Uint32Array(0);

export class PageMap {
  readonly memory: WebAssembly.Memory;
  readonly #marks: Uint8Array;
  readonly #list: Uint32Array;
  readonly #count: Uint32Array;

  constructor() {
    this.memory = new WebAssembly.Memory({ initial: MAP_WASM_PAGES, maximum: MAP_WASM_PAGES });
    this.#marks = new Uint8Array(this.memory.buffer, 0, MAP_PAGES_MAX);
    this.#list = new Uint32Array(this.memory.buffer, MAP_LIST_OFFSET, MAP_PAGES_MAX);
    this.#count = new Uint32Array(this.memory.buffer, MAP_COUNT_OFFSET, 1);
  }

  mark(page: number): void {
    if (this.#marks[page] !== 0) return;
    this.#marks[page] = 1;
    const count = this.#count[0] as number;
    this.#list[count] = page;
    this.#count[0] = count + 1;
  }

  markRange(address: number, length: number): void {
    if (length <= 0) return;
    const last = Math.floor((address + length - 1) / PAGE_BYTES);
    for (let page = Math.floor(address / PAGE_BYTES); page <= last; page++) this.mark(page);
  }

  /** A copy of the list: page indices below `end` without duplicates, in order of first marking. */
  pages(end: number): Uint32Array {
    const count = this.#count[0] as number;
    if (count === 0) return NO_PAGES;
    const pages = this.#list.slice(0, count);
    return pages.some((page) => page >= end) ? pages.filter((page) => page < end) : pages;
  }

  clear(): void {
    const count = this.#count[0] as number;
    for (let i = 0; i < count; i++) this.#marks[this.#list[i] as number] = 0;
    this.#count[0] = 0;
  }
}
