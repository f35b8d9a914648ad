/** Stable memory of a canister as bytes, from outside. */
import { OrreryError } from "@orrery/base";
import { type CanisterState, PAGE_BYTES, type PageArena } from "@orrery/state";

const WASM_PAGE_BYTES = 65_536;
/** What one array can hold on every engine. */
const BYTES_MAX: number = 2 ** 31;

export function readStable({ meta, memory }: CanisterState, arena: PageArena): Uint8Array {
  const size = meta.stablePages * WASM_PAGE_BYTES;
  if (size > BYTES_MAX) {
    throw new OrreryError("stable_memory_large", `a stable memory of ${size} bytes does not fit one array`);
  }
  const bytes = new Uint8Array(size);
  arena.load(memory.stable, bytes);
  return bytes;
}

/** Replaces all of it. */
export function writeStable({ meta, memory }: CanisterState, arena: PageArena, bytes: Uint8Array): void {
  for (const id of memory.stable.clear()) arena.retire(id);
  const page = new Uint8Array(PAGE_BYTES);
  for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
    const part = bytes.subarray(at, at + PAGE_BYTES);
    if (part.every((byte) => byte === 0)) continue;
    page.fill(0);
    page.set(part);
    memory.stable.set(at / PAGE_BYTES, arena.allocate(page));
  }
  meta.stablePages = Math.ceil(bytes.length / WASM_PAGE_BYTES);
}
