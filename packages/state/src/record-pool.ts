/**
 * One copy of what many canisters have alike: the record of a module with its metadata, settings, short byte strings. For records
 * that come from outside a thread (a checkpoint, a message), where each canister brings its own copy. Pooled records are never
 * changed in place, which holds of all nested records of a canister's meta.
 */
import { toHex } from "@orrery/base";
import type { BlobKey, CanisterMeta, CanisterSettings, InstalledModule } from "./types.ts";

/** Settings kept; more kinds than that are not worth finding again. */
const SETTINGS_MAX = 4_096;
/** Byte strings up to this length lie in JavaScript's heap, without a buffer of their own outside it. */
const HEAP_BYTES_MAX = 64;
const NO_BYTES: Uint8Array = new Uint8Array(0);
const RUNNING = { kind: "running" } as const;

export class RecordPool {
  readonly #modules = new Map<BlobKey, InstalledModule>();
  readonly #settings = new Map<string, CanisterSettings>();

  /** Replaces what `meta` names by the copies that are here already. */
  share(meta: CanisterMeta): void {
    if (meta.module !== null) meta.module = this.module(meta.module);
    meta.settings = this.settings(meta.settings);
    meta.certifiedData = shortBytes(meta.certifiedData);
    if (meta.status.kind === "running") meta.status = RUNNING;
  }

  module(module: InstalledModule): InstalledModule {
    const known = this.#modules.get(module.blob);
    if (known !== undefined) return known;
    this.#modules.set(module.blob, module);
    return module;
  }

  /** Nobody has the module any more. */
  forgetModule(blob: BlobKey): void {
    this.#modules.delete(blob);
  }

  settings(settings: CanisterSettings): CanisterSettings {
    const key = keyOf(settings);
    const known = this.#settings.get(key);
    if (known !== undefined) return known;
    if (this.#settings.size >= SETTINGS_MAX) this.#settings.clear();
    this.#settings.set(key, settings);
    return settings;
  }
}

/** The same bytes where they take the least room. */
export function shortBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return NO_BYTES;
  return bytes.length <= HEAP_BYTES_MAX ? bytes.slice() : bytes;
}

/** Equal for equal settings only. */
function keyOf(settings: CanisterSettings): string {
  return JSON.stringify(settings, (_, value: unknown) => {
    if (typeof value === "bigint") return `${value}n`;
    return value instanceof Uint8Array ? toHex(value) : value;
  });
}
