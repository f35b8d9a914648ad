/**
 * The records of one certified height, kept by following deltas: what a view answers from. Invariant: after `apply` the hash of
 * the mirrored tree is the delta's root hash, otherwise the view must not answer anything more.
 */
import { assert, equalBytes, type PrincipalKey, principalKey, type TimeNs, toHex } from "@orrery/base";
import { type LabelTree, treeHash } from "@orrery/crypto";
import {
  applyTreeChanges,
  type BlobKey,
  type CanisterLogRecord,
  type CanisterMeta,
  type CanisterState,
  type PageDelta,
  PageTable,
  RecordPool,
  type SubnetInfo,
} from "@orrery/state";
import type { CanisterImage } from "../runner/image.ts";
import type { ModuleSource } from "../runner/modules.ts";
import { gridPoint, payUntil } from "../scheduler/upkeep.ts";
import type { CanisterDelta, StateDelta } from "../types.ts";
import type { IngressSummary, ViewSnapshot } from "./snapshot.ts";

export interface MirroredCanister extends CanisterImage {
  meta: CanisterMeta;
  logs: readonly CanisterLogRecord[];
  consumed: Map<string, bigint>;
  queryStats: CanisterState["queryStats"];
  /** Null in the middle of a message: nothing is paid then. */
  chargedUntil: TimeNs | null;
}

/** Told which canisters moved, so that live instances can follow. */
export interface MirrorObserver {
  moved(canister: MirroredCanister, heap: PageDelta): void;
  removed(canister: MirroredCanister): void;
}

interface HeldModule {
  readonly bytes: Uint8Array;
  references: number;
}

export class Mirror implements ModuleSource {
  readonly subnet: SubnetInfo;
  readonly canisters: Map<PrincipalKey, MirroredCanister> = new Map();
  /** By request id in hexadecimal. */
  readonly ingress: Map<string, IngressSummary> = new Map();
  readonly #modules = new Map<BlobKey, HeldModule>();
  readonly #pool = new RecordPool();
  #tree: LabelTree;
  #time: TimeNs;
  #height: number;

  constructor(snapshot: ViewSnapshot) {
    this.subnet = snapshot.subnet;
    this.#tree = snapshot.tree;
    this.#time = snapshot.time;
    this.#height = snapshot.height;
    for (const { key, bytes } of snapshot.modules) this.#modules.set(key, { bytes, references: 0 });
    for (const snapshotted of snapshot.canisters) {
      const { meta, heap, stable, logs } = snapshotted;
      this.#pool.share(meta);
      const canister = newCanister(snapshotted, logs, { heap: tableOf(heap), stable: tableOf(stable) });
      this.canisters.set(principalKey(meta.id), canister);
      this.#retain(meta);
    }
    for (const entry of snapshot.ingress) this.ingress.set(toHex(entry.requestId), entry);
    this.#check(snapshot.rootHash);
  }

  get tree(): LabelTree {
    return this.#tree;
  }

  get time(): TimeNs {
    return this.#time;
  }

  get height(): number {
    return this.#height;
  }

  /** The canister, its storage and compute paid up to the view's time. */
  canister(id: Uint8Array): MirroredCanister | null {
    const canister = this.canisters.get(principalKey(id));
    if (canister === undefined) return null;
    const { chargedUntil } = canister;
    if (chargedUntil === null) return canister;
    const payer = { meta: canister.meta, consumed: canister.consumed, chargedUntil };
    payUntil(this.subnet, payer, gridPoint(this.#time));
    canister.chargedUntil = payer.chargedUntil;
    return canister;
  }

  /** Bytes of an installed module. */
  get(key: BlobKey): Uint8Array | null {
    return this.#modules.get(key)?.bytes ?? null;
  }

  apply(delta: StateDelta, observer: MirrorObserver): void {
    assert(delta.height === this.#height + 1, `delta ${delta.height} does not follow height ${this.#height}`);
    this.#height = delta.height;
    this.#time = delta.time;
    this.#tree = applyTreeChanges(this.#tree, delta.tree);
    this.#check(delta.rootHash);
    for (const { key, bytes } of delta.modules) {
      if (!this.#modules.has(key)) this.#modules.set(key, { bytes, references: 0 });
    }
    const removed = this.#remove(delta.deleted, observer);
    for (const change of delta.canisters) this.#applyCanister(change, observer);
    // Only now: a new canister of the id may have the old one's module, whose bytes did not come again.
    for (const { meta } of removed) this.#release(meta);
    for (const entry of delta.ingress) this.ingress.set(toHex(entry.requestId), entry);
    for (const key of delta.ingressPruned) this.ingress.delete(key);
  }

  /** Canisters changed from outside, between two heights. */
  amend(changes: readonly CanisterDelta[], observer: MirrorObserver): void {
    for (const change of changes) this.#applyCanister(change, observer);
  }

  #remove(keys: readonly PrincipalKey[], observer: MirrorObserver): MirroredCanister[] {
    const removed: MirroredCanister[] = [];
    for (const key of keys) {
      const canister = this.canisters.get(key);
      if (canister === undefined) continue;
      this.canisters.delete(key);
      observer.removed(canister);
      removed.push(canister);
    }
    return removed;
  }

  #applyCanister(change: StateDelta["canisters"][number], observer: MirrorObserver): void {
    const key = principalKey(change.meta.id);
    let canister = this.canisters.get(key);
    if (!change.sameModule) this.#pool.share(change.meta);
    if (canister === undefined) {
      assert(!change.sameModule, "the module of a new canister is told");
      this.#retain(change.meta);
      canister = newCanister(change, []);
      this.canisters.set(key, canister);
    } else {
      const meta = change.sameModule ? { ...change.meta, module: canister.meta.module } : change.meta;
      this.#retain(meta);
      this.#release(canister.meta);
      canister.meta = meta;
      canister.consumed = new Map(change.consumed);
      canister.chargedUntil = change.chargedUntil;
      canister.queryStats = change.queryStats;
    }
    canister.memory.heap.applyDelta(change.heap);
    canister.memory.stable.applyDelta(change.stable);
    if (change.logs !== null) canister.logs = change.logs;
    observer.moved(canister, change.heap);
  }

  #retain({ module }: CanisterMeta): void {
    if (module === null) return;
    const held = this.#modules.get(module.blob);
    assert(held !== undefined, `the bytes of module ${module.blob} did not come with its installation`);
    held.references++;
  }

  #release({ module }: CanisterMeta): void {
    const held = module === null ? undefined : this.#modules.get(module.blob);
    if (module === null || held === undefined) return;
    held.references--;
    if (held.references > 0) return;
    this.#modules.delete(module.blob);
    this.#pool.forgetModule(module.blob);
  }

  #check(rootHash: Uint8Array): void {
    const actual = treeHash(this.#tree);
    assert(
      equalBytes(actual, rootHash),
      `the mirror of height ${this.#height} has root hash ${toHex(actual)}, the state has ${toHex(rootHash)}`,
    );
  }
}

function newCanister(
  {
    meta,
    consumed,
    queryStats,
    chargedUntil,
  }: Pick<CanisterDelta, "meta" | "consumed" | "queryStats" | "chargedUntil">,
  logs: readonly CanisterLogRecord[],
  memory: MirroredCanister["memory"] = { heap: new PageTable(), stable: new PageTable() },
): MirroredCanister {
  return { meta, memory, logs, consumed: new Map(consumed), queryStats, chargedUntil };
}

function tableOf(pages: PageDelta | PageTable): PageTable {
  if (pages instanceof PageTable) return pages;
  const table = new PageTable();
  table.applyDelta(pages);
  return table;
}
