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
import type { CanisterDelta, ModuleBytes, StateDelta } from "../types.ts";
import type { CanisterSnapshot, IngressSummary, ViewSnapshot } from "./snapshot.ts";

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

/** What a mirror begins with; it keeps maps and pool. */
export interface FormedMirror extends Pick<ViewSnapshot, "subnet" | "height" | "time" | "rootHash" | "tree"> {
  readonly canisters: Map<PrincipalKey, MirroredCanister>;
  /** By request id in hexadecimal. */
  readonly ingress: Map<string, IngressSummary>;
  /** At least those that canisters have. */
  readonly modules: readonly ModuleBytes[];
  /** Of the canisters' records. */
  readonly pool: RecordPool;
}

export class Mirror implements ModuleSource {
  #subnet: SubnetInfo;
  readonly canisters: Map<PrincipalKey, MirroredCanister>;
  /** By request id in hexadecimal. */
  readonly ingress: Map<string, IngressSummary>;
  readonly #modules = new Map<BlobKey, HeldModule>();
  readonly #pool: RecordPool;
  #tree: LabelTree;
  #time: TimeNs;
  #height: number;

  constructor(from: ViewSnapshot | FormedMirror) {
    const formed = "pool" in from ? from : formedOf(from);
    this.#subnet = formed.subnet;
    this.canisters = formed.canisters;
    this.ingress = formed.ingress;
    this.#pool = formed.pool;
    this.#tree = formed.tree;
    this.#time = formed.time;
    this.#height = formed.height;
    for (const { key, bytes } of formed.modules) this.#modules.set(key, { bytes, references: 0 });
    for (const { meta } of this.canisters.values()) this.#retain(meta);
    // Some of what came in parts may have gone since.
    for (const [key, { references }] of this.#modules) if (references === 0) this.#forget(key);
    this.#check(formed.rootHash);
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
    if (delta.subnet !== undefined) this.#subnet = delta.subnet;
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

  #applyCanister(change: CanisterDelta, observer: MirrorObserver): void {
    const key = principalKey(change.meta.id);
    const known = this.canisters.get(key);
    const before = known?.meta ?? null;
    const canister = followCanister(known, change, this.#pool);
    this.canisters.set(key, canister);
    this.#retain(canister.meta);
    if (before !== null) this.#release(before);
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
    if (held.references === 0) this.#forget(module.blob);
  }

  #forget(blob: BlobKey): void {
    this.#modules.delete(blob);
    this.#pool.forgetModule(blob);
  }

  /** As of its height. */
  get subnet(): SubnetInfo {
    return this.#subnet;
  }

  #check(rootHash: Uint8Array): void {
    const actual = treeHash(this.#tree);
    assert(
      equalBytes(actual, rootHash),
      `the mirror of height ${this.#height} has root hash ${toHex(actual)}, the state has ${toHex(rootHash)}`,
    );
  }
}

/** Moves what is known of a canister by a delta; what is returned has all of it. */
export function followCanister(
  known: MirroredCanister | undefined,
  change: CanisterDelta,
  pool: RecordPool,
): MirroredCanister {
  if (!change.sameModule) pool.share(change.meta);
  let canister = known;
  if (canister === undefined) {
    assert(!change.sameModule, "the module of a new canister is told");
    canister = newCanister({ ...change, logs: [] }, { heap: new PageTable(), stable: new PageTable() });
  } else {
    canister.meta = change.sameModule ? { ...change.meta, module: canister.meta.module } : change.meta;
    canister.consumed = new Map(change.consumed);
    canister.chargedUntil = change.chargedUntil;
    canister.queryStats = change.queryStats;
  }
  canister.memory.heap.applyDelta(change.heap);
  canister.memory.stable.applyDelta(change.stable);
  if (change.logs !== null) canister.logs = change.logs;
  return canister;
}

export function newCanister(
  { meta, logs, consumed, queryStats, chargedUntil }: Omit<CanisterSnapshot<PageTable>, "heap" | "stable">,
  memory: MirroredCanister["memory"],
): MirroredCanister {
  return { meta, memory, logs, consumed: new Map(consumed), queryStats, chargedUntil };
}

function formedOf(snapshot: ViewSnapshot): FormedMirror {
  const { subnet, height, time, rootHash, tree, modules } = snapshot;
  const pool = new RecordPool();
  const canisters = new Map<PrincipalKey, MirroredCanister>();
  for (const snapshotted of snapshot.canisters) {
    const { meta, heap, stable } = snapshotted;
    pool.share(meta);
    canisters.set(principalKey(meta.id), newCanister(snapshotted, { heap, stable }));
  }
  const ingress = new Map(snapshot.ingress.map((entry) => [toHex(entry.requestId), entry]));
  return { subnet, height, time, rootHash, tree, modules, canisters, ingress, pool };
}
