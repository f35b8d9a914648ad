/**
 * Reads the current checkpoint back: the base, then each delta on it, every checksum verified, then the certified tree rebuilt from
 * the records and compared with the root hash that was written. Nothing is repaired or guessed: damage is `store_corrupt` with
 * the file's name. Reads only.
 */
import { assertNever, equalBytes, type Height, type PrincipalKey, toHex } from "@orrery/base";
import { emptyTree, treeHash } from "@orrery/crypto";
import { BlobStore } from "./blob-store.ts";
import { fullTree } from "./canonical-state.ts";
import { decodingFrom, type Frame, FrameKind, type FrameReader, readFrames } from "./checkpoint-format.ts";
import {
  type CheckpointFile,
  checkpointFileName,
  type Manifest,
  readManifest,
} from "./checkpoint-manifest.ts";
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
import type { Disk, DiskFile } from "./disk.ts";
import { corrupt, networkTag, viewOf } from "./durable-format.ts";
import { PAGE_BYTES, PageTable } from "./page-table.ts";
import { PageArena } from "./pages.ts";
import type { BlobKey, CanisterState, IngressEntry, ReplicatedState, SnapshotKey } from "./types.ts";

export interface LoadedCheckpoint {
  readonly state: ReplicatedState;
  /** Holds the state's pages, all made in epoch 0: advance it before the first round. */
  readonly arena: PageArena;
  readonly info: CheckpointInfo;
}

interface LoadingCanister {
  record: Uint8Array;
  readonly heap: PageTable;
  readonly stable: PageTable;
}

/** What the files read so far add up to, still as bytes. */
interface Loading {
  readonly arena: PageArena;
  system: Uint8Array | null;
  rootHash: Uint8Array | null;
  height: Height;
  readonly canisters: Map<PrincipalKey, LoadingCanister>;
  readonly snapshots: Map<SnapshotKey, LoadingSnapshot>;
  readonly ingress: Map<string, Uint8Array>;
  readonly blobs: Map<BlobKey, Uint8Array>;
}

/** The state of the current checkpoint, null when none was ever made. */
export function loadCheckpoint(
  disk: Disk,
  options: { readonly networkId: Uint8Array },
): LoadedCheckpoint | null {
  const network = networkTag(options.networkId);
  const manifest = readManifest(disk, network);
  if (manifest === null) return null;
  const loading: Loading = {
    arena: new PageArena(),
    system: null,
    rootHash: null,
    height: -1,
    canisters: new Map(),
    snapshots: new Map(),
    ingress: new Map(),
    blobs: new Map(),
  };
  let parent = 0;
  for (const entry of manifest.chain) {
    applyFile(disk, network, loading, entry, parent);
    parent = entry.generation;
  }
  const last = checkpointFileName(parent);
  if (loading.height !== manifest.height)
    throw corrupt(last, `it is of height ${loading.height}, not ${manifest.height}`);
  return assemble(last, loading, manifest);
}

function applyFile(
  disk: Disk,
  network: Uint8Array,
  loading: Loading,
  entry: CheckpointFile,
  parent: number,
): void {
  const name = checkpointFileName(entry.generation);
  let file: DiskFile;
  try {
    file = disk.open(name, { create: false });
  } catch (cause) {
    throw corrupt(name, "the manifest names it, but it cannot be opened", cause);
  }
  try {
    const reader = readFrames(name, file, network);
    const { header } = reader;
    if (
      header.generation !== entry.generation ||
      header.parent !== parent ||
      header.height < loading.height
    ) {
      throw corrupt(name, "it does not continue the checkpoint before it");
    }
    for (const frame of reader.frames()) applyFrame(name, reader, frame, loading);
    if (reader.chain() !== entry.sum || file.size !== entry.bytes)
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
      const known = loading.canisters.get(key);
      if (known !== undefined) known.record = rest.slice();
      else
        loading.canisters.set(key, { record: rest.slice(), heap: new PageTable(), stable: new PageTable() });
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
      applyPages(name, reader, frame, loading);
      return;
    case FrameKind.zeroPages: {
      const { table, rest } = memoryOf(name, payload, loading);
      const view = viewOf(rest);
      for (let i = 0; i + 4 <= rest.length; i += 4)
        replacePage(loading.arena, table, view.getUint32(i, true), 0);
      return;
    }
    default:
      assertNever(kind, "frame kind");
  }
}

function applyPages(name: string, reader: FrameReader, frame: Frame, loading: Loading): void {
  const { table, rest } = memoryOf(name, frame.payload, loading);
  // The payload's buffer is reused by the reads below.
  const entries = rest.slice();
  const view = viewOf(entries);
  const count = entries.length / 8;
  if (frame.bulkBytes !== count * PAGE_BYTES) throw corrupt(name, "a frame of pages with the wrong length");
  for (let i = 0; i < count; i++) {
    const index = view.getUint32(8 * i, true);
    const page = reader.read(frame.bulkOffset + i * PAGE_BYTES, PAGE_BYTES);
    if (checksum(page) !== view.getUint32(8 * i + 4, true)) throw corrupt(name, `page ${index} of a memory`);
    replacePage(loading.arena, table, index, loading.arena.allocate(page));
  }
}

function replacePage(arena: PageArena, table: PageTable, index: number, id: number): void {
  const old = table.get(index);
  // Not a change of the table's own: the state equals its checkpoint.
  table.applyDelta(Uint32Array.of(index, id));
  arena.retire(old);
}

function deleteCanister(loading: Loading, key: PrincipalKey): void {
  const canister = loading.canisters.get(key);
  if (canister === undefined) return;
  for (const id of [...canister.heap.clear(), ...canister.stable.clear()]) loading.arena.retire(id);
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
  const canister = loading.canisters.get(key);
  const snapshot = loading.snapshots.get(key);
  // Snapshot ids are longer than canister ids: no key is both.
  const tables = snapshot?.tables ?? (canister === undefined ? [] : [canister.heap, canister.stable]);
  const table = tables[rest[0] ?? tables.length];
  if (table === undefined) throw corrupt(name, `pages of a memory that is not there (canister ${key})`);
  return { table, rest: rest.subarray(1) };
}

function assemble(name: string, loading: Loading, manifest: Manifest): LoadedCheckpoint {
  const { arena, system, rootHash } = loading;
  if (system === null || rootHash === null) throw corrupt(name, "it is not complete");
  const canisters = new Map<PrincipalKey, CanisterState>();
  const ingressHistory = new Map<string, IngressEntry>();
  const references: BlobKey[] = [];
  const state = decodingFrom(name, (): ReplicatedState => {
    for (const [key, { record, heap, stable }] of loading.canisters) {
      const canister = decodeCanister(record, { heap, stable });
      canisters.set(key, canister);
      if (canister.meta.module !== null) references.push(canister.meta.module.blob);
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
      changed: { canisters: new Set(), ingress: new Set(), streams: new Set() },
    };
  });
  state.tree = fullTree(state);
  if (state.height !== manifest.height || !equalBytes(treeHash(state.tree), rootHash)) {
    throw corrupt(name, "its records do not have the root hash that was certified");
  }
  return { state, arena, info: checkpointInfo(manifest) };
}
