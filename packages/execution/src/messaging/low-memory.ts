/** State of the low-memory hook (interface spec, "On low Wasm memory"): ready once free memory falls below the threshold. */
import type { CanisterMeta } from "@orrery/state";

const WASM_PAGE_BYTES = 65_536n;
const HEAP_BYTES_MAX_32: bigint = 4n << 30n;
const HEAP_BYTES_MAX_64: bigint = 6n << 30n;

/** Call after anything that changes heap size, limit or threshold. */
export function updateLowMemoryHook(meta: CanisterMeta): void {
  const { wasmMemoryLimit, wasmMemoryThreshold } = meta.settings;
  const maximum = meta.module?.is64 === true ? HEAP_BYTES_MAX_64 : HEAP_BYTES_MAX_32;
  const limit = wasmMemoryLimit === 0n ? maximum : wasmMemoryLimit;
  const low = limit < BigInt(meta.heapPages) * WASM_PAGE_BYTES + wasmMemoryThreshold;
  if (!low) meta.lowMemoryHook = "not_satisfied";
  else if (meta.lowMemoryHook === "not_satisfied") meta.lowMemoryHook = "ready";
}
