/**
 * How a certified view begins and what it needs of a round besides records and pages. Page contents are ids into shared slabs.
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

/** A canister as a view takes it over. */
export interface CanisterSnapshot<Pages extends PageDelta | PageTable> {
  readonly meta: CanisterMeta;
  readonly heap: Pages;
  readonly stable: Pages;
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
  /** With tables of their own. */
  readonly canisters: readonly CanisterSnapshot<PageTable>[];
  readonly ingress: readonly IngressSummary[];
  readonly modules: readonly ModuleBytes[];
}

/** Of the thread that takes a snapshot: modules that it has compiled, which whoever follows need not compile again. */
export interface CompiledModules {
  hasCompiled(module: InstalledModule): boolean;
  compiledModule(module: InstalledModule): CompiledCanister;
}

export function snapshotOf<Pages extends PageDelta | PageTable>(
  { meta, logs, consumed, queryStats, running, chargedUntil }: CanisterState,
  pages: { readonly heap: Pages; readonly stable: Pages },
): CanisterSnapshot<Pages> {
  return {
    meta: { ...meta },
    ...pages,
    logs,
    consumed: new Map(consumed),
    queryStats: { ...queryStats },
    chargedUntil: running === null ? chargedUntil : null,
  };
}

/** An installed module, in compiled form as well if there is one. */
export function moduleBytes(
  { blobs }: ReplicatedState,
  module: InstalledModule,
  compiled: CompiledModules | null,
): ModuleBytes {
  const one = { key: module.blob, bytes: blobs.get(module.blob) };
  return compiled?.hasCompiled(module) === true ? { ...one, compiled: compiled.compiledModule(module) } : one;
}

/**
 * The state between two rounds, as a view on the same thread takes it over; for one on another thread see `ViewGathering`. Cost: the
 * records, and the chunks of page tables.
 */
export function takeSnapshot(state: ReplicatedState, compiled: CompiledModules | null = null): ViewSnapshot {
  const modules = new Map<BlobKey, ModuleBytes>();
  const canisters: CanisterSnapshot<PageTable>[] = [];
  for (const canister of state.canisters.values()) {
    const { meta, memory } = canister;
    canisters.push(snapshotOf(canister, { heap: memory.heap.clone(), stable: memory.stable.clone() }));
    const { module } = meta;
    if (module === null || modules.has(module.blob)) continue;
    modules.set(module.blob, moduleBytes(state, module, compiled));
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
