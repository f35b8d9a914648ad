/**
 * Canisters of one module begin alike: with its data, and with what its initialization makes of it. What a newly installed canister
 * has at the same place as the one installed last from the same module it shares with it, version by version, in memory and in
 * checkpoints. Nothing is kept for it: the other's table is looked at as it is then.
 */
import type { BlobKey, PageArena, PageTable } from "@orrery/state";
import { COMPILED_MODULES_MAX } from "./modules.ts";
import { isSamePage } from "./page-commit.ts";

export class Twins {
  /** Heaps of the canisters installed last, least recently used first. */
  readonly #heaps = new Map<BlobKey, PageTable>();

  /** The heap of the canister that was installed last from this module, and from now on `heap`. */
  exchange(blob: BlobKey, heap: PageTable): PageTable | null {
    const last = this.#heaps.get(blob) ?? null;
    this.#heaps.delete(blob);
    this.#heaps.set(blob, heap);
    for (const oldest of this.#heaps.keys()) {
      if (this.#heaps.size <= COMPILED_MODULES_MAX) break;
      this.#heaps.delete(oldest);
    }
    return last === heap ? null : last;
  }
}

/** Puts the twin's version at `index` when it is the page at `source[offset…]`; false leaves all as it is. */
export function shareWithTwin(
  pages: { readonly table: PageTable; readonly twin: PageTable; readonly arena: PageArena },
  index: number,
  source: Uint8Array,
  offset: number,
): boolean {
  const { table, twin, arena } = pages;
  const id = twin.get(index);
  // The twin may be gone, and its versions with it.
  if (!arena.isLive(id) || table.get(index) === id) return false;
  if (!isSamePage(source, offset, arena.view(id))) return false;
  arena.retain(id);
  arena.retire(table.set(index, id));
  return true;
}
