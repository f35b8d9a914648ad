/**
 * How a certified view begins and what it needs of a round besides records and pages: everything as plain data that can be sent
 * to another thread. Page contents travel as ids into shared slabs.
 */
import type { Height, TimeNs } from "@orrery/base";
import { type LabelTree, treeHash } from "@orrery/crypto";
import type {
  BlobKey,
  CanisterLogRecord,
  CanisterMeta,
  CanisterState,
  IngressEntry,
  InstalledModule,
  PageDelta,
  PageTable,
  ReplicatedState,
  SubnetInfo,
} from "@orrery/state";
import type { CompiledCanister } from "@orrery/wasm";
import type { ModuleBytes } from "../types.ts";

/** A canister as a view holds it; tables of its own where the view is on the same thread, for which they cost less. */
export interface CanisterSnapshot {
  readonly meta: CanisterMeta;
  readonly heap: PageDelta | PageTable;
  readonly stable: PageDelta | PageTable;
  readonly logs: readonly CanisterLogRecord[];
  readonly consumed: ReadonlyMap<string, bigint>;
  readonly queryStats: CanisterState["queryStats"];
  /** Null in the middle of a message. */
  readonly chargedUntil: TimeNs | null;
}

export type IngressSummary = Pick<IngressEntry, "requestId" | "sender" | "receiver" | "effectiveId">;

export interface ViewSnapshot {
  readonly subnet: SubnetInfo;
  readonly height: Height;
  readonly time: TimeNs;
  readonly rootHash: Uint8Array;
  readonly tree: LabelTree;
  readonly canisters: readonly CanisterSnapshot[];
  readonly ingress: readonly IngressSummary[];
  readonly modules: readonly ModuleBytes[];
}

function allPages(table: PageTable): PageDelta {
  const pairs: number[] = [];
  for (const [index, id] of table.entries()) pairs.push(index, id);
  return Uint32Array.from(pairs);
}

/** Of the thread that takes a snapshot: modules that it has compiled, which whoever follows need not compile again. */
export interface CompiledModules {
  hasCompiled(module: InstalledModule): boolean;
  compiledModule(module: InstalledModule): CompiledCanister;
}

/**
 * The state between two rounds, as a view takes it over. Cost: the whole state, page contents apart; the chunks of page tables, where
 * the view is on the same thread (`pagesOf`).
 */
export function takeSnapshot(
  state: ReplicatedState,
  runner: CompiledModules | null = null,
  pagesOf: (table: PageTable) => PageDelta | PageTable = allPages,
): ViewSnapshot {
  const modules = new Map<BlobKey, ModuleBytes>();
  const canisters: CanisterSnapshot[] = [];
  for (const canister of state.canisters.values()) {
    const { meta, memory, logs, consumed, queryStats, running, chargedUntil } = canister;
    canisters.push({
      meta: { ...meta },
      heap: pagesOf(memory.heap),
      stable: pagesOf(memory.stable),
      logs,
      consumed: new Map(consumed),
      queryStats: { ...queryStats },
      chargedUntil: running === null ? chargedUntil : null,
    });
    const { module } = meta;
    if (module === null || modules.has(module.blob)) continue;
    const one = { key: module.blob, bytes: state.blobs.get(module.blob) };
    const known = runner?.hasCompiled(module) === true;
    modules.set(module.blob, known ? { ...one, compiled: runner.compiledModule(module) } : one);
  }
  const ingress: IngressSummary[] = [];
  for (const { requestId, sender, receiver, effectiveId } of state.ingressHistory.values()) {
    ingress.push({ requestId, sender, receiver, effectiveId });
  }
  return {
    subnet: state.subnet,
    height: state.height,
    time: state.time,
    rootHash: treeHash(state.tree),
    tree: state.tree,
    canisters,
    ingress,
    modules: [...modules.values()],
  };
}

/** For a delta: the bytes of modules that were installed at the state's time, whether or not a follower has them already. */
export function newModules(state: ReplicatedState, metas: Iterable<CanisterMeta>): ModuleBytes[] {
  const modules = new Map<BlobKey, ModuleBytes>();
  for (const { module, installedAt } of metas) {
    if (module === null || installedAt !== state.time || modules.has(module.blob)) continue;
    modules.set(module.blob, { key: module.blob, bytes: state.blobs.get(module.blob) });
  }
  return [...modules.values()];
}
