/**
 * Reads the current checkpoint back: the base, then each delta on it, every record's checksum verified, then the certified tree rebuilt from
 * the records and compared with the root hash that was written. Pages are found but not read, unless there are few: each is checked
 * when it is used. Nothing is repaired or guessed: damage is `store_corrupt` with the file's name. Reads only.
 */
import { assertNever, equalBytes, type Height, type PrincipalKey, toHex } from "@orrery/base";
import { emptyTree, treeHash } from "@orrery/crypto";
import { BlobStore } from "./blob-store.ts";
import { CanisterMap } from "./canister-map.ts";
import { fullTree } from "./canonical-state.ts";
import { decodingFrom, type Frame, FrameKind, type FrameReader, readFrames } from "./checkpoint-format.ts";
import { type CheckpointFile, checkpointFileName, readManifest } from "./checkpoint-manifest.ts";
import { PagesLoader } from "./checkpoint-pages.ts";
import {
  applySharedPages,
  deleteSnapshot,
  type LoadingSnapshot,
  restoreSnapshots,
  snapshotRecord,
} from "./checkpoint-snapshots.ts";
import { type CheckpointInfo, checkpointInfo, readBlobPayload } from "./checkpoint-writer.ts";
import { checksum } from "./checksum.ts";
import { decodeCanister, decodeIngressEntry, decodeSystem } from "./codec/records.ts";
import { ColdPages } from "./cold-pages.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { corrupt, networkTag, viewOf } from "./durable-format.ts";
import { PageTable } from "./page-table.ts";
import { PageArena } from "./pages.ts";
import { RecordPool } from "./record-pool.ts";
import type { BlobKey, IngressEntry, ReplicatedState, SnapshotKey } from "./types.ts";

/** Stores up to this size are read whole at the start, so that damage is told before anything runs: some 50 ms. */
const VERIFIED_BYTES_MAX: number = 32 << 20;
export interface LoadedCheckpoint {
  readonly state: ReplicatedState;
  /** Has the state's pages, made in epoch 0: advance it before the first round. */
  readonly arena: PageArena;
  readonly info: CheckpointInfo;
}

/** What the files read so far add up to. */
interface Loading {
  readonly arena: PageArena;
  readonly pages: PagesLoader;
  system: Uint8Array | null;
  rootHash: Uint8Array | null;
  height: Height;
  readonly canisters: CanisterMap;
  readonly pool: RecordPool;
  readonly snapshots: Map<SnapshotKey, LoadingSnapshot>;
  readonly ingress: Map<string, Uint8Array>;
  readonly blobs: Map<BlobKey, Uint8Array>;
}

export interface LoadOptions {
  readonly networkId: Uint8Array;
  /**
   * Pages stay on the disk until they are used, and at most so many are kept in memory beside those that no checkpoint holds: whoever
   * follows the arena then needs a reader of cold pages. When not given, all pages come into memory and stay there.
   */
  readonly hotPagesMax?: number | undefined;
  /** Whether small stores are read whole at once, true by default; pages are checked when they are used anyway. */
  readonly verify?: boolean;
}

/** The state of the current checkpoint, null when none was ever made. */
export function loadCheckpoint(disk: Disk, options: LoadOptions): LoadedCheckpoint | null {
  const manifest = readManifest(disk, networkTag(options.networkId));
  return manifest === null ? null : loadChain(disk, manifest, options);
}

/** What files came from, and what is known of them. */
export interface CheckpointChain {
  readonly height: Height;
  /** A base and what builds on it. The sum of a whole file is null where only the file itself knows it. */
  readonly chain: readonly (Omit<CheckpointFile, "sum"> & { readonly sum: number | null })[];
}

/** The state that a chain of checkpoint files adds up to. */
export function loadChain(disk: Disk, from: CheckpointChain, options: LoadOptions): LoadedCheckpoint {
  const network = networkTag(options.networkId);
  const { hotPagesMax, verify: wanted = true } = options;
  const arena = new PageArena({ cold: new ColdPages(disk), hotPagesMax });
  const verify = wanted && hotPagesMax !== undefined && checkpointInfo(from).chainBytes <= VERIFIED_BYTES_MAX;
  const loading: Loading = {
    arena,
    pages: new PagesLoader(arena, { verify }),
    system: null,
    rootHash: null,
    height: -1,
    canisters: new CanisterMap(),
    pool: new RecordPool(),
    snapshots: new Map(),
    ingress: new Map(),
    blobs: new Map(),
  };
  let parent = 0;
  for (const entry of from.chain) {
    applyFile(disk, loading, { network, entry, parent, skips: !verify });
    parent = entry.generation;
  }
  const last = checkpointFileName(parent);
  arena.reclaim(0);
  if (hotPagesMax === undefined) arena.warm();
  if (loading.height !== from.height)
    throw corrupt(last, `it is of height ${loading.height}, not ${from.height}`);
  return assemble(last, loading, from);
}

function applyFile(
  disk: Disk,
  loading: Loading,
  options: {
    readonly network: Uint8Array;
    readonly entry: CheckpointChain["chain"][number];
    readonly parent: number;
    readonly skips: boolean;
  },
): void {
  const { network, entry, parent, skips } = options;
  const name = checkpointFileName(entry.generation);
  let file: DiskFile;
  try {
    file = disk.open(name, { create: false });
  } catch (cause) {
    throw corrupt(name, "the manifest names it, but it cannot be opened", cause);
  }
  try {
    const reader = readFrames(name, file, network, { skips });
    const { header } = reader;
    if (
      header.generation !== entry.generation ||
      header.parent !== parent ||
      header.height < loading.height
    ) {
      throw corrupt(name, "it does not continue the checkpoint before it");
    }
    for (const frame of reader.frames()) applyFrame(name, reader, frame, loading);
    if ((entry.sum !== null && reader.chain() !== entry.sum) || file.size !== entry.bytes)
      throw corrupt(name, "it is not the file that was written");
    loading.height = header.height;
  } finally {
    file.close();
  }
}

function applyFrame(name: string, reader: FrameReader, frame: Frame, loading: Loading): void {
  const { kind, payload } = frame;
  switch (kind) {
    case FrameKind.system:
      loading.system = payload.slice();
      return;
    case FrameKind.footer:
      loading.rootHash = payload.slice();
      return;
    case FrameKind.canister: {
      const { key, rest } = splitKey(name, payload);
      const known = loading.canisters.get(key)?.memory;
      const memory = known ?? { heap: new PageTable(), stable: new PageTable() };
      // At once: records of all canisters that wait as bytes take as much memory again, which the host does not get back.
      const canister = decodingFrom(name, () => decodeCanister(rest, memory));
      loading.pool.share(canister.meta);
      loading.canisters.set(key, canister);
      return;
    }
    case FrameKind.canisterDeleted:
      deleteCanister(loading, splitKey(name, payload).key);
      return;
    case FrameKind.ingress: {
      const { key, rest } = splitKey(name, payload);
      loading.ingress.set(key, rest.slice());
      return;
    }
    case FrameKind.ingressPruned:
      loading.ingress.delete(splitKey(name, payload).key);
      return;
    case FrameKind.blob: {
      const { key, sum } = readBlobPayload(frame);
      const bytes = reader.read(frame.bulkOffset, frame.bulkBytes).slice();
      if (checksum(bytes) !== sum) throw corrupt(name, `blob ${key}`);
      loading.blobs.set(key, bytes);
      return;
    }
    case FrameKind.blobReleased:
      loading.blobs.delete(toHex(payload));
      return;
    case FrameKind.snapshot: {
      const { key, rest } = splitKey(name, payload);
      snapshotRecord(loading.snapshots, key, rest);
      return;
    }
    case FrameKind.snapshotDeleted:
      deleteSnapshot(loading, splitKey(name, payload).key);
      return;
    case FrameKind.sharedPages: {
      const { key, rest } = splitKey(name, payload);
      applySharedPages(name, loading, key, rest);
      return;
    }
    case FrameKind.pages:
      loading.pages.pages(name, reader, frame, memoryOf(name, payload, loading));
      return;
    case FrameKind.pageReferences:
      loading.pages.references(name, memoryOf(name, payload, loading));
      return;
    case FrameKind.zeroPages: {
      const { table, rest } = memoryOf(name, payload, loading);
      const view = viewOf(rest);
      for (let i = 0; i + 4 <= rest.length; i += 4) loading.pages.replace(table, view.getUint32(i, true), 0);
      return;
    }
    default:
      assertNever(kind, "frame kind");
  }
}

function deleteCanister(loading: Loading, key: PrincipalKey): void {
  const canister = loading.canisters.get(key);
  if (canister === undefined) return;
  const { heap, stable } = canister.memory;
  for (const id of [...heap.clear(), ...stable.clear()]) loading.arena.retire(id);
  loading.canisters.delete(key);
}

function splitKey(name: string, payload: Uint8Array): { readonly key: string; readonly rest: Uint8Array } {
  const end = 1 + (payload[0] ?? 0);
  if (payload.length < end) throw corrupt(name, "a record shorter than its key");
  return { key: toHex(payload.subarray(1, end)), rest: payload.subarray(end) };
}

function memoryOf(
  name: string,
  payload: Uint8Array,
  loading: Loading,
): { readonly table: PageTable; readonly rest: Uint8Array } {
  const { key, rest } = splitKey(name, payload);
  const memory = loading.canisters.get(key)?.memory;
  const snapshot = loading.snapshots.get(key);
  // Snapshot ids are longer than canister ids: no key is both.
  const tables = snapshot?.tables ?? (memory === undefined ? [] : [memory.heap, memory.stable]);
  const table = tables[rest[0] ?? tables.length];
  if (table === undefined) throw corrupt(name, `pages of a memory that is not there (canister ${key})`);
  return { table, rest: rest.subarray(1) };
}

function assemble(name: string, loading: Loading, from: CheckpointChain): LoadedCheckpoint {
  const { arena, system, rootHash, canisters } = loading;
  if (system === null || rootHash === null) throw corrupt(name, "it is not complete");
  const ingressHistory = new Map<string, IngressEntry>();
  const references: BlobKey[] = [];
  const state = decodingFrom(name, (): ReplicatedState => {
    for (const canister of canisters.values()) {
      if (canister.meta.module !== null) references.push(canister.meta.module.blob);
      if (canister.running?.kind === "install") references.push(canister.running.blob);
      references.push(...canister.chunks.keys());
    }
    const snapshots = restoreSnapshots(loading.snapshots);
    for (const { module, chunks } of snapshots.values()) {
      if (module.blob !== null) references.push(module.blob);
      references.push(...chunks.keys());
    }
    for (const [key, record] of loading.ingress) ingressHistory.set(key, decodeIngressEntry(record));
    return {
      ...decodeSystem(system),
      canisters,
      ingressHistory,
      blobs: BlobStore.restore(loading.blobs, references),
      snapshots,
      changedSnapshots: new Set(),
      tree: emptyTree(),
      changed: {
        canisters: new Set(),
        ingress: new Set(),
        streams: new Set(),
        nodes: new Set(),
        subnets: new Set(),
      },
    };
  });
  state.tree = fullTree(state);
  if (state.height !== from.height || !equalBytes(treeHash(state.tree), rootHash)) {
    throw corrupt(name, "its records do not have the root hash that was certified");
  }
  return { state, arena, info: checkpointInfo(from) };
}
