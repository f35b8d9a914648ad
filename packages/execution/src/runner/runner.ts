/**
 * Runs canisters: one message on one instance, committed or without a trace. The same code serves the execution
 * thread, which commits into the canister's record through its page arena, and a query view, which has only a reader of pages
 * and never commits. A native trap is run again in the exact form (installed-run.ts), so that its instruction count is the replica's.
 */
import { assert, type CanisterId, type Logger, silentLogger } from "@orrery/base";
import {
  type BlobKey,
  type InstalledModule,
  PAGE_BYTES,
  type PageArena,
  type PageDelta,
  type PageReader,
} from "@orrery/state";
import type { CompiledCanister, Engine, Form } from "@orrery/wasm";
import { HEAVY_HEAP_PAGES } from "../limits.ts";
import { type Failure, formatExecutionError } from "../system-api/failure.ts";
import { MessageFrame } from "../system-api/frame.ts";
import type {
  EntryPoint,
  InstallRequest,
  MemoryChange,
  MessageContext,
  MessageOutcome,
  MessageRunner,
  RunnableCanister,
} from "../types.ts";
import { type Plan, planEntry } from "./entry.ts";
import type { CanisterImage, Draft } from "./image.ts";
import { runInstall, runPreUpgrade, type UpgradeTask } from "./install.ts";
import { runInstalled } from "./installed-run.ts";
import { heapPagesOf, InstancePool, LIVE_INSTANCES_MAX, type Live } from "./instances.ts";
import { type Inflate, ModuleCache, type ModuleSource } from "./modules.ts";
import { clearTable, isSamePage, packPages, storePage, storePages } from "./page-commit.ts";
import type { RunResult } from "./run.ts";
import { StableOverlay } from "./stable-overlay.ts";
import { Twins } from "./twins.ts";

export interface RunnerOptions {
  readonly engine: Engine;
  /** The arena of the thread that owns the tip, or a follower's reader, with which nothing can be committed. */
  readonly pages: PageArena | PageReader;
  readonly modules: ModuleSource;
  readonly inflate: Inflate;
  readonly instancesMax?: number;
  /** Hears of what should not be; silent by default. */
  readonly log?: Logger;
  /** Whether to tell what the canister's executions come to by function; nothing else changes, but it takes longer. */
  readonly profiling?: (canisterId: CanisterId) => boolean;
}

/** A run whose memory goes on living as a draft: a composite query that waits for answers. */
export interface QueryRun {
  readonly outcome: MessageOutcome;
  readonly draft: Draft | null;
}

type Disposition = "commit" | "draft" | "discard";

interface Attempt {
  readonly image: CanisterImage;
  readonly compiled: CompiledCanister;
  readonly plan: Plan;
  readonly context: MessageContext;
  readonly draft: Draft | null;
}

const NO_EFFECTS = {
  response: null,
  calls: [],
  cyclesAccepted: 0n,
  cyclesBurned: 0n,
  cyclesMinted: 0n,
  cyclesReserved: 0n,
  certifiedData: null,
  globalTimer: null,
} as const;

const NO_PAGES = new Uint32Array(0);

/** The heap's pages in the form of a delta; ids are read from the table. */
function deltaOf({ heap }: MemoryChange): PageDelta {
  const delta = new Uint32Array(2 * heap.indices.length);
  for (const [i, index] of heap.indices.entries()) delta[2 * i] = index;
  return delta;
}

export class WasmRunner implements MessageRunner {
  readonly #pages: PageArena | PageReader;
  readonly #pool: InstancePool;
  readonly #modules: ModuleCache;
  readonly #twins: Twins = new Twins();
  readonly #profiling: (canisterId: CanisterId) => boolean;

  constructor(options: RunnerOptions) {
    this.#pages = options.pages;
    this.#profiling = options.profiling ?? (() => false);
    this.#modules = new ModuleCache({
      engine: options.engine,
      source: options.modules,
      inflate: options.inflate,
    });
    this.#pool = new InstancePool({
      engine: options.engine,
      reader: options.pages,
      max: options.instancesMax ?? LIVE_INSTANCES_MAX,
      log: options.log ?? silentLogger,
    });
  }

  execute(
    canister: RunnableCanister,
    entry: EntryPoint,
    context: MessageContext,
    commitWithin?: bigint,
  ): MessageOutcome {
    const how = commitWithin === undefined ? {} : { commitWithin };
    return this.#run(canister, entry, { context, draft: null, disposition: "commit", ...how }).outcome;
  }

  commit(canister: RunnableCanister, change: MemoryChange): void {
    const arena = this.#arena();
    const { meta, memory } = canister;
    if (change.replacesHeap) clearTable(memory.heap, arena);
    if (change.replacesStable) clearTable(memory.stable, arena);
    storePages(memory.heap, arena, change.heap);
    storePages(memory.stable, arena, change.stable);
    meta.globals = change.globals;
    meta.heapPages = change.heapPages;
    meta.stablePages = change.stablePages;
    if (change.replacesHeap) this.#pool.evict(meta.id);
    else this.#pool.refresh(canister, change.heap.indices.length === 0 ? NO_PAGES : deltaOf(change));
  }

  inspect(canister: CanisterImage, entry: EntryPoint, context: MessageContext): MessageOutcome {
    return this.#run(canister, entry, { context, draft: null, disposition: "discard" }).outcome;
  }

  /**
   * Non-replicated execution: never commits. With `keepDraft` the memory after a successful run comes back as a draft, from
   * which the next message of the same composite query goes on.
   */
  query(
    canister: CanisterImage,
    entry: EntryPoint,
    options: {
      readonly context: MessageContext;
      readonly draft?: Draft | null;
      readonly keepDraft?: boolean;
    },
  ): QueryRun {
    const disposition = options.keepDraft === true ? "draft" : "discard";
    return this.#run(canister, entry, {
      context: options.context,
      draft: options.draft ?? null,
      disposition,
    });
  }

  install(
    canister: RunnableCanister,
    request: InstallRequest,
    context: MessageContext,
    commitWithin?: bigint,
  ): MessageOutcome {
    return runInstall({
      ...this.#upgradeTask(canister, context),
      request,
      commitWithin: commitWithin ?? null,
      arena: () => this.#arena(),
      twins: this.#twins,
    });
  }

  preUpgrade(canister: RunnableCanister, context: MessageContext): MessageOutcome | null {
    return runPreUpgrade(this.#upgradeTask(canister, context));
  }

  #upgradeTask(canister: RunnableCanister, context: MessageContext): UpgradeTask {
    return {
      canister,
      context,
      pages: this.#pages,
      pool: this.#pool,
      modules: this.#modules,
      form: this.#form(canister),
    };
  }

  evict(canister: CanisterId): void {
    this.#pool.evict(canister);
  }

  compile(uploaded: Uint8Array): ReturnType<MessageRunner["compile"]> {
    return this.#modules.compileUpload(uploaded);
  }

  /** The runnable form of an installed module, which other threads may use too. */
  compiledModule(module: InstalledModule): CompiledCanister {
    return this.#modules.compiled(module);
  }

  /** The runnable form of an upload, if it is at hand. */
  cachedModule(key: BlobKey): CompiledCanister | null {
    return this.#modules.cached(key);
  }

  /** Whether the module's runnable form is at hand. */
  hasCompiled(module: InstalledModule): boolean {
    return this.#modules.has(module.blob);
  }

  /** Takes over a module that another thread compiled. */
  adoptModule(key: BlobKey, compiled: CompiledCanister): void {
    this.#modules.adopt(key, compiled);
  }

  /** A mirrored canister's tables moved on by `heap`: its live instance follows. */
  refresh(canister: CanisterImage, heap: PageDelta): void {
    this.#pool.refresh(canister, heap);
  }

  get liveInstances(): number {
    return this.#pool.size;
  }

  /** Runs that the fast form gave up and the exact one did not. */
  get disagreements(): number {
    return this.#pool.disagreements;
  }

  #form({ meta }: CanisterImage): Form {
    return this.#profiling(meta.id) ? "profile" : "fast";
  }

  #arena(): PageArena {
    assert("writable" in this.#pages, "a runner without an arena cannot commit");
    return this.#pages;
  }

  #run(
    image: CanisterImage,
    entry: EntryPoint,
    options: {
      readonly context: MessageContext;
      readonly draft: Draft | null;
      readonly disposition: Disposition;
      readonly commitWithin?: bigint;
    },
  ): QueryRun {
    const { meta } = image;
    if (meta.module === null) return notRun(image, { kind: "wasm_module_not_found" });
    const planned = planEntry(meta.module.exports, entry);
    if (planned.kind === "failure") return notRun(image, planned.failure);
    if (planned.kind === "nothing") return nothingToRun();
    const { plan } = planned;
    const compiled = this.#modules.compiled(meta.module);
    const attempt: Attempt = { image, compiled, plan, context: options.context, draft: options.draft };
    const { live, result } = runInstalled(this.#pool, {
      ...attempt,
      form: this.#form(image),
      target: plan.target,
      frame: () => this.#frame(attempt, options.disposition === "draft"),
    });
    if (result.failure !== null) {
      const pagesLost = this.#pagesLost(live, attempt, result);
      this.#release(live, attempt);
      return { outcome: outcomeOf(image, result, pagesLost), draft: null };
    }
    const { frame } = result;
    const outcome = outcomeOf(image, result, this.#pagesChanged(live, image));
    const discard = options.disposition === "discard" || plan.mode === "replicated_query";
    if (options.disposition === "draft") return { outcome, draft: this.#extract(live, attempt, frame) };
    const { commitWithin } = options;
    if (!discard && commitWithin !== undefined && result.instructions > commitWithin) {
      return { outcome: { ...outcome, change: this.#takeChange(live, attempt, frame) }, draft: null };
    }
    if (discard) this.#release(live, attempt);
    else this.#commit(live, image, frame);
    return { outcome, draft: null };
  }

  /** Heap pages that a run changed: counted where there are many, since that decides when others run; pages marked where not. */
  #pagesChanged(live: Live, image: CanisterImage): number {
    const marked = live.instance.dirtyPages();
    if (marked.length < HEAVY_HEAP_PAGES) return marked.length;
    const bytes = live.instance.memoryBytes();
    const before = new Uint8Array(PAGE_BYTES);
    let changed = 0;
    for (const index of marked) {
      this.#pages.read(image.memory.heap.get(index), before, 0);
      if (!isSamePage(bytes, index * PAGE_BYTES, before)) changed++;
    }
    return changed;
  }

  #frame({ image, plan, context, draft }: Attempt, ownStable: boolean): MessageFrame {
    const base = { table: image.memory.stable, reader: this.#pages };
    const stable = draft?.stable.fork() ?? new StableOverlay(base, image.meta.stablePages);
    if (ownStable) stable.resetAccess();
    return new MessageFrame({
      ...plan,
      meta: image.meta,
      context,
      stable,
      heapPages: draft?.heapPages ?? image.meta.heapPages,
      instructionLimit: context.instructionLimit,
    });
  }

  /** The same of a run that failed, if there are many; none where instructions ran out, which forms notice at different places. */
  #pagesLost(live: Live, { image }: Attempt, { failure }: RunResult): number {
    const pages = failure?.kind === "instruction_limit" ? 0 : this.#pagesChanged(live, image);
    return pages < HEAVY_HEAP_PAGES ? 0 : pages;
  }

  /** The memory goes back to what the image says. */
  #release(live: Live, { image, draft }: Attempt): void {
    this.#pool.restoreDirty(live, image, draft);
  }

  /** Copies what a run changed and undoes it in the instance. */
  #takeChange(live: Live, attempt: Attempt, frame: MessageFrame): MemoryChange {
    const bytes = live.instance.memoryBytes();
    const change: MemoryChange = {
      heap: packPages(live.instance.dirtyPages(), (index) =>
        bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES),
      ),
      stable: frame.stable.changes(),
      globals: live.instance.readGlobals(),
      heapPages: heapPagesOf(live),
      stablePages: frame.stable.pages,
      replacesHeap: false,
      replacesStable: false,
    };
    this.#release(live, attempt);
    return change;
  }

  #commit(live: Live, canister: CanisterImage, frame: MessageFrame): void {
    const arena = this.#arena();
    const { meta, memory } = canister;
    const bytes = live.instance.memoryBytes();
    for (const index of live.instance.dirtyPages()) {
      storePage(memory.heap, arena, index, bytes, index * PAGE_BYTES);
      live.touched.add(index);
    }
    frame.stable.commit(memory.stable, arena);
    meta.globals = live.instance.readGlobals();
    meta.heapPages = heapPagesOf(live);
    meta.stablePages = frame.stable.pages;
    live.instance.clearDirty();
  }

  /** Takes the memory after a run as a draft and undoes it in the instance. */
  #extract(live: Live, attempt: Attempt, frame: MessageFrame): Draft {
    const bytes = live.instance.memoryBytes();
    const indices = new Set(attempt.draft?.pages.keys());
    for (const index of live.instance.dirtyPages()) indices.add(index);
    const pages = new Map<number, Uint8Array>();
    for (const index of indices) {
      pages.set(index, bytes.slice(index * PAGE_BYTES, (index + 1) * PAGE_BYTES));
    }
    const draft: Draft = {
      pages,
      globals: live.instance.readGlobals(),
      heapPages: heapPagesOf(live),
      stable: frame.stable,
    };
    this.#release(live, attempt);
    return draft;
  }
}

export function outcomeOf(image: CanisterImage, result: RunResult, heapPagesTouched: number): MessageOutcome {
  const { failure, frame, instructions, profile } = result;
  return {
    error: failure === null ? null : formatExecutionError(image.meta.id, failure),
    instructions,
    effects: failure === null ? frame.effects() : null,
    ...frame.logs.outcome(),
    heapPagesTouched,
    ...(profile === null ? {} : { profile }),
  };
}

function notRun(image: CanisterImage, failure: Failure): QueryRun {
  const error = formatExecutionError(image.meta.id, failure);
  return { outcome: { error, instructions: 0n, effects: null, logs: [], heapPagesTouched: 0 }, draft: null };
}

/** A canister without the hook: tasks do nothing, and every message is accepted. */
function nothingToRun(): QueryRun {
  const effects = { ...NO_EFFECTS, accepted: true };
  return { outcome: { error: null, instructions: 0n, effects, logs: [], heapPagesTouched: 0 }, draft: null };
}
