/**
 * Down- and upload of snapshots (interface spec, "read_canister_snapshot_metadata", "read_canister_snapshot_data",
 * "upload_canister_snapshot_metadata", "upload_canister_snapshot_data"). An upload has its size from the beginning, all zeros, and
 * is paid for from then on; only its chunk store grows. Slices are paid for whether or not they fit.
 */
import { fromHex, toHex } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import {
  addSnapshot,
  type CanisterSnapshot,
  type CanisterState,
  PageTable,
  snapshotId,
  snapshotKey,
} from "@orrery/state";
import type { UserError } from "../error-codes.ts";
import {
  CERTIFIED_DATA_BYTES_MAX,
  CHUNK_BYTES_MAX,
  CHUNKS_MAX,
  HEAP_BYTES_MAX_32,
  HEAP_BYTES_MAX_64,
  SNAPSHOT_GLOBALS_MAX,
  SNAPSHOT_SLICE_BYTES_MAX,
  STABLE_BYTES_MAX,
  WASM_MODULE_BYTES_MAX,
} from "../limits.ts";
import type { Round } from "../scheduler/round.ts";
import { EMPTY_REPLY } from "../scheduler/stopping.ts";
import { controlled, failure, type Handler, type ManagementAnswer, type ManagementCall } from "./call.ts";
import { readBlob, required } from "./candid-decode.ts";
import { chunkStoreError } from "./chunks.ts";
import { payForWork, planWork, settleWork, workCycles } from "./growth.ts";
import { invalidMetadata, invalidSlice, sliceTooLarge, snapshotImmutable } from "./snapshot-errors.ts";
import { readBytes, writeBytes } from "./snapshot-pages.ts";
import {
  encodeSnapshotData,
  encodeSnapshotMetadata,
  encodeUploadedSnapshot,
  type ReadKind,
  readReadKind,
  readSnapshotId,
  readUploadedMetadata,
  readWriteKind,
  type SnapshotPart,
  type UploadedMetadata,
  type WriteKind,
} from "./snapshot-types.ts";
import {
  afterSnapshotChange,
  dropSnapshot,
  findSnapshot,
  replacedBytes,
  snapshotSizeBytes,
} from "./snapshots.ts";

const WASM_PAGE_BYTES = 65_536;

export const readCanisterSnapshotMetadata: Handler = (round, call) => {
  const found = controlled(round, call, (record) => required(record, "snapshot_id", readSnapshotId));
  if (!found.ok) return failure(found.error);
  const snapshot = findSnapshot(round, found.value.canister, found.value.args);
  if (!snapshot.ok) return failure(snapshot.error);
  const hashes = [...snapshot.value.chunks.keys()].sort().map(fromHex);
  return { kind: "reply", data: encodeSnapshotMetadata(snapshot.value, hashes) };
};

export const readCanisterSnapshotData: Handler = (round, call) => {
  const found = controlled(round, call, (record) => ({
    id: required(record, "snapshot_id", readSnapshotId),
    kind: required(record, "kind", readReadKind),
  }));
  if (!found.ok) return failure(found.error);
  const { canister, args } = found.value;
  const snapshot = findSnapshot(round, canister, args.id);
  if (!snapshot.ok) return failure(snapshot.error);
  const size = args.kind.kind === "slice" ? args.kind.size : BigInt(CHUNK_BYTES_MAX);
  if (args.kind.kind === "slice" && size > BigInt(SNAPSHOT_SLICE_BYTES_MAX))
    return failure(sliceTooLarge(size, SNAPSHOT_SLICE_BYTES_MAX));
  const instructions = round.limits.snapshotDataInstructions + size;
  const short = payForWork(round, canister, {
    cycles: workCycles(round, instructions),
    sender: call.sender,
  });
  if (short !== null) return failure(short);
  afterSnapshotChange(round, canister);
  return dataOf(round, snapshot.value, { kind: args.kind, instructions });
};

/** Length of a part, bytes. */
function partBytes(snapshot: CanisterSnapshot, part: SnapshotPart): number {
  switch (part) {
    case "wasm_module":
      return snapshot.module.bytes;
    case "wasm_memory":
      return snapshot.heapPages * WASM_PAGE_BYTES;
    default:
      return snapshot.stablePages * WASM_PAGE_BYTES;
  }
}

function partTable({ memory }: CanisterSnapshot, part: SnapshotPart): PageTable {
  if (part === "wasm_module") return memory.module;
  return part === "wasm_memory" ? memory.heap : memory.stable;
}

function dataOf(
  round: Round,
  snapshot: CanisterSnapshot,
  options: { readonly kind: ReadKind; readonly instructions: bigint },
): ManagementAnswer {
  const { kind, instructions } = options;
  const { blobs } = round.state;
  if (kind.kind === "chunk") {
    const key = toHex(kind.hash);
    if (kind.hash.length !== 32)
      return failure(chunkStoreError(`Bytes ${bytesText(kind.hash)} are not a valid WasmChunkHash.`));
    if (!snapshot.chunks.has(key))
      return failure(chunkStoreError(`WasmChunkHash ${bytesText(kind.hash)} not found.`));
    return { kind: "reply", data: encodeSnapshotData(blobs.get(key)), instructions };
  }
  const { part, offset, size } = kind;
  if (offset + size > BigInt(partBytes(snapshot, part))) return failure(invalidSlice(offset, size));
  const range = { offset: Number(offset), length: Number(size) };
  const { blob } = snapshot.module;
  const bytes =
    part === "wasm_module" && blob !== null
      ? blobs.get(blob).subarray(range.offset, range.offset + range.length)
      : readBytes(partTable(snapshot, part), round.arena, range);
  return { kind: "reply", data: encodeSnapshotData(bytes), instructions };
}

/** Bytes as the replica prints them, in two-digit hexadecimal. */
function bytesText(bytes: Uint8Array): string {
  return `[${[...bytes].map((b) => b.toString(16).padStart(2, "0")).join(", ")}]`;
}

/** Why metadata cannot be, by the replica's name for it. */
function metadataError(canister: CanisterState, metadata: UploadedMetadata): UserError | null {
  const { moduleBytes, heapBytes, stableBytes } = metadata;
  const page = BigInt(WASM_PAGE_BYTES);
  const heapMax = canister.meta.module?.is64 === true ? HEAP_BYTES_MAX_64 : HEAP_BYTES_MAX_32;
  const checks: readonly (readonly [boolean, string])[] = [
    [moduleBytes === 0n, "WasmModuleEmpty"],
    [moduleBytes > BigInt(WASM_MODULE_BYTES_MAX), "WasmModuleTooLarge"],
    [heapBytes % page !== 0n, "WasmMemoryNotPageAligned"],
    [heapBytes > heapMax, "WasmMemoryTooLarge"],
    [stableBytes % page !== 0n, "StableMemoryNotPageAligned"],
    [stableBytes > STABLE_BYTES_MAX, "StableMemoryTooLarge"],
    [metadata.globals.length > SNAPSHOT_GLOBALS_MAX, "ExportedGlobalsTooLarge"],
    [metadata.certifiedData.length > CERTIFIED_DATA_BYTES_MAX, "CertifiedDataTooLarge"],
  ];
  const wrong = checks.find(([is]) => is);
  return wrong === undefined ? null : invalidMetadata(wrong[1]);
}

export const uploadCanisterSnapshotMetadata: Handler = (round, call) => {
  const found = controlled(round, call, readUploadedMetadata);
  if (!found.ok) return failure(found.error);
  const { canister, args: metadata } = found.value;
  const { meta } = canister;
  const invalid = metadataError(canister, metadata);
  if (invalid !== null) return failure(invalid);
  const replaced = replacedBytes(round, canister, metadata.replaced);
  if (!replaced.ok) return failure(replaced.error);
  const snapshot = uploadedSnapshot(round, canister, metadata);
  const instructions = round.limits.snapshotInstructions + BigInt(snapshot.sizeBytes);
  const cycles = workCycles(round, instructions);
  const after = { ...meta, snapshotBytes: meta.snapshotBytes + snapshot.sizeBytes - replaced.value };
  const plan = planWork(round, { before: meta, after, cycles, sender: call.sender });
  if (!plan.ok) return failure(plan.error);
  if (metadata.replaced !== null) dropSnapshot(round, canister, metadata.replaced);
  addSnapshot(round.state, canister, snapshot);
  settleWork(round, canister, plan.value);
  afterSnapshotChange(round, canister);
  return { kind: "reply", data: encodeUploadedSnapshot(snapshot.id), instructions };
};

function uploadedSnapshot(
  round: Round,
  canister: CanisterState,
  metadata: UploadedMetadata,
): CanisterSnapshot {
  const parts = {
    moduleBytes: Number(metadata.moduleBytes),
    heapPages: Number(metadata.heapBytes) / WASM_PAGE_BYTES,
    stablePages: Number(metadata.stableBytes) / WASM_PAGE_BYTES,
  };
  const { globals } = metadata;
  const certifiedData = metadata.certifiedData.slice();
  return {
    id: snapshotId(canister.meta.id, canister.nextSnapshot),
    canisterId: canister.meta.id,
    source: "metadata_upload",
    takenAt: round.state.time,
    canisterVersion: canister.meta.version,
    sizeBytes: snapshotSizeBytes({
      ...parts,
      globals: globals.length,
      certifiedDataBytes: certifiedData.length,
      chunkStoreBytes: 0,
    }),
    module: { blob: null, bytes: parts.moduleBytes },
    globals,
    heapPages: parts.heapPages,
    stablePages: parts.stablePages,
    certifiedData,
    globalTimer: metadata.globalTimer,
    lowMemoryHook: metadata.lowMemoryHook,
    chunks: new Map(),
    memory: { heap: new PageTable(), stable: new PageTable(), module: new PageTable() },
  };
}

export const uploadCanisterSnapshotData: Handler = (round, call) => {
  const found = controlled(round, call, (record) => ({
    id: required(record, "snapshot_id", readSnapshotId),
    kind: required(record, "kind", readWriteKind),
    chunk: required(record, "chunk", readBlob),
  }));
  if (!found.ok) return failure(found.error);
  const { canister, args } = found.value;
  const snapshot = findSnapshot(round, canister, args.id);
  if (!snapshot.ok) return failure(snapshot.error);
  if (snapshot.value.source !== "metadata_upload") return failure(snapshotImmutable());
  const isChunk = args.kind.kind === "chunk";
  const written = isChunk ? CHUNK_BYTES_MAX : args.chunk.length;
  const short = payForWork(round, canister, {
    cycles: workCycles(round, BigInt(written)),
    sender: call.sender,
  });
  if (short !== null) return failure(short);
  afterSnapshotChange(round, canister);
  const refused = store(round, call, {
    canister,
    snapshot: snapshot.value,
    kind: args.kind,
    bytes: args.chunk,
  });
  if (refused !== null) return failure(refused);
  round.state.changedSnapshots.add(snapshotKey(args.id));
  const instructions = isChunk ? round.limits.uploadChunkInstructions : BigInt(written);
  return { kind: "reply", data: EMPTY_REPLY, instructions };
};

interface Upload {
  readonly canister: CanisterState;
  readonly snapshot: CanisterSnapshot;
  readonly kind: WriteKind;
  readonly bytes: Uint8Array;
}

function store(round: Round, call: ManagementCall, upload: Upload): UserError | null {
  const { snapshot, kind, bytes } = upload;
  if (kind.kind === "chunk") return storeChunk(round, call, upload);
  if (kind.offset + BigInt(bytes.length) > BigInt(partBytes(snapshot, kind.part)))
    return invalidSlice(kind.offset, BigInt(bytes.length));
  writeBytes(partTable(snapshot, kind.part), round.arena, { offset: Number(kind.offset), bytes });
  return null;
}

function storeChunk(
  round: Round,
  call: ManagementCall,
  { canister, snapshot, bytes }: Upload,
): UserError | null {
  const { meta } = canister;
  const key = toHex(sha256(bytes));
  if (bytes.length > CHUNK_BYTES_MAX) {
    const text = `Wasm chunk size ${bytes.length} exceeds the maximum chunk size of ${CHUNK_BYTES_MAX}`;
    return chunkStoreError(text);
  }
  if (snapshot.chunks.has(key)) return null;
  if (snapshot.chunks.size >= CHUNKS_MAX) {
    const capacity = CHUNKS_MAX * CHUNK_BYTES_MAX;
    return chunkStoreError(`Wasm chunk store has already reached maximum capacity of ${capacity} bytes`);
  }
  const after = { ...meta, snapshotBytes: meta.snapshotBytes + CHUNK_BYTES_MAX };
  const plan = planWork(round, { before: meta, after, cycles: 0n, sender: call.sender });
  if (!plan.ok) return plan.error;
  settleWork(round, canister, plan.value);
  round.state.blobs.put(bytes);
  snapshot.chunks.set(key, { bytes: bytes.length });
  snapshot.sizeBytes += CHUNK_BYTES_MAX;
  meta.snapshotBytes += CHUNK_BYTES_MAX;
  afterSnapshotChange(round, canister);
  return null;
}
