/** The management canister's interface, the part that networks may lack: threshold keys, HTTPS outcalls, transfer of snapshots. */
import { IDL } from "@icp-sdk/core/candid";
import type { Method } from "./management.ts";

const P = IDL.Principal;
const blob = IDL.Vec(IDL.Nat8);
const path = IDL.Vec(blob);

const ecdsaKey = IDL.Record({ curve: IDL.Variant({ secp256k1: IDL.Null }), name: IDL.Text });
const schnorrKey = IDL.Record({
  algorithm: IDL.Variant({ bip340secp256k1: IDL.Null, ed25519: IDL.Null }),
  name: IDL.Text,
});
const vetKdKey = IDL.Record({ curve: IDL.Variant({ bls12_381_g2: IDL.Null }), name: IDL.Text });
const extendedKey = IDL.Record({ public_key: blob, chain_code: blob });
const signature = IDL.Record({ signature: blob });

const header = IDL.Record({ name: IDL.Text, value: IDL.Text });
export const httpResponse: IDL.RecordClass = IDL.Record({
  status: IDL.Nat,
  headers: IDL.Vec(header),
  body: blob,
});
export const transformArgs: IDL.RecordClass = IDL.Record({ response: httpResponse, context: blob });

const slice = IDL.Record({ offset: IDL.Nat64, size: IDL.Nat64 });
const offset = IDL.Record({ offset: IDL.Nat64 });
const chunkHash = IDL.Record({ hash: blob });
const timer = IDL.Opt(IDL.Variant({ inactive: IDL.Null, active: IDL.Nat64 }));
const hook = IDL.Opt(IDL.Variant({ condition_not_satisfied: IDL.Null, ready: IDL.Null, executed: IDL.Null }));
const globals = IDL.Vec(
  IDL.Variant({
    i32: IDL.Int32,
    i64: IDL.Int64,
    f32: IDL.Float32,
    f64: IDL.Float64,
    v128: IDL.Nat,
  }),
);

export const SERVICES: Readonly<Record<string, Method>> = {
  ecdsa_public_key: {
    arg: IDL.Record({ canister_id: IDL.Opt(P), derivation_path: path, key_id: ecdsaKey }),
    result: extendedKey,
  },
  sign_with_ecdsa: {
    arg: IDL.Record({ message_hash: blob, derivation_path: path, key_id: ecdsaKey }),
    result: signature,
  },
  schnorr_public_key: {
    arg: IDL.Record({ canister_id: IDL.Opt(P), derivation_path: path, key_id: schnorrKey }),
    result: extendedKey,
  },
  sign_with_schnorr: {
    arg: IDL.Record({
      message: blob,
      derivation_path: path,
      key_id: schnorrKey,
      aux: IDL.Opt(IDL.Variant({ bip341: IDL.Record({ merkle_root_hash: blob }) })),
    }),
    result: signature,
  },
  vetkd_public_key: {
    arg: IDL.Record({ canister_id: IDL.Opt(P), context: blob, key_id: vetKdKey }),
    result: IDL.Record({ public_key: blob }),
  },
  vetkd_derive_key: {
    arg: IDL.Record({ input: blob, context: blob, transport_public_key: blob, key_id: vetKdKey }),
    result: IDL.Record({ encrypted_key: blob }),
  },
  http_request: {
    arg: IDL.Record({
      url: IDL.Text,
      max_response_bytes: IDL.Opt(IDL.Nat64),
      method: IDL.Variant({
        get: IDL.Null,
        head: IDL.Null,
        post: IDL.Null,
        put: IDL.Null,
        delete: IDL.Null,
        patch: IDL.Null,
      }),
      headers: IDL.Vec(header),
      body: IDL.Opt(blob),
      transform: IDL.Opt(
        IDL.Record({ function: IDL.Func([transformArgs], [httpResponse], ["query"]), context: blob }),
      ),
      is_replicated: IDL.Opt(IDL.Bool),
    }),
    result: httpResponse,
  },
  read_canister_snapshot_metadata: {
    arg: IDL.Record({ canister_id: P, snapshot_id: blob }),
    result: IDL.Record({
      source: IDL.Variant({ taken_from_canister: IDL.Reserved, metadata_upload: IDL.Reserved }),
      taken_at_timestamp: IDL.Nat64,
      wasm_module_size: IDL.Nat64,
      globals,
      wasm_memory_size: IDL.Nat64,
      stable_memory_size: IDL.Nat64,
      wasm_chunk_store: IDL.Vec(chunkHash),
      canister_version: IDL.Nat64,
      certified_data: blob,
      global_timer: timer,
      on_low_wasm_memory_hook_status: hook,
    }),
  },
  read_canister_snapshot_data: {
    arg: IDL.Record({
      canister_id: P,
      snapshot_id: blob,
      kind: IDL.Variant({
        wasm_module: slice,
        wasm_memory: slice,
        stable_memory: slice,
        wasm_chunk: chunkHash,
      }),
    }),
    result: IDL.Record({ chunk: blob }),
  },
  upload_canister_snapshot_metadata: {
    arg: IDL.Record({
      canister_id: P,
      replace_snapshot: IDL.Opt(blob),
      wasm_module_size: IDL.Nat64,
      globals,
      wasm_memory_size: IDL.Nat64,
      stable_memory_size: IDL.Nat64,
      certified_data: blob,
      global_timer: timer,
      on_low_wasm_memory_hook_status: hook,
    }),
    result: IDL.Record({ snapshot_id: blob }),
  },
  upload_canister_snapshot_data: {
    arg: IDL.Record({
      canister_id: P,
      snapshot_id: blob,
      kind: IDL.Variant({
        wasm_module: offset,
        wasm_memory: offset,
        stable_memory: offset,
        wasm_chunk: IDL.Null,
      }),
      chunk: blob,
    }),
    result: null,
  },
};
