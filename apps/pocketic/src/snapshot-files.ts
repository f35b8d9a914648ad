/**
 * Canister snapshots in a folder, as `icp`, `dfx` and PocketIC lay them out: `metadata.json`, a file for each memory and the module, and one
 * for each chunk of the chunk store. They come and go by calls to the management canister in the name of whoever asks.
 */
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join, resolve } from "node:path";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { type CanisterId, OrreryError, type UserId } from "@orrery/base";
import { openCanisterFolder, snapshotIdOf } from "@orrery/host/canister-folder";
import { makeDirectory } from "@orrery/host/make-directory";
import type { Instance } from "@orrery/sim/instance";
import { aboutCanister, caller } from "./calls.ts";
import { type Encodable, encodeJson } from "./json.ts";
import { PicError } from "./pic-errors.ts";
import { bytes, optional, readBody, record, string, wrapped } from "./shapes.ts";

/** Fits into a reply and, with its envelope, into a message. */
const SLICE_BYTES = 1_500_000;
const METADATA_FILE = "metadata.json";
const CHUNKS_FOLDER = "wasm_chunk_store";
const PARTS = ["wasm_module", "wasm_memory", "stable_memory"] as const;
type Part = (typeof PARTS)[number];

const Blob = IDL.Vec(IDL.Nat8);
const Global = IDL.Variant({
  i32: IDL.Int32,
  i64: IDL.Int64,
  f32: IDL.Float32,
  f64: IDL.Float64,
  v128: IDL.Nat,
});
const Timer = IDL.Variant({ inactive: IDL.Null, active: IDL.Nat64 });
const Hook = IDL.Variant({ condition_not_satisfied: IDL.Null, ready: IDL.Null, executed: IDL.Null });
const sizes = { wasm_module_size: IDL.Nat64, wasm_memory_size: IDL.Nat64, stable_memory_size: IDL.Nat64 };
const state = {
  globals: IDL.Vec(Global),
  certified_data: Blob,
  global_timer: IDL.Opt(Timer),
  on_low_wasm_memory_hook_status: IDL.Opt(Hook),
};
const One = { canister_id: IDL.Principal, snapshot_id: Blob };
const Metadata = IDL.Record({
  ...sizes,
  ...state,
  source: IDL.Variant({ taken_from_canister: IDL.Reserved, metadata_upload: IDL.Reserved }),
  taken_at_timestamp: IDL.Nat64,
  wasm_chunk_store: IDL.Vec(IDL.Record({ hash: Blob })),
  canister_version: IDL.Nat64,
});
const Range = IDL.Record({ offset: IDL.Nat64, size: IDL.Nat64 });
const ReadData = IDL.Record({
  ...One,
  kind: IDL.Variant({
    wasm_module: Range,
    wasm_memory: Range,
    stable_memory: Range,
    wasm_chunk: IDL.Record({ hash: Blob }),
  }),
});
interface Target {
  readonly instance: Instance;
  readonly sender: UserId;
  readonly canisterId: CanisterId;
}

interface SnapshotMetadata {
  readonly wasm_module_size: bigint;
  readonly wasm_memory_size: bigint;
  readonly stable_memory_size: bigint;
  readonly source: Readonly<Record<string, unknown>>;
  readonly taken_at_timestamp: bigint;
  readonly globals: readonly Readonly<Record<string, number | bigint>>[];
  readonly wasm_chunk_store: readonly { readonly hash: Uint8Array }[];
  readonly canister_version: bigint;
  readonly certified_data: Uint8Array;
  readonly global_timer: readonly Readonly<Record<string, bigint | null>>[];
  readonly on_low_wasm_memory_hook_status: readonly Readonly<Record<string, null>>[];
}

function manage({ instance, sender, canisterId }: Target, method: string, arg: Uint8Array): Uint8Array {
  const effective = { kind: "canister", id: canisterId } as const;
  const management = new Uint8Array(0) as CanisterId;
  const submitted = instance.submitIngress({ sender, canisterId: management, method, arg, effective });
  const result = submitted.ok ? instance.awaitIngress(submitted.value) : submitted;
  if (!result.ok) throw new PicError(`CanisterSnapshotError(${JSON.stringify(result.error.message)})`);
  return result.value;
}

function decodeOne(type: IDL.Type, reply: Uint8Array): unknown {
  return IDL.decode([type], reply)[0];
}

function badDirectory(why: string): PicError {
  return new PicError(`InvalidCanisterSnapshotDirectory(${JSON.stringify(why)})`);
}

/** Turns failures of the file system into answers. */
function onDisk<T>(directory: string, what: () => T): T {
  try {
    return what();
  } catch (error) {
    if (error instanceof OrreryError && error.code === "snapshot_folder_invalid")
      throw badDirectory(error.message);
    const isOfSystem = typeof (error as NodeJS.ErrnoException).syscall === "string";
    if (!isOfSystem) throw error;
    throw badDirectory(`${directory}: ${(error as Error).message}`);
  }
}

const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");

function metadataJson(metadata: SnapshotMetadata): Encodable {
  const [timer] = metadata.global_timer;
  const [hook] = metadata.on_low_wasm_memory_hook_status;
  return {
    source: Object.fromEntries(Object.keys(metadata.source).map((name) => [name, null])),
    taken_at_timestamp: metadata.taken_at_timestamp,
    wasm_module_size: metadata.wasm_module_size,
    globals: metadata.globals,
    wasm_memory_size: metadata.wasm_memory_size,
    stable_memory_size: metadata.stable_memory_size,
    wasm_chunk_store: metadata.wasm_chunk_store.map(({ hash }) => ({ hash: [...hash] })),
    canister_version: metadata.canister_version,
    certified_data: [...metadata.certified_data],
    global_timer: timer === undefined ? null : "active" in timer ? { active: timer["active"] } : "inactive",
    on_low_wasm_memory_hook_status: hook === undefined ? null : (Object.keys(hook)[0] as string),
  };
}

const download = record({
  sender: caller,
  canister_id: aboutCanister,
  snapshot_id: bytes,
  snapshot_dir: string,
});

function downloadPart(target: Target, one: object, part: Part, size: bigint, path: string): void {
  const file = openSync(path, "w", 0o600);
  try {
    for (let offset = 0n; offset < size; ) {
      const length = size - offset < BigInt(SLICE_BYTES) ? size - offset : BigInt(SLICE_BYTES);
      const arg = IDL.encode([ReadData], [{ ...one, kind: { [part]: { offset, size: length } } }]);
      const reply = manage(target, "read_canister_snapshot_data", arg);
      const { chunk } = decodeOne(IDL.Record({ chunk: Blob }), reply) as { readonly chunk: Uint8Array };
      writeSync(file, Uint8Array.from(chunk));
      offset += BigInt(chunk.length);
      if (chunk.length === 0) throw new PicError('CanisterSnapshotError("an empty part of a snapshot")');
    }
  } finally {
    closeSync(file);
  }
}

/** `update/canister_snapshot_download`. */
export function downloadSnapshot(instance: Instance, body: Uint8Array): null {
  const { sender, canister_id: canisterId, snapshot_id, snapshot_dir: directory } = readBody(body, download);
  const target: Target = { instance, sender, canisterId };
  const one = { canister_id: Principal.fromUint8Array(canisterId), snapshot_id };
  const reply = manage(target, "read_canister_snapshot_metadata", IDL.encode([IDL.Record(One)], [one]));
  const metadata = decodeOne(Metadata, reply) as SnapshotMetadata;
  onDisk(directory, () => {
    makeDirectory(resolve(directory, CHUNKS_FOLDER));
    for (const part of PARTS) {
      downloadPart(target, one, part, metadata[`${part}_size`], join(directory, `${part}.bin`));
    }
    for (const { hash } of metadata.wasm_chunk_store) {
      const arg = IDL.encode([ReadData], [{ ...one, kind: { wasm_chunk: { hash } } }]);
      const data = manage(target, "read_canister_snapshot_data", arg);
      const { chunk } = decodeOne(IDL.Record({ chunk: Blob }), data) as { readonly chunk: Uint8Array };
      writeFileSync(
        join(directory, CHUNKS_FOLDER, `${hex(Uint8Array.from(hash))}.bin`),
        Uint8Array.from(chunk),
      );
    }
    // Last, so that a folder with metadata is whole.
    writeFileSync(join(directory, METADATA_FILE), encodeJson(metadataJson(metadata)));
  });
  return null;
}

const upload = record({
  sender: caller,
  canister_id: aboutCanister,
  replace_snapshot: optional(wrapped("snapshot_id", bytes)),
  snapshot_dir: string,
});

/** `update/canister_snapshot_upload`: the new snapshot's id. */
export function uploadSnapshot(instance: Instance, body: Uint8Array): Uint8Array {
  const {
    sender,
    canister_id: canisterId,
    replace_snapshot: replaced,
    snapshot_dir: directory,
  } = readBody(body, upload);
  const target: Target = { instance, sender, canisterId };
  return onDisk(directory, () => {
    const folder = openCanisterFolder(directory);
    const begin = folder.metadata(canisterId, replaced ?? undefined);
    const snapshotId = snapshotIdOf(manage(target, begin.method, begin.arg));
    for (const { method, arg } of folder.data(canisterId, snapshotId)) manage(target, method, arg);
    return snapshotId;
  });
}
