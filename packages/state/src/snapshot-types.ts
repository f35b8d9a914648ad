/** Records of snapshots (interface spec, "take_canister_snapshot" and its neighbours); what is done with them is in `snapshots.ts`. */
import type { CanisterId, TimeNs } from "@orrery/base";
import type { PageTable } from "./page-table.ts";
import type { BlobKey, CanisterMeta, GlobalType, WasmMemoryState } from "./types.ts";

/** Hexadecimal of a snapshot id: its local number as 8 bytes, big-endian, and the bytes of its canister's id. */
export type SnapshotKey = string;

export type SnapshotSource = "taken_from_canister" | "metadata_upload";

/**
 * Interface spec, "take_canister_snapshot", "upload_canister_snapshot_metadata". What was taken never changes; an upload's pages
 * and chunks do. Page versions are shared with the canister, by reference count; blobs hold one reference for each name here.
 */
export interface CanisterSnapshot {
  readonly id: Uint8Array;
  readonly canisterId: CanisterId;
  readonly source: SnapshotSource;
  readonly takenAt: TimeNs;
  /** Of the canister, when the snapshot came to be. */
  readonly canisterVersion: bigint;
  /** What its canister pays storage for. */
  sizeBytes: number;
  /** `blob` is null while the module is uploaded piece by piece into the pages of `memory.module`. */
  readonly module: { readonly blob: BlobKey | null; readonly bytes: number };
  readonly globals: readonly { readonly type: GlobalType; readonly bits: bigint }[];
  /** Wasm pages. */
  readonly heapPages: number;
  readonly stablePages: number;
  readonly certifiedData: Uint8Array;
  /** 0n is inactive; null was not given. */
  readonly globalTimer: TimeNs | null;
  readonly lowMemoryHook: CanisterMeta["lowMemoryHook"] | null;
  readonly chunks: Map<BlobKey, { readonly bytes: number }>;
  readonly memory: SnapshotMemory;
}

export interface SnapshotMemory extends WasmMemoryState {
  /** Bytes of an uploaded module from its beginning. */
  readonly module: PageTable;
}
