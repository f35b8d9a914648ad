/** Arguments and replies of snapshot calls, and chunks, which snapshots hold as well, by the types that clients use. */
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import type { CanisterId } from "@orrery/base";
import { encode } from "./subnet.testkit.ts";

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
const Snapshot = IDL.Record({ id: Blob, taken_at_timestamp: IDL.Nat64, total_size: IDL.Nat64 });

export interface Metadata {
  readonly source: unknown;
  readonly taken_at_timestamp: bigint;
  readonly wasm_module_size: bigint;
  readonly globals: readonly { readonly i32?: number; readonly f64?: number }[];
  readonly wasm_memory_size: bigint;
  readonly stable_memory_size: bigint;
  readonly wasm_chunk_store: readonly { readonly hash: Uint8Array }[];
  readonly canister_version: bigint;
  readonly certified_data: Uint8Array;
  readonly global_timer: readonly unknown[];
  readonly on_low_wasm_memory_hook_status: readonly unknown[];
}

/** A reply's type and, in `T`, what it decodes to. */
interface Reply<T> {
  readonly type: IDL.Type;
  readonly decoded?: T;
}

interface Summary {
  readonly id: Uint8Array;
  readonly total_size: bigint;
}

export const SnapshotList: {
  readonly single: Reply<Summary>;
  readonly all: Reply<readonly Summary[]>;
  readonly uploaded: Reply<{ readonly snapshot_id: Uint8Array }>;
  readonly data: Reply<{ readonly chunk: Uint8Array }>;
} = {
  single: { type: Snapshot },
  all: { type: IDL.Vec(Snapshot) },
  uploaded: { type: IDL.Record({ snapshot_id: Blob }) },
  data: { type: IDL.Record({ chunk: Blob }) },
};

export const SnapshotMetadata: Reply<Metadata> = {
  type: IDL.Record({
    source: IDL.Variant({ taken_from_canister: IDL.Reserved, metadata_upload: IDL.Reserved }),
    taken_at_timestamp: IDL.Nat64,
    wasm_module_size: IDL.Nat64,
    globals: IDL.Vec(Global),
    wasm_memory_size: IDL.Nat64,
    stable_memory_size: IDL.Nat64,
    wasm_chunk_store: IDL.Vec(IDL.Record({ hash: Blob })),
    canister_version: IDL.Nat64,
    certified_data: Blob,
    global_timer: IDL.Opt(Timer),
    on_low_wasm_memory_hook_status: IDL.Opt(Hook),
  }),
};

export function replyOf<T>(reply: Reply<T>, bytes: Uint8Array): T {
  return IDL.decode([reply.type], bytes)[0] as T;
}

function principal(id: CanisterId): CandidPrincipal {
  return CandidPrincipal.fromUint8Array(id);
}

export function takeArg(
  id: CanisterId,
  options: { readonly replace?: Uint8Array; readonly uninstall?: boolean } = {},
): Uint8Array {
  const type = IDL.Record({
    canister_id: IDL.Principal,
    replace_snapshot: IDL.Opt(Blob),
    uninstall_code: IDL.Opt(IDL.Bool),
    sender_canister_version: IDL.Opt(IDL.Nat64),
  });
  const { replace, uninstall } = options;
  return encode(
    [type],
    [
      {
        canister_id: principal(id),
        replace_snapshot: replace === undefined ? [] : [replace],
        uninstall_code: uninstall === undefined ? [] : [uninstall],
        sender_canister_version: [],
      },
    ],
  );
}

/** `{canister_id; snapshot_id}`. */
export function snapshotArg(id: CanisterId, snapshot: Uint8Array): Uint8Array {
  const type = IDL.Record({ canister_id: IDL.Principal, snapshot_id: Blob });
  return encode([type], [{ canister_id: principal(id), snapshot_id: snapshot }]);
}

export function dataArg(id: CanisterId, snapshot: Uint8Array, kind: unknown): Uint8Array {
  const slice = IDL.Record({ offset: IDL.Nat64, size: IDL.Nat64 });
  const type = IDL.Record({
    canister_id: IDL.Principal,
    snapshot_id: Blob,
    kind: IDL.Variant({
      wasm_module: slice,
      wasm_memory: slice,
      stable_memory: slice,
      wasm_chunk: IDL.Record({ hash: Blob }),
    }),
  });
  return encode([type], [{ canister_id: principal(id), snapshot_id: snapshot, kind }]);
}

export function uploadDataArg(
  id: CanisterId,
  snapshot: Uint8Array,
  write: { readonly kind: unknown; readonly chunk: Uint8Array },
): Uint8Array {
  const offset = IDL.Record({ offset: IDL.Nat64 });
  const type = IDL.Record({
    canister_id: IDL.Principal,
    snapshot_id: Blob,
    kind: IDL.Variant({
      wasm_module: offset,
      wasm_memory: offset,
      stable_memory: offset,
      wasm_chunk: IDL.Null,
    }),
    chunk: Blob,
  });
  return encode([type], [{ canister_id: principal(id), snapshot_id: snapshot, ...write }]);
}

/** Of `upload_chunk`. */
export function uploadChunkArg(id: CanisterId, chunk: Uint8Array): Uint8Array {
  const type = IDL.Record({ canister_id: IDL.Principal, chunk: Blob });
  return encode([type], [{ canister_id: principal(id), chunk }]);
}

/** Upload of what a download said. */
export function metadataArg(id: CanisterId, metadata: Metadata): Uint8Array {
  const type = IDL.Record({
    canister_id: IDL.Principal,
    replace_snapshot: IDL.Opt(Blob),
    wasm_module_size: IDL.Nat64,
    globals: IDL.Vec(Global),
    wasm_memory_size: IDL.Nat64,
    stable_memory_size: IDL.Nat64,
    certified_data: Blob,
    global_timer: IDL.Opt(Timer),
    on_low_wasm_memory_hook_status: IDL.Opt(Hook),
  });
  return encode([type], [{ canister_id: principal(id), replace_snapshot: [], ...metadata }]);
}
