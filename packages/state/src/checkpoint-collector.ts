/**
 * What the next checkpoint has to contain, gathered on the thread that owns the state. It remembers names only (page numbers,
 * keys) and looks up what stands there when it collects, so a page overwritten many times between checkpoints is written once.
 *
 * Pages in flight: a `CheckpointInput` names page versions that the writer reads later from shared slabs. Collect between rounds,
 * after `arena.advance`. Until `finished` or `failed` is called for it, `arena.reclaim(e)` may be called only with
 * `e <= reclaimLimit()`; then none of the pages it names is reused, whatever the following rounds overwrite.
 */
import { assert, fromHex, type Height, type PrincipalKey, toHex } from "@orrery/base";
import { treeHash } from "@orrery/crypto";
import { CANISTERS_PER_PART, Gathering } from "./checkpoint-gathering.ts";
import { collectSnapshots, SnapshotChanges, type SnapshotInput } from "./checkpoint-snapshots.ts";
import { encodeCanister, encodeIngressEntry, encodeSystem } from "./codec/records.ts";
import type { PageDelta, PageTable } from "./page-table.ts";
import type { PageArena } from "./pages.ts";
import type { BlobKey, CanisterState, ReplicatedState, WasmMemoryState } from "./types.ts";

/** The part of a round's delta that checkpoints are made of. Page deltas: those taken from the tables in this round. */
export interface RoundChanges {
  readonly canisters: readonly {
    readonly meta: { readonly id: Uint8Array };
    readonly heap: PageDelta;
    readonly stable: PageDelta;
  }[];
  /** Canisters that ceased to exist, before those above came to be. */
  readonly deleted: readonly PrincipalKey[];
  readonly ingress: readonly { readonly requestId: Uint8Array }[];
  /** Hex request ids. */
  readonly ingressPruned: readonly string[];
}

export interface CanisterInput {
  readonly id: Uint8Array;
  readonly record: Uint8Array;
  /** Pairs of page number and page id; id 0 is the zero page. Sorted by number. */
  readonly heap: PageDelta;
  readonly stable: PageDelta;
}

/** All that a checkpoint writer on another thread needs besides the slabs. Structured-cloneable. */
export interface CheckpointInput {
  readonly kind: "full" | "delta";
  readonly height: Height;
  /** Height of the checkpoint that a delta builds on. */
  readonly basedOn: Height | null;
  /** `arena.epoch` when it was collected. */
  readonly epoch: number;
  /** `arena.reclaimedEpoch` then: nobody sees versions that were retired up to it. */
  readonly reclaimedEpoch: number;
  /** Root hash of the certified tree, checked on loading. */
  readonly rootHash: Uint8Array;
  readonly system: Uint8Array;
  readonly deleted: readonly Uint8Array[];
  readonly canisters: readonly CanisterInput[];
  /** Of a full one that was gathered in parts: canisters, as keys, of which what the parts say does not hold any more (`withGathered`). */
  readonly regathered?: readonly PrincipalKey[];
  /** In the order of canisters and ages, since one may share pages with the one before it. */
  readonly snapshots: readonly SnapshotInput[];
  readonly snapshotsDeleted: readonly Uint8Array[];
  readonly ingress: readonly { readonly requestId: Uint8Array; readonly record: Uint8Array }[];
  readonly ingressPruned: readonly Uint8Array[];
  /** `bytes` is null for a blob that is durable already: the writer copies it. */
  readonly blobs: readonly { readonly key: BlobKey; readonly bytes: Uint8Array | null }[];
  readonly blobsReleased: readonly BlobKey[];
}

interface ChangedPages {
  readonly heap: Set<number>;
  readonly stable: Set<number>;
}

interface InFlight {
  readonly input: CheckpointInput;
  readonly changes: Changes;
  /** Of the canisters in it. */
  readonly memories: Map<PrincipalKey, WasmMemoryState>;
}

interface Changes {
  readonly canisters: Map<PrincipalKey, ChangedPages>;
  /** Existed at the last checkpoint and were deleted since, whether or not there is a new one of that id. */
  readonly deleted: Set<PrincipalKey>;
  readonly ingress: Set<string>;
  readonly blobs: Set<BlobKey>;
}

function noChanges(): Changes {
  return { canisters: new Map(), deleted: new Set(), ingress: new Set(), blobs: new Set() };
}

export class CheckpointCollector {
  #changes = noChanges();
  #base: Height | null;
  readonly #durableBlobs: Set<BlobKey>;
  readonly #snapshots: SnapshotChanges;
  /** Memories of the canisters in the last checkpoint: other tables under the same id are another canister's. */
  #durableMemories = new Map<PrincipalKey, WasmMemoryState>();
  #inFlight: InFlight | null = null;
  /** Of the next full checkpoint, once that is wanted. */
  #gathering: Gathering | null = null;

  /** `base`: height of the checkpoint that the state was loaded from, null when there is none yet. */
  constructor(state: ReplicatedState, base: Height | null) {
    this.#base = base;
    this.#snapshots = new SnapshotChanges(base === null ? new Map() : state.snapshots);
    this.#durableBlobs = new Set(base === null ? [] : state.blobs.keys());
    if (base === null) return;
    state.blobs.takeChanges();
    state.changedSnapshots.clear();
    for (const [key, { memory }] of state.canisters) this.#durableMemories.set(key, memory);
  }

  /** Adds one round. To be called for every round executed since the checkpoint, replayed ones included. Cost: its changes. */
  absorb(round: RoundChanges): void {
    const { canisters, deleted, ingress } = this.#changes;
    for (const key of round.deleted) {
      canisters.delete(key);
      deleted.add(key);
      this.#gathering?.note(key);
    }
    for (const { meta, heap, stable } of round.canisters) {
      const key = toHex(meta.id);
      this.#gathering?.note(key);
      const pages = this.#pagesOf(key);
      for (let i = 0; i < heap.length; i += 2) pages.heap.add(heap[i] as number);
      for (let i = 0; i < stable.length; i += 2) pages.stable.add(stable[i] as number);
    }
    for (const { requestId } of round.ingress) ingress.add(toHex(requestId));
    for (const key of round.ingressPruned) ingress.add(key);
  }

  /** The canister belongs to the next checkpoint, with the pages that are added to what is returned. */
  #pagesOf(key: PrincipalKey): ChangedPages {
    const { canisters } = this.#changes;
    let pages = canisters.get(key);
    if (pages === undefined) {
      pages = { heap: new Set(), stable: new Set() };
      canisters.set(key, pages);
    }
    return pages;
  }

  /**
   * Between rounds, after `absorb`: a part of the next full checkpoint, to be put before it by `withGathered`; empty when every canister
   * has been gathered. Cost: the part.
   */
  gather(state: ReplicatedState, canistersMax: number = CANISTERS_PER_PART): readonly CanisterInput[] {
    this.#gathering ??= new Gathering(state);
    return this.#gathering.next(state, canistersMax, wholeCanister);
  }

  /** Whether a full checkpoint costs what changed since it was gathered. */
  get isGathered(): boolean {
    return this.#gathering?.isDone === true;
  }

  /**
   * The state at its present height as a checkpoint: `delta` holds what changed since the last finished one, and becomes `full`
   * when there is none. One collection is in flight at a time. Cost of a delta: the changes; of a full one the whole state, unless it
   * was gathered.
   */
  collect(
    state: ReplicatedState,
    kind: "full" | "delta",
    arena: Pick<PageArena, "epoch" | "reclaimedEpoch">,
  ): CheckpointInput {
    assert(this.#inFlight === null, "a checkpoint is collected while another is being written");
    for (const key of state.blobs.takeChanges()) this.#changes.blobs.add(key);
    const changes = this.#changes;
    const isFull = kind === "full" || this.#base === null;
    const gathering = isFull && this.isGathered ? this.#gathering : null;
    const snapshots = this.#snapshots.take(state);
    const common = {
      height: state.height,
      epoch: arena.epoch,
      reclaimedEpoch: arena.reclaimedEpoch,
      rootHash: treeHash(state.tree),
      system: encodeSystem(state),
    };
    const input: CheckpointInput = isFull
      ? {
          kind: "full",
          basedOn: null,
          ...common,
          ...this.#everything(state, gathering),
          snapshots: collectSnapshots(state, null),
          snapshotsDeleted: [],
        }
      : {
          kind: "delta",
          basedOn: this.#base,
          ...common,
          ...this.#changed(state, changes),
          snapshots: collectSnapshots(state, snapshots.changed),
          snapshotsDeleted: snapshots.deleted,
        };
    this.#changes = noChanges();
    const memories = gathering?.gathered ?? new Map<PrincipalKey, WasmMemoryState>();
    for (const { id } of input.canisters) {
      const key = toHex(id);
      memories.set(key, (state.canisters.get(key) as CanisterState).memory);
    }
    if (isFull) this.#gathering = null;
    this.#inFlight = { input, changes, memories };
    return input;
  }

  /** Highest epoch that may be reclaimed as far as checkpoints go. */
  reclaimLimit(): number {
    return this.#inFlight === null ? Number.POSITIVE_INFINITY : this.#inFlight.input.epoch - 1;
  }

  /** The collection in flight is durable. */
  finished(): void {
    assert(this.#inFlight !== null, "no checkpoint is being written");
    const { input, memories } = this.#inFlight;
    this.#base = input.height;
    this.#snapshots.finished();
    if (input.kind === "full") {
      this.#durableBlobs.clear();
      this.#durableMemories = memories;
    } else {
      for (const id of input.deleted) this.#durableMemories.delete(toHex(id));
      for (const [key, memory] of memories) this.#durableMemories.set(key, memory);
    }
    for (const { key } of input.blobs) this.#durableBlobs.add(key);
    for (const key of input.blobsReleased) this.#durableBlobs.delete(key);
    this.#inFlight = null;
  }

  /** The collection in flight was not written (disk full): its changes belong to the next one. */
  failed(): void {
    assert(this.#inFlight !== null, "no checkpoint is being written");
    this.#snapshots.failed();
    const later = this.#changes;
    this.#changes = this.#inFlight.changes;
    this.#inFlight = null;
    for (const key of later.deleted) {
      this.#changes.canisters.delete(key);
      this.#changes.deleted.add(key);
    }
    for (const [key, pages] of later.canisters) {
      const old = this.#changes.canisters.get(key);
      if (old === undefined) this.#changes.canisters.set(key, pages);
      for (const index of pages.heap) old?.heap.add(index);
      for (const index of pages.stable) old?.stable.add(index);
    }
    for (const key of later.ingress) this.#changes.ingress.add(key);
    for (const key of later.blobs) this.#changes.blobs.add(key);
  }

  #changed(state: ReplicatedState, changes: Changes): Pick<CheckpointInput, ContentField> {
    const canisters: CanisterInput[] = [];
    const deleted = new Set(changes.deleted);
    for (const key of [...changes.canisters.keys()].sort()) {
      const canister = state.canisters.get(key);
      assert(canister !== undefined, `canister ${key} changed and is gone, but was not named as deleted`);
      const { heap, stable } = canister.memory;
      const durable = this.#durableMemories.get(key);
      if (durable !== undefined && (durable.heap !== heap || durable.stable !== stable)) {
        // Deleted and made anew under its id, perhaps within one round: nothing of the old pages may stay.
        deleted.add(key);
        canisters.push(canisterInput(canister, heap.pairs(), stable.pairs()));
        continue;
      }
      const pages = changes.canisters.get(key) as ChangedPages;
      canisters.push(canisterInput(canister, standing(heap, pages.heap), standing(stable, pages.stable)));
    }
    const keys = [...changes.ingress].sort();
    const blobs = [...changes.blobs].sort();
    return {
      deleted: [...deleted].sort().map(fromHex),
      canisters,
      ingress: ingressInputs(state, keys),
      ingressPruned: keys.filter((key) => !state.ingressHistory.has(key)).map(fromHex),
      blobs: blobs
        .filter((key) => state.blobs.has(key) && !this.#durableBlobs.has(key))
        .map((key) => ({ key, bytes: state.blobs.get(key) })),
      blobsReleased: blobs.filter((key) => !state.blobs.has(key) && this.#durableBlobs.has(key)),
    };
  }

  /** Of what was gathered, only what changed since. */
  #everything(
    state: ReplicatedState,
    gathering: Gathering | null,
  ): Pick<CheckpointInput, ContentField | "regathered"> {
    const canisters: CanisterInput[] = [];
    for (const key of [...(gathering?.changed ?? state.canisters.keys())].sort()) {
      const canister = state.canisters.get(key);
      if (canister !== undefined) canisters.push(wholeCanister(canister));
    }
    return {
      deleted: [],
      canisters,
      ingress: ingressInputs(state, [...state.ingressHistory.keys()].sort()),
      ingressPruned: [],
      blobs: state.blobs
        .keys()
        .map((key) => ({ key, bytes: this.#durableBlobs.has(key) ? null : state.blobs.get(key) })),
      blobsReleased: [],
      ...(gathering === null ? {} : { regathered: [...gathering.changed] }),
    };
  }
}

type ContentField = "deleted" | "canisters" | "ingress" | "ingressPruned" | "blobs" | "blobsReleased";

function canisterInput(canister: CanisterState, heap: PageDelta, stable: PageDelta): CanisterInput {
  return { id: canister.meta.id, record: encodeCanister(canister), heap, stable };
}

function wholeCanister(canister: CanisterState): CanisterInput {
  const { heap, stable } = canister.memory;
  return canisterInput(canister, heap.pairs(), stable.pairs());
}

function ingressInputs(state: ReplicatedState, keys: readonly string[]): CheckpointInput["ingress"] {
  return keys.flatMap((key) => {
    const entry = state.ingressHistory.get(key);
    return entry === undefined ? [] : [{ requestId: entry.requestId, record: encodeIngressEntry(entry) }];
  });
}

function standing(table: PageTable, indices: ReadonlySet<number>): PageDelta {
  const sorted = Uint32Array.from(indices).sort();
  const pairs = new Uint32Array(sorted.length * 2);
  for (let i = 0; i < sorted.length; i++) {
    pairs[2 * i] = sorted[i] as number;
    pairs[2 * i + 1] = table.get(sorted[i] as number);
  }
  return pairs;
}
