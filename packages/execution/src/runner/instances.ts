/**
 * Live Wasm instances: a bounded pool over pooled memories. State lives in page tables; an instance is a cache
 * of it and may be dropped at any time. Invariant: between messages the memory of a pooled instance equals the canister's
 * table (dirty pages are committed or restored), and its size is the record's `heapPages`.
 */
import {
  assert,
  type CanisterId,
  type Logger,
  type PrincipalKey,
  principalKey,
  principalToText,
} from "@orrery/base";
import { PAGE_BYTES, type PageDelta, type PageReader } from "@orrery/state";
import type { CanisterInstance, CompiledCanister, Engine, Form } from "@orrery/wasm";
import { Host } from "../system-api/host.ts";
import { systemApi } from "../system-api/imports.ts";
import { type CanisterImage, type Draft, PageSet } from "./image.ts";
import { loadPage } from "./page-commit.ts";
import { refill } from "./run.ts";

/** Instances kept: creation slows with the number of live memories, so a few hundred is where reuse stops paying. */
export const LIVE_INSTANCES_MAX = 200;
/** Bytes of their memories together; the pages are in the arena a second time, so large heaps leave first. */
export const LIVE_BYTES_MAX: number = 4 * 1024 ** 3;
const WASM_PAGE_BYTES = 65_536;

type WasmMemory = NonNullable<CanisterInstance["memory"]>;

export interface Live {
  readonly key: PrincipalKey;
  /** Blob key of the module it runs. */
  readonly blob: string;
  readonly compiled: CompiledCanister;
  readonly instance: CanisterInstance;
  readonly host: Host;
  /** Pages that may hold something else than zeros; what must be cleared before the memory is used again. */
  readonly touched: PageSet;
  /** It ran, and its module may then not run again in the same instance (dropped segments); its memory may. */
  spent: boolean;
  /** Bytes of memory that the pool counts for it. */
  counted: number;
}

export class InstancePool {
  readonly #engine: Engine;
  readonly #reader: PageReader;
  readonly #max: number;
  /** Least recently used first. */
  readonly #live = new Map<PrincipalKey, Live>();
  /** The last of them, if that is known: it need not be moved to the end when it runs again. */
  #newest: Live | null = null;
  /** Sum of what is counted. */
  #bytes = 0;
  #disagreements = 0;
  readonly #log: Logger;

  constructor(options: {
    readonly engine: Engine;
    readonly reader: PageReader;
    readonly max: number;
    readonly log: Logger;
  }) {
    this.#log = options.log;
    this.#engine = options.engine;
    this.#reader = options.reader;
    this.#max = options.max;
  }

  get size(): number {
    return this.#live.size;
  }

  /** Runs that the fast form gave up and the exact one did not. */
  get disagreements(): number {
    return this.#disagreements;
  }

  noteDisagreement({ meta }: CanisterImage): void {
    this.#disagreements++;
    const canister = principalToText(meta.id);
    this.#log.log("error", "the fast form gave up a run that the exact form ended well", { canister });
  }

  /** The canister's instance, restored from its pages when there is none or it is out of step. */
  acquire(image: CanisterImage, compiled: CompiledCanister, form: Form = "fast"): Live {
    const { meta } = image;
    assert(meta.module !== null, "an empty canister has no instance");
    const key = principalKey(meta.id);
    const found = this.#live.get(key);
    if (found !== undefined && found.blob === meta.module.blob && heapPagesOf(found) === meta.heapPages) {
      const ready = found.spent || found.instance.form !== form ? this.#renew(found, form) : found;
      if (ready !== this.#newest) {
        this.#live.delete(key);
        this.#live.set(key, ready);
        this.#newest = ready;
      }
      this.#count(ready);
      return ready;
    }
    if (found !== undefined) this.#drop(found);
    const live = this.create({ key, blob: meta.module.blob, compiled, pages: meta.heapPages, form });
    this.#restore(live, image);
    this.keep(live);
    return live;
  }

  /** An instance outside the pool over a zero memory of `pages` Wasm pages; `keep` or `discard` it. */
  create(options: {
    readonly key: PrincipalKey;
    readonly blob: string;
    readonly compiled: CompiledCanister;
    readonly pages: number;
    readonly form: Form;
  }): Live {
    const { compiled } = options;
    const memory =
      compiled.info.memory === null
        ? null
        : this.#engine.memories.acquire({ is64: compiled.info.memory.is64, pages: options.pages });
    return this.#instantiate({ ...options, memory, touched: new PageSet() });
  }

  /** A new instance over the same memory. */
  #renew(live: Live, form: Form): Live {
    const renewed = this.#instantiate({ ...live, form, memory: live.instance.memory });
    renewed.counted = live.counted;
    return renewed;
  }

  /** The same module in the exact form over the same memory, for running a message again. */
  exactTwin(live: Live): Live {
    return this.#instantiate({ ...live, form: "exact", memory: live.instance.memory });
  }

  /** Puts an instance into the pool in place of the canister's former one. */
  keep(live: Live): void {
    const former = this.#live.get(live.key);
    if (former !== undefined && former !== live) this.#drop(former);
    this.#live.set(live.key, live);
    this.#newest = live;
    this.#count(live);
    this.#shrink();
  }

  /** A memory may have grown since it was counted. */
  #count(live: Live): void {
    const bytes = live.instance.memoryBytes().length;
    this.#bytes += bytes - live.counted;
    live.counted = bytes;
  }

  /** Drops the least recently used until the rest fits; the last one stays whatever its size. */
  #shrink(): void {
    for (const live of this.#live.values()) {
      const fits = this.#live.size <= this.#max && this.#bytes <= LIVE_BYTES_MAX;
      if (fits || this.#live.size === 1) return;
      this.#drop(live);
    }
  }

  /** Gives up an instance, pooled or not, right after it ran: whatever it dirtied is cleared with the rest. */
  discard(live: Live): void {
    for (const index of live.instance.dirtyPages()) live.touched.add(index);
    this.#drop(live);
  }

  evict(canisterId: CanisterId): void {
    const live = this.#live.get(principalKey(canisterId));
    if (live !== undefined) this.#drop(live);
  }

  /** Undoes a message: dirty pages get back what the table (and `draft` below it) says. False when the instance is lost. */
  restoreDirty(live: Live, image: CanisterImage, draft: Draft | null): boolean {
    if (heapPagesOf(live) !== image.meta.heapPages) {
      this.discard(live);
      return false;
    }
    const memory = live.instance.memoryBytes();
    for (const index of live.instance.dirtyPages()) loadPage(image.memory.heap, this.#reader, index, memory);
    if (draft !== null) {
      for (const index of draft.pages.keys()) loadPage(image.memory.heap, this.#reader, index, memory);
    }
    live.instance.clearDirty();
    return true;
  }

  /** Brings a pooled instance of a mirrored canister up to a delta that was applied to its table. */
  refresh(image: CanisterImage, delta: PageDelta): void {
    const live = this.#live.get(principalKey(image.meta.id));
    if (live === undefined) return;
    const missing = image.meta.heapPages - heapPagesOf(live);
    if (live.blob !== image.meta.module?.blob || missing < 0) {
      this.#drop(live);
      return;
    }
    if (missing > 0) growMemory(live, missing);
    const memory = live.instance.memoryBytes();
    for (let i = 0; i < delta.length; i += 2) {
      const index = delta[i] as number;
      loadPage(image.memory.heap, this.#reader, index, memory);
      live.touched.add(index);
    }
  }

  /** Lays a draft over an instance that equals its image. */
  applyDraft(live: Live, draft: Draft): void {
    const missing = draft.heapPages - heapPagesOf(live);
    if (missing > 0) growMemory(live, missing);
    const memory = live.instance.memoryBytes();
    for (const [index, page] of draft.pages) {
      memory.set(page, index * PAGE_BYTES);
      live.touched.add(index);
    }
  }

  #restore(live: Live, image: CanisterImage): void {
    this.#reader.load(image.memory.heap, live.instance.memoryBytes());
    for (const [index] of image.memory.heap.entries()) live.touched.add(index);
  }

  #instantiate(options: {
    readonly key: PrincipalKey;
    readonly blob: string;
    readonly compiled: CompiledCanister;
    readonly form: Form;
    readonly memory: WasmMemory | null;
    readonly touched: PageSet;
  }): Live {
    const host = new Host(options.compiled.info.is64);
    const instance = this.#engine.instantiate(options.compiled, {
      memory: options.memory,
      ic0: systemApi(host),
      hooks: {
        outOfInstructions: () => refill(host),
        memoryGrown: (previous: number, delta: number) => host.frame.growHeap(previous, delta),
      },
      form: options.form,
    });
    host.attach(instance);
    const { key, blob, compiled, touched } = options;
    return { key, blob, compiled, instance, host, touched, spent: false, counted: 0 };
  }

  #drop(live: Live): void {
    if (this.#live.get(live.key) === live) this.#live.delete(live.key);
    if (this.#newest === live) this.#newest = null;
    this.#bytes -= live.counted;
    live.counted = 0;
    const { memory } = live.instance;
    if (memory === null) return;
    this.#engine.memories.release(memory, live.compiled.info.memory?.is64 === true, live.touched.values());
  }
}

/** Size of an instance's memory in Wasm pages. */
export function heapPagesOf(live: Live): number {
  return live.instance.memoryBytes().length / WASM_PAGE_BYTES;
}

function growMemory(live: Live, pages: number): void {
  const { memory } = live.instance;
  assert(memory !== null, "a draft grew a memory that does not exist");
  memory.grow(live.compiled.info.memory?.is64 === true ? BigInt(pages) : pages);
}
