/**
 * The limit on a canister's Wasm memory: what is over it, and the state of the low-memory hook (interface spec, "On low Wasm
 * memory"), ready once free memory falls below the threshold.
 */
import type { CanisterMeta, CanisterState } from "@orrery/state";
import type { UserError } from "../error-codes.ts";
import { HEAP_BYTES_MAX_32, HEAP_BYTES_MAX_64 } from "../limits.ts";
import { formatExecutionError } from "../system-api/failure.ts";

const WASM_PAGE_BYTES = 65_536n;

/** IC0539 for a heap over the limit of the settings: no update begins, and no installation ends, with one. */
export function wasmMemoryLimitError(
  { id, settings }: Pick<CanisterMeta, "id" | "settings">,
  heapPages: number,
): UserError | null {
  const limit = settings.wasmMemoryLimit;
  const bytes = BigInt(heapPages) * WASM_PAGE_BYTES;
  if (limit === 0n || bytes <= limit) return null;
  return formatExecutionError(id, { kind: "wasm_memory_limit", bytes, limit });
}

/** Whether less is free than the threshold asks for. */
export function lowMemoryCondition(meta: CanisterMeta): boolean {
  const { wasmMemoryLimit, wasmMemoryThreshold } = meta.settings;
  const maximum = meta.module?.is64 === true ? HEAP_BYTES_MAX_64 : HEAP_BYTES_MAX_32;
  const limit = wasmMemoryLimit === 0n ? maximum : wasmMemoryLimit;
  return limit < BigInt(meta.heapPages) * WASM_PAGE_BYTES + wasmMemoryThreshold;
}

/** Whether the low-memory hook is to run, once it can be paid for. */
export function lowMemoryReady({ meta }: CanisterState): boolean {
  return (
    meta.lowMemoryHook === "ready" &&
    meta.status.kind === "running" &&
    meta.module?.exports.onLowWasmMemory === true
  );
}

/** Call after anything that changes heap size, limit or threshold. */
export function updateLowMemoryHook(meta: CanisterMeta): void {
  if (!lowMemoryCondition(meta)) meta.lowMemoryHook = "not_satisfied";
  else if (meta.lowMemoryHook === "not_satisfied") meta.lowMemoryHook = "ready";
}
