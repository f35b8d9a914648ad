/**
 * What running a canister needs of it: the small record and the two page tables. The execution thread's `CanisterState` is one
 * (mutable), a mirrored canister of a query view is one (read only). A `Draft` is a memory that exists between two messages of
 * one composite query, or between pre_upgrade and post_upgrade, and is never committed as such.
 */
import type { CanisterMeta, WasmMemoryState } from "@orrery/state";
import type { StableOverlay } from "./stable-overlay.ts";

export interface CanisterImage {
  readonly meta: CanisterMeta;
  readonly memory: WasmMemoryState;
}

export interface Draft {
  /** Changed 4 KiB pages of the heap over the image's. */
  readonly pages: ReadonlyMap<number, Uint8Array>;
  readonly globals: readonly bigint[];
  /** Wasm pages. */
  readonly heapPages: number;
  readonly stable: StableOverlay;
}

/** A set of 4 KiB page numbers, one bit each. */
export class PageSet {
  #bits = new Uint32Array(64);

  add(index: number): void {
    const word = index >>> 5;
    if (word >= this.#bits.length) {
      const larger = new Uint32Array(Math.max(word + 1, 2 * this.#bits.length));
      larger.set(this.#bits);
      this.#bits = larger;
    }
    this.#bits[word] = (this.#bits[word] as number) | (1 << (index & 31));
  }

  *values(): IterableIterator<number> {
    for (let word = 0; word < this.#bits.length; word++) {
      let bits = this.#bits[word] as number;
      while (bits !== 0) {
        const low = bits & -bits;
        yield word * 32 + (31 - Math.clz32(low));
        bits ^= low;
      }
    }
  }
}
