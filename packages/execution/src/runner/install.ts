/**
 * Installing code as one atomic execution (interface spec, "Install code": install, reinstall, upgrade): pre_upgrade of the old
 * module, `(start)` and `canister_init` or `canister_post_upgrade` of the new one. Memories and globals are committed at the
 * end or not at all. The instruction limit is shared by all parts.
 */
import { assert, principalKey } from "@orrery/base";
import {
  type CanisterState,
  type InstalledModule,
  PAGE_BYTES,
  type PageArena,
  type PageReader,
} from "@orrery/state";
import { type CompiledCanister, type Form, type FunctionProfile, joinProfiles } from "@orrery/wasm";
import type { UserError } from "../error-codes.ts";
import { type Failure, formatExecutionError } from "../system-api/failure.ts";
import { MessageFrame } from "../system-api/frame.ts";
import type { LogBuffer } from "../system-api/log-buffer.ts";
import type {
  InstallRequest,
  MemoryChange,
  MessageContext,
  MessageOutcome,
  RunnableCanister,
} from "../types.ts";
import type { Draft } from "./image.ts";
import { runInstalled } from "./installed-run.ts";
import { heapPagesOf, type InstancePool, type Live } from "./instances.ts";
import type { ModuleCache } from "./modules.ts";
import { clearTable, packPages, storePage } from "./page-commit.ts";
import { type RunResult, runTarget, type Target } from "./run.ts";
import { StableOverlay } from "./stable-overlay.ts";
import { shareWithTwin, type Twins } from "./twins.ts";

/** Private custom section of modules whose heap outlives upgrades. */
const PERSISTENCE_SECTION = "enhanced-orthogonal-persistence";

/** What pre_upgrade needs. */
export interface UpgradeTask {
  readonly canister: RunnableCanister;
  readonly context: MessageContext;
  readonly pages: PageReader;
  readonly pool: InstancePool;
  readonly modules: ModuleCache;
  /** That runs first. */
  readonly form: Form;
}

export interface InstallTask extends UpgradeTask {
  readonly request: InstallRequest;
  /** Null: commits whatever it takes. */
  readonly commitWithin: bigint | null;
  readonly arena: () => PageArena;
  readonly twins: Twins;
}

/** What the parts of an installation hand on. */
interface Progress {
  readonly instructions: bigint;
  readonly frame: MessageFrame | null;
  /** Memory after pre_upgrade; null when it did not run. */
  readonly draft: Draft | null;
  readonly profile: FunctionProfile | null;
}

function declaresPersistence(module: InstalledModule): boolean {
  return module.metadata.some((one) => one.visibility === "private" && one.name === PERSISTENCE_SECTION);
}

/**
 * The upgrade option `wasm_memory_persistence` against what the two modules declare (interface spec, "Install code"): null when
 * they agree, otherwise why not. `next`: null where the upload is no module.
 */
export function checkPersistence(
  current: InstalledModule,
  next: InstalledModule | null,
  option: "keep" | "replace" | null,
): Failure | null {
  if (option === null && declaresPersistence(current)) {
    return {
      kind: "user_violation",
      text: "Missing upgrade option: Enhanced orthogonal persistence requires the `wasm_memory_persistence` upgrade option.",
      suggestion: "",
      doc: "",
    };
  }
  if (option === "keep" && next !== null && !declaresPersistence(next)) {
    return {
      kind: "user_violation",
      text:
        "Invalid upgrade option: The `wasm_memory_persistence: opt Keep` upgrade option requires that the new canister " +
        "module supports enhanced orthogonal persistence.",
      suggestion: "",
      doc: "",
    };
  }
  return null;
}

/** The same as an error for the user. */
export function persistenceError(
  canister: Pick<CanisterState, "meta">,
  next: InstalledModule | null,
  option: "keep" | "replace" | null,
): UserError | null {
  const current = canister.meta.module;
  const failure = current === null ? null : checkPersistence(current, next, option);
  return failure === null ? null : formatExecutionError(canister.meta.id, failure);
}

function emptyOverlay(task: InstallTask): StableOverlay {
  return new StableOverlay({ table: null, reader: task.pages }, 0);
}

function currentOverlay({ canister, pages }: UpgradeTask): StableOverlay {
  return new StableOverlay({ table: canister.memory.stable, reader: pages }, canister.meta.stablePages);
}

/** Runs pre_upgrade of the installed module; its memory comes back as a draft, the instance as it was. */
function preUpgrade(task: UpgradeTask): { readonly result: RunResult; readonly draft: Draft | null } | null {
  const { canister, context, pool, modules } = task;
  const { module } = canister.meta;
  assert(module !== null, "an upgrade needs an installed module");
  if (!module.exports.preUpgrade) return null;
  const frame = (): MessageFrame =>
    new MessageFrame({
      mode: "pre_upgrade",
      meta: canister.meta,
      context,
      stable: currentOverlay(task),
      heapPages: canister.meta.heapPages,
      instructionLimit: context.instructionLimit,
    });
  const run = {
    image: canister,
    compiled: modules.compiled(module),
    form: task.form,
    draft: null,
    target: { kind: "export", name: "canister_pre_upgrade" },
    frame,
  } as const;
  const { live, result } = runInstalled(pool, run);
  const draft = result.failure === null ? draftOf(live, result.frame) : null;
  pool.restoreDirty(live, canister, null);
  return { result, draft };
}

function draftOf(live: Live, frame: MessageFrame): Draft {
  const bytes = live.instance.memoryBytes();
  const pages = new Map<number, Uint8Array>();
  for (const index of live.instance.dirtyPages()) {
    pages.set(index, bytes.slice(index * PAGE_BYTES, (index + 1) * PAGE_BYTES));
  }
  return {
    pages,
    globals: live.instance.readGlobals(),
    heapPages: heapPagesOf(live),
    stable: frame.stable,
  };
}

/** A fresh instance of the new module over its first memory: its own image, or the old heap when that is kept. */
function newInstance(
  task: InstallTask,
  compiled: CompiledCanister,
  options: { readonly draft: Draft | null; readonly form: Form },
): Live {
  const { canister, request, pool } = task;
  const minPages = compiled.info.memory?.minPages ?? 0;
  const keptPages = request.keepHeap ? (options.draft?.heapPages ?? canister.meta.heapPages) : 0;
  const live = pool.create({
    key: principalKey(canister.meta.id),
    blob: request.module.blob,
    compiled,
    pages: Math.max(minPages, keptPages),
    form: options.form,
  });
  const memory = live.instance.memoryBytes();
  if (request.keepHeap) {
    task.pages.load(canister.memory.heap, memory);
    for (const [index] of canister.memory.heap.entries()) live.touched.add(index);
    if (options.draft !== null) pool.applyDraft(live, options.draft);
  } else {
    for (const [i, index] of compiled.image.pages.entries()) {
      memory.set(compiled.image.bytes[i] as Uint8Array, index * PAGE_BYTES);
      live.touched.add(index);
    }
  }
  live.instance.clearDirty();
  return live;
}

/** `(start)`, then `canister_init` or `canister_post_upgrade`. Null: neither exists. */
function runHooks(
  task: InstallTask,
  live: Live,
  progress: Progress,
): { readonly result: RunResult; readonly used: bigint; readonly profile: FunctionProfile | null } {
  const { canister, request, context } = task;
  const upgrade = request.mode === "upgrade";
  const stable = upgrade ? (progress.draft?.stable.fork() ?? currentOverlay(task)) : emptyOverlay(task);
  const meta = {
    ...canister.meta,
    module: request.module,
    version: canister.meta.version + 1n,
    globals: live.instance.readGlobals(),
    heapPages: heapPagesOf(live),
    stablePages: stable.pages,
  };
  let used = progress.instructions;
  const frame = (mode: "start" | "init", previous: MessageFrame | null): MessageFrame =>
    new MessageFrame({
      mode,
      meta,
      context,
      stable,
      heapPages: heapPagesOf(live),
      instructionLimit: context.instructionLimit - used,
      argument: request.arg,
      previous,
    });
  const targets: ["start" | "init", Target][] = [];
  if (live.compiled.info.hasStart) targets.push(["start", { kind: "start" }]);
  const present = upgrade ? request.module.exports.postUpgrade : request.module.exports.init;
  const name = upgrade ? "canister_post_upgrade" : "canister_init";
  if (present) targets.push(["init", { kind: "export", name }]);
  let result: RunResult = {
    frame: frame("init", progress.frame),
    failure: null,
    instructions: 0n,
    exact: true,
    profile: live.instance.takeProfile(),
  };
  let profile = joinProfiles(progress.profile, result.profile);
  for (const [mode, target] of targets) {
    const previous = mode === "start" || targets.length === 1 ? progress.frame : result.frame;
    result = runTarget(live, target, frame(mode, previous));
    used += result.instructions;
    profile = joinProfiles(profile, result.profile);
    if (result.failure !== null) break;
  }
  return { result, used, profile };
}

/** Runs the new module's hooks in a new instance; again in the exact form where the other cannot tell how they end (installed-run.ts). */
function runNew(
  task: InstallTask,
  compiled: CompiledCanister,
  progress: Progress,
): { readonly live: Live } & ReturnType<typeof runHooks> {
  const { draft } = progress;
  const live = newInstance(task, compiled, { draft, form: task.form });
  const ran = runHooks(task, live, progress);
  if (ran.result.exact) return { live, ...ran };
  task.pool.discard(live);
  const again = newInstance(task, compiled, { draft, form: "exact" });
  const exact = runHooks(task, again, progress);
  if (exact.result.failure === null) task.pool.noteDisagreement(task.canister);
  return { live: again, ...exact };
}

function commit(task: InstallTask, live: Live, frame: MessageFrame): void {
  const { canister, request, pool } = task;
  const { meta, memory } = canister;
  const arena = task.arena();
  if (!request.keepHeap) clearTable(memory.heap, arena);
  if (request.mode !== "upgrade") clearTable(memory.stable, arena);
  for (const index of live.instance.dirtyPages()) live.touched.add(index);
  const bytes = live.instance.memoryBytes();
  const twin = request.keepHeap ? null : task.twins.exchange(request.module.blob, memory.heap);
  for (const index of live.touched.values()) {
    const offset = index * PAGE_BYTES;
    const shared = twin !== null && shareWithTwin({ table: memory.heap, twin, arena }, index, bytes, offset);
    if (!shared) storePage(memory.heap, arena, index, bytes, offset);
  }
  frame.stable.commit(memory.stable, arena);
  meta.globals = live.instance.readGlobals();
  meta.heapPages = heapPagesOf(live);
  meta.stablePages = frame.stable.pages;
  live.instance.clearDirty();
  pool.keep(live);
}

/** Copies what the installation made; its instance goes. */
function takeChange(
  task: InstallTask,
  live: Live,
  end: { frame: MessageFrame; draft: Draft | null },
): MemoryChange {
  const { request, pool } = task;
  const bytes = live.instance.memoryBytes();
  const indices = new Set<number>(live.instance.dirtyPages());
  if (request.keepHeap) for (const index of end.draft?.pages.keys() ?? []) indices.add(index);
  else for (const index of live.touched.values()) indices.add(index);
  const change: MemoryChange = {
    heap: packPages(indices, (index) => bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES)),
    stable: end.frame.stable.changes(),
    globals: live.instance.readGlobals(),
    heapPages: heapPagesOf(live),
    stablePages: end.frame.stable.pages,
    replacesHeap: !request.keepHeap,
    replacesStable: request.mode !== "upgrade",
  };
  pool.discard(live);
  return change;
}

/** What pre_upgrade comes to where nothing can follow it; null where there is none. */
export function runPreUpgrade(task: UpgradeTask): MessageOutcome | null {
  const before = preUpgrade(task);
  if (before === null) return null;
  const { failure, frame, instructions, profile } = before.result;
  if (failure !== null) return failedBefore(task, before.result, failure);
  const told = { instructions, ...frame.logs.outcome(), ...profiled(profile) };
  return { ...told, error: null, effects: null, heapPagesTouched: 0 };
}

function failedBefore(task: UpgradeTask, result: RunResult, failure: Failure): MessageOutcome {
  const { instructions, profile, frame } = result;
  return { ...failed(task, failure, { instructions, logs: frame.logs, profile }), endedBefore: true };
}

function failed(
  task: UpgradeTask,
  failure: Failure,
  progress: {
    readonly instructions: bigint;
    readonly logs: LogBuffer | null;
    readonly profile: FunctionProfile | null;
  },
): MessageOutcome {
  return {
    error: formatExecutionError(task.canister.meta.id, failure),
    instructions: progress.instructions,
    effects: null,
    ...(progress.logs?.outcome() ?? { logs: [] }),
    heapPagesTouched: 0,
    ...profiled(progress.profile),
  };
}

function profiled(profile: FunctionProfile | null): Pick<MessageOutcome, "profile"> {
  return profile === null ? {} : { profile };
}

export function runInstall(task: InstallTask): MessageOutcome {
  const { canister, request, modules, pool } = task;
  let progress: Progress = { instructions: 0n, frame: null, draft: null, profile: null };
  if (request.mode === "upgrade") {
    assert(canister.meta.module !== null, "an upgrade needs an installed module");
    const before = request.skipPreUpgrade ? null : preUpgrade(task);
    if (before !== null) {
      const { result, draft } = before;
      if (result.failure !== null) return failedBefore(task, result, result.failure);
      progress = {
        instructions: result.instructions,
        frame: result.frame,
        draft,
        profile: result.profile,
      };
    }
    const disagreement = request.keepHeap
      ? checkPersistence(canister.meta.module, request.module, "keep")
      : null;
    if (disagreement !== null) {
      const logs = progress.frame?.logs ?? null;
      return failed(task, disagreement, { ...progress, logs });
    }
  }
  const compiled = modules.compiled(request.module);
  const { live, result, used, profile } = runNew(task, compiled, progress);
  if (result.failure === null) {
    const { stable, burned } = result.frame;
    const end = { heapPages: heapPagesOf(live), stablePages: stable.pages, cyclesBurned: burned };
    const refusal = request.refuse?.(end) ?? null;
    const told = { instructions: used, ...result.frame.logs.outcome(), ...profiled(profile) };
    if (refusal !== null) {
      pool.discard(live);
      return { ...told, error: refusal, effects: null, heapPagesTouched: 0 };
    }
    const outcome: MessageOutcome = {
      ...told,
      error: null,
      effects: result.frame.effects(),
      heapPagesTouched: live.instance.dirtyPages().length,
    };
    if (task.commitWithin !== null && used > task.commitWithin) {
      return { ...outcome, change: takeChange(task, live, { frame: result.frame, draft: progress.draft }) };
    }
    commit(task, live, result.frame);
    return outcome;
  }
  pool.discard(live);
  return failed(task, result.failure, { instructions: used, logs: result.frame.logs, profile });
}
