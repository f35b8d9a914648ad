/**
 * Snapshots as records (interface spec, "take_canister_snapshot" and its neighbours): their ids, and how they hold and give back
 * what they name. A snapshot's pages are its canister's, shared by reference count: taking or loading one costs its page
 * table, never its bytes.
 */
import { assert, type CanisterId, concatBytes, u64be } from "@orrery/base";
import type { PageTable } from "./page-table.ts";
import type { PageArena } from "./pages.ts";
import {
  type BlobKey,
  type CanisterSnapshot,
  type CanisterState,
  canisterKey,
  type ReplicatedState,
  type SnapshotKey,
  touch,
  type WasmMemoryState,
} from "./types.ts";

/** What sharing needs of an arena. */
export type SharedPages = Pick<PageArena, "retain" | "retire">;

/** The id that clients see: the local number as 8 bytes, big-endian, and the canister's id. */
export function snapshotId(canister: CanisterId, local: bigint): Uint8Array {
  return concatBytes(u64be(local), canister);
}

export function snapshotKey(id: Uint8Array): SnapshotKey {
  let key = "";
  for (const b of id) key += b.toString(16).padStart(2, "0");
  return key;
}

/** A table with the same page versions. */
export function shareTable(table: PageTable, pages: SharedPages): PageTable {
  const copy = table.clone();
  copy.forEachPage((id) => pages.retain(id));
  return copy;
}

/** Gives a memory the contents of another one; what differed counts as changed. */
export function replaceMemory(target: WasmMemoryState, source: WasmMemoryState, pages: SharedPages): void {
  replaceTable(target.heap, source.heap, pages);
  replaceTable(target.stable, source.stable, pages);
}

function replaceTable(target: PageTable, source: PageTable, pages: SharedPages): void {
  for (const [index, id] of [...target.differences(source)]) {
    pages.retain(id);
    pages.retire(target.set(index, id));
  }
}

/** Gives every page of a table back. */
function dropTable(table: PageTable, pages: SharedPages): void {
  for (const id of table.clear()) pages.retire(id);
}

/**
 * Adds a snapshot, made with the canister's next local number, to the state. References to its blobs and pages are its own
 * already.
 */
export function addSnapshot(
  state: ReplicatedState,
  canister: CanisterState,
  snapshot: CanisterSnapshot,
): void {
  const key = snapshotKey(snapshot.id);
  assert(!state.snapshots.has(key), `snapshot ${key} is there already`);
  canister.nextSnapshot++;
  canister.snapshots = [...canister.snapshots, key];
  canister.meta.snapshotBytes += snapshot.sizeBytes;
  state.snapshots.set(key, snapshot);
  state.changedSnapshots.add(key);
  touch(state, canister);
}

/** Removes a snapshot of the canister and gives back what it held. */
export function removeSnapshot(
  state: ReplicatedState,
  canister: CanisterState,
  options: { readonly key: SnapshotKey; readonly pages: SharedPages },
): void {
  const { key, pages } = options;
  const snapshot = state.snapshots.get(key);
  assert(
    snapshot !== undefined && canister.snapshots.includes(key),
    `canister ${canisterKey(canister)} has no snapshot ${key}`,
  );
  for (const table of [snapshot.memory.heap, snapshot.memory.stable, snapshot.memory.module])
    dropTable(table, pages);
  if (snapshot.module.blob !== null) state.blobs.release(snapshot.module.blob);
  for (const chunk of sortedKeys(snapshot.chunks)) state.blobs.release(chunk);
  canister.snapshots = canister.snapshots.filter((one) => one !== key);
  canister.meta.snapshotBytes -= snapshot.sizeBytes;
  state.snapshots.delete(key);
  state.changedSnapshots.add(key);
  touch(state, canister);
}

export function removeSnapshots(state: ReplicatedState, canister: CanisterState, pages: SharedPages): void {
  for (const key of canister.snapshots) removeSnapshot(state, canister, { key, pages });
}

function sortedKeys(chunks: ReadonlyMap<BlobKey, unknown>): BlobKey[] {
  return [...chunks.keys()].sort();
}
