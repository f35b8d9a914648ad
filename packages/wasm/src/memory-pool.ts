/**
 * Zero-filled canister memories of a wanted size. Creating a memory reserves gigabytes of address space, and a memory can
 * grow but never shrink, so released ones are kept by kind and reused for canisters that are at least as large.
 */
import { memoryPagesMax } from "./limits.ts";
import { hostMemoryError } from "./traps.ts";

const WASM_PAGE_BYTES = 65_536;
const OS_PAGE_BYTES = 4096;
/** Idle memories kept of each kind; the rest is left to the garbage collector. */
const IDLE_MAX = 64;
/** Memories larger than this are not kept: zeroing them costs more than making new ones. */
const KEPT_BYTES_MAX: number = 64 * 1024 * 1024;

export interface MemoryRequest {
  readonly is64: boolean;
  /** 64 KiB pages. */
  readonly pages: number;
}

export class MemoryPool {
  readonly #idle: { readonly is32: WebAssembly.Memory[]; readonly is64: WebAssembly.Memory[] } = {
    is32: [],
    is64: [],
  };

  /** A memory of exactly `pages` pages, all zero, that may grow to its kind's maximum. */
  acquire(request: MemoryRequest): WebAssembly.Memory {
    const { is64, pages } = request;
    const idle = is64 ? this.#idle.is64 : this.#idle.is32;
    let best = -1;
    for (const [i, memory] of idle.entries()) {
      const size = pagesOf(memory);
      if (size <= pages && (best < 0 || size > pagesOf(idle[best] as WebAssembly.Memory))) best = i;
    }
    const [memory] = best < 0 ? [] : idle.splice(best, 1);
    if (memory === undefined) return fromHost(() => create(is64, pages));
    const more = pages - pagesOf(memory);
    if (more > 0) fromHost(() => memory.grow(is64 ? BigInt(more) : more));
    return memory;
  }

  /** Takes a memory back. `touched` names the 4 KiB pages that may hold something, or says that all may. */
  release(memory: WebAssembly.Memory, is64: boolean, touched: Iterable<number> | "all"): void {
    const idle = is64 ? this.#idle.is64 : this.#idle.is32;
    const bytes = new Uint8Array(memory.buffer);
    if (idle.length >= IDLE_MAX || bytes.length > KEPT_BYTES_MAX) return;
    if (touched === "all") bytes.fill(0);
    else for (const page of touched) bytes.fill(0, page * OS_PAGE_BYTES, (page + 1) * OS_PAGE_BYTES);
    idle.push(memory);
  }
}

/** What the host refuses is never a result. */
function fromHost<T>(ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    throw error instanceof RangeError ? hostMemoryError(error) : error;
  }
}

function pagesOf(memory: WebAssembly.Memory): number {
  return memory.buffer.byteLength / WASM_PAGE_BYTES;
}

function create(is64: boolean, pages: number): WebAssembly.Memory {
  const maximum = memoryPagesMax(is64);
  return is64
    ? new WebAssembly.Memory({ initial: BigInt(pages), maximum: BigInt(maximum), address: "i64" })
    : new WebAssembly.Memory({ initial: pages, maximum });
}
