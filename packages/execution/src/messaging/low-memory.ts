/** State of the low-memory hook (interface spec, "On low Wasm memory"): ready once free memory falls below the threshold. */
import type { CanisterMeta } from "@orrery/state";
import { HEAP_BYTES_MAX_32, HEAP_BYTES_MAX_64 } from "../limits.ts";

const WASM_PAGE_BYTES = 65_536n;

/** Whether less is free than the threshold asks for. */
export function lowMemoryCondition(meta: CanisterMeta): boolean {
  const { wasmMemoryLimit, wasmMemoryThreshold } = meta.settings;
  const maximum = meta.module?.is64 === true ? HEAP_BYTES_MAX_64 : HEAP_BYTES_MAX_32;
  const limit = wasmMemoryLimit === 0n ? maximum : wasmMemoryLimit;
  return limit < BigInt(meta.heapPages) * WASM_PAGE_BYTES + wasmMemoryThreshold;
}

/** Call after anything that changes heap size, limit or threshold. */
export function updateLowMemoryHook(meta: CanisterMeta): void {
  if (!lowMemoryCondition(meta)) meta.lowMemoryHook = "not_satisfied";
  else if (meta.lowMemoryHook === "not_satisfied") meta.lowMemoryHook = "ready";
}
