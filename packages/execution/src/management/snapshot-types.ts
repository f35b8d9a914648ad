/** Candid of snapshot calls (interface spec, `ic.did`): readers of their arguments, encoders of their replies. */
import { IDL } from "@icp-sdk/core/candid";
import type { CanisterMeta, CanisterSnapshot, GlobalType } from "@orrery/state";
import {
  type CandidRecord,
  optional,
  type Read,
  readBlob,
  readBlobOf,
  readFloat,
  readInteger,
  readNat,
  readNat64,
  readRecord,
  readVariant,
  readVec,
  required,
} from "./candid-decode.ts";
import { encodeOne } from "./types.ts";

/** Local number and canister id. */
const SNAPSHOT_ID_BYTES_MIN = 8;
const SNAPSHOT_ID_BYTES_MAX = 37;

export const readSnapshotId: Read<Uint8Array> = readBlobOf({
  min: SNAPSHOT_ID_BYTES_MIN,
  max: SNAPSHOT_ID_BYTES_MAX,
});

const Blob = IDL.Vec(IDL.Nat8);

/** Floating-point bits as they are: JavaScript numbers do not keep those of every NaN. */
class FloatBits extends IDL.FixedNatClass {
  readonly #code: number;

  constructor(bits: 32 | 64, code: number) {
    super(bits);
    this.#code = code;
  }

  override encodeType(): Uint8Array<ArrayBuffer> {
    return Uint8Array.of(this.#code);
  }
}

/** Candid's type codes −13 and −14. */
const Float32Bits = new FloatBits(32, 0x73);
const Float64Bits = new FloatBits(64, 0x72);

const Global = IDL.Variant({
  i32: IDL.Int32,
  i64: IDL.Int64,
  f32: Float32Bits,
  f64: Float64Bits,
  v128: IDL.Nat,
});

const Timer = IDL.Variant({ inactive: IDL.Null, active: IDL.Nat64 });
const Hook = IDL.Variant({ condition_not_satisfied: IDL.Null, ready: IDL.Null, executed: IDL.Null });
const ChunkHash = IDL.Record({ hash: Blob });

const Snapshot = IDL.Record({ id: Blob, taken_at_timestamp: IDL.Nat64, total_size: IDL.Nat64 });

const Metadata: IDL.Type = IDL.Record({
  source: IDL.Variant({ taken_from_canister: IDL.Reserved, metadata_upload: IDL.Reserved }),
  taken_at_timestamp: IDL.Nat64,
  wasm_module_size: IDL.Nat64,
  globals: IDL.Vec(Global),
  wasm_memory_size: IDL.Nat64,
  stable_memory_size: IDL.Nat64,
  wasm_chunk_store: IDL.Vec(ChunkHash),
  canister_version: IDL.Nat64,
  certified_data: Blob,
  global_timer: IDL.Opt(Timer),
  on_low_wasm_memory_hook_status: IDL.Opt(Hook),
});

const DataResult = IDL.Record({ chunk: Blob });
const UploadResult = IDL.Record({ snapshot_id: Blob });

type SnapshotSummary = Pick<CanisterSnapshot, "id" | "takenAt" | "sizeBytes">;

function summary({ id, takenAt, sizeBytes }: SnapshotSummary): unknown {
  return { id, taken_at_timestamp: takenAt, total_size: BigInt(sizeBytes) };
}

export function encodeSnapshot(snapshot: SnapshotSummary): Uint8Array {
  return encodeOne(Snapshot, summary(snapshot));
}

export function encodeSnapshots(snapshots: readonly SnapshotSummary[]): Uint8Array {
  return encodeOne(IDL.Vec(Snapshot), snapshots.map(summary));
}

export function encodeSnapshotData(chunk: Uint8Array): Uint8Array {
  return encodeOne(DataResult, { chunk });
}

export function encodeUploadedSnapshot(id: Uint8Array): Uint8Array {
  return encodeOne(UploadResult, { snapshot_id: id });
}

function candidGlobal({ type, bits }: CanisterSnapshot["globals"][number]): unknown {
  switch (type) {
    case "i32":
      return { i32: Number(BigInt.asIntN(32, bits)) };
    case "i64":
      return { i64: BigInt.asIntN(64, bits) };
    case "f32":
      return { f32: Number(bits) };
    default:
      return { [type]: bits };
  }
}

const HOOK_TAGS = {
  not_satisfied: "condition_not_satisfied",
  ready: "ready",
  executed: "executed",
} as const;

/** As the replica writes it in texts. */
export function hookName(hook: CanisterMeta["lowMemoryHook"]): string {
  return { not_satisfied: "ConditionNotSatisfied", ready: "Ready", executed: "Executed" }[hook];
}

const WASM_PAGE_BYTES = 65_536n;

export function encodeSnapshotMetadata(
  snapshot: CanisterSnapshot,
  chunkHashes: readonly Uint8Array[],
): Uint8Array {
  const { globalTimer, lowMemoryHook } = snapshot;
  return encodeOne(Metadata, {
    source: { [snapshot.source]: null },
    taken_at_timestamp: snapshot.takenAt,
    wasm_module_size: BigInt(snapshot.module.bytes),
    globals: snapshot.globals.map(candidGlobal),
    wasm_memory_size: BigInt(snapshot.heapPages) * WASM_PAGE_BYTES,
    stable_memory_size: BigInt(snapshot.stablePages) * WASM_PAGE_BYTES,
    wasm_chunk_store: chunkHashes.map((hash) => ({ hash })),
    canister_version: snapshot.canisterVersion,
    certified_data: snapshot.certifiedData,
    global_timer:
      globalTimer === null ? [] : [globalTimer === 0n ? { inactive: null } : { active: globalTimer }],
    on_low_wasm_memory_hook_status: lowMemoryHook === null ? [] : [{ [HOOK_TAGS[lowMemoryHook]]: null }],
  });
}

const global =
  (type: GlobalType, bitsMax: number, read: Read<bigint>): Read<CanisterSnapshot["globals"][number]> =>
  (value, what) => ({ type, bits: BigInt.asUintN(bitsMax, read(value, what)) });

const readGlobal = readVariant<CanisterSnapshot["globals"][number]>({
  i32: global("i32", 32, readInteger("int32")),
  i64: global("i64", 64, readInteger("int64")),
  f32: global("f32", 32, readFloat("float32")),
  f64: global("f64", 64, readFloat("float64")),
  v128: global("v128", 128, readNat),
});

const readTimer = readVariant<bigint>({ inactive: () => 0n, active: readNat64 });

const readHook = readVariant<CanisterMeta["lowMemoryHook"]>({
  condition_not_satisfied: () => "not_satisfied",
  ready: () => "ready",
  executed: () => "executed",
});

export interface UploadedMetadata {
  readonly replaced: Uint8Array | null;
  readonly moduleBytes: bigint;
  readonly heapBytes: bigint;
  readonly stableBytes: bigint;
  readonly globals: CanisterSnapshot["globals"];
  readonly certifiedData: Uint8Array;
  readonly globalTimer: bigint | null;
  readonly lowMemoryHook: CanisterMeta["lowMemoryHook"] | null;
}

export function readUploadedMetadata(record: CandidRecord): UploadedMetadata {
  return {
    replaced: optional(record, "replace_snapshot", readSnapshotId),
    moduleBytes: required(record, "wasm_module_size", readNat64),
    heapBytes: required(record, "wasm_memory_size", readNat64),
    stableBytes: required(record, "stable_memory_size", readNat64),
    globals: required(record, "globals", readVec(readGlobal)),
    certifiedData: required(record, "certified_data", readBlob),
    globalTimer: optional(record, "global_timer", readTimer),
    lowMemoryHook: optional(record, "on_low_wasm_memory_hook_status", readHook),
  };
}

/** Which part of a snapshot a slice belongs to. */
export type SnapshotPart = "wasm_module" | "wasm_memory" | "stable_memory";

export type ReadKind =
  | { readonly kind: "slice"; readonly part: SnapshotPart; readonly offset: bigint; readonly size: bigint }
  | { readonly kind: "chunk"; readonly hash: Uint8Array };

function readSlice(part: SnapshotPart): Read<ReadKind> {
  return (value, what) => {
    const record = readRecord(value, what);
    return {
      kind: "slice",
      part,
      offset: required(record, "offset", readNat64),
      size: required(record, "size", readNat64),
    };
  };
}

export const readReadKind: Read<ReadKind> = readVariant<ReadKind>({
  wasm_module: readSlice("wasm_module"),
  wasm_memory: readSlice("wasm_memory"),
  stable_memory: readSlice("stable_memory"),
  wasm_chunk: (value, what) => ({
    kind: "chunk",
    hash: required(readRecord(value, what), "hash", readBlob),
  }),
});

export type WriteKind =
  | { readonly kind: "slice"; readonly part: SnapshotPart; readonly offset: bigint }
  | { readonly kind: "chunk" };

function readOffset(part: SnapshotPart): Read<WriteKind> {
  return (value, what) => ({
    kind: "slice",
    part,
    offset: required(readRecord(value, what), "offset", readNat64),
  });
}

export const readWriteKind: Read<WriteKind> = readVariant<WriteKind>({
  wasm_module: readOffset("wasm_module"),
  wasm_memory: readOffset("wasm_memory"),
  stable_memory: readOffset("stable_memory"),
  wasm_chunk: () => ({ kind: "chunk" }),
});
