/**
 * The management canister's interface (interface spec, "The IC management canister"; its published Candid) and how cases call it:
 * as a user through ingress, as a canister through a program. Records are written plainly: optional fields may be missing.
 */
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { callOut, type Item } from "./script.ts";
import { SERVICES } from "./services.ts";

const P = IDL.Principal;
const blob = IDL.Vec(IDL.Nat8);
const version = IDL.Opt(IDL.Nat64);
const record = IDL.Record({ canister_id: P });
const versioned = IDL.Record({ canister_id: P, sender_canister_version: version });
const visibility = IDL.Variant({ controllers: IDL.Null, public: IDL.Null, allowed_viewers: IDL.Vec(P) });

export const canisterSettings: IDL.RecordClass = IDL.Record({
  controllers: IDL.Opt(IDL.Vec(P)),
  compute_allocation: IDL.Opt(IDL.Nat),
  memory_allocation: IDL.Opt(IDL.Nat),
  freezing_threshold: IDL.Opt(IDL.Nat),
  reserved_cycles_limit: IDL.Opt(IDL.Nat),
  minimum_incoming_canister_call_cycles: IDL.Opt(IDL.Nat),
  log_visibility: IDL.Opt(visibility),
  snapshot_visibility: IDL.Opt(visibility),
  status_visibility: IDL.Opt(visibility),
  wasm_memory_limit: IDL.Opt(IDL.Nat),
  wasm_memory_threshold: IDL.Opt(IDL.Nat),
  log_memory_limit: IDL.Opt(IDL.Nat),
  environment_variables: IDL.Opt(IDL.Vec(IDL.Record({ name: IDL.Text, value: IDL.Text }))),
});

const definiteSettings = IDL.Record({
  controllers: IDL.Vec(P),
  compute_allocation: IDL.Nat,
  memory_allocation: IDL.Nat,
  freezing_threshold: IDL.Nat,
  reserved_cycles_limit: IDL.Nat,
  minimum_incoming_canister_call_cycles: IDL.Opt(IDL.Nat),
  log_visibility: visibility,
  snapshot_visibility: IDL.Opt(visibility),
  status_visibility: IDL.Opt(visibility),
  wasm_memory_limit: IDL.Nat,
  wasm_memory_threshold: IDL.Nat,
  log_memory_limit: IDL.Opt(IDL.Nat),
  environment_variables: IDL.Vec(IDL.Record({ name: IDL.Text, value: IDL.Text })),
});

const status = IDL.Record({
  status: IDL.Variant({ running: IDL.Null, stopping: IDL.Null, stopped: IDL.Null }),
  ready_for_migration: IDL.Bool,
  version: IDL.Nat64,
  settings: definiteSettings,
  module_hash: IDL.Opt(blob),
  memory_size: IDL.Nat,
  memory_metrics: IDL.Record({
    wasm_memory_size: IDL.Nat,
    stable_memory_size: IDL.Nat,
    global_memory_size: IDL.Nat,
    wasm_binary_size: IDL.Nat,
    custom_sections_size: IDL.Nat,
    canister_history_size: IDL.Nat,
    wasm_chunk_store_size: IDL.Nat,
    snapshots_size: IDL.Nat,
  }),
  cycles: IDL.Nat,
  reserved_cycles: IDL.Nat,
  idle_cycles_burned_per_day: IDL.Nat,
  query_stats: IDL.Record({
    num_calls_total: IDL.Nat,
    num_instructions_total: IDL.Nat,
    request_payload_bytes_total: IDL.Nat,
    response_payload_bytes_total: IDL.Nat,
  }),
});

const upgradeFlags = IDL.Record({
  skip_pre_upgrade: IDL.Opt(IDL.Bool),
  wasm_memory_persistence: IDL.Opt(IDL.Variant({ keep: IDL.Null, replace: IDL.Null })),
});
const installMode = IDL.Variant({ install: IDL.Null, reinstall: IDL.Null, upgrade: IDL.Opt(upgradeFlags) });
const installedMode = IDL.Variant({ install: IDL.Null, reinstall: IDL.Null, upgrade: IDL.Null });

const change = IDL.Record({
  timestamp_nanos: IDL.Nat64,
  canister_version: IDL.Nat64,
  origin: IDL.Variant({
    from_user: IDL.Record({ user_id: P }),
    from_canister: IDL.Record({ canister_id: P, canister_version: IDL.Opt(IDL.Nat64) }),
  }),
  details: IDL.Opt(
    IDL.Variant({
      creation: IDL.Record({ controllers: IDL.Vec(P), environment_variables_hash: IDL.Opt(blob) }),
      code_uninstall: IDL.Null,
      code_deployment: IDL.Record({ mode: installedMode, module_hash: blob }),
      controllers_change: IDL.Record({ controllers: IDL.Vec(P) }),
      load_snapshot: IDL.Record({
        canister_version: IDL.Nat64,
        snapshot_id: blob,
        taken_at_timestamp: IDL.Nat64,
        source: IDL.Variant({ taken_from_canister: IDL.Reserved, metadata_upload: IDL.Reserved }),
        from_canister_id: IDL.Opt(P),
      }),
    }),
  ),
});

const chunkHash = IDL.Record({ hash: blob });
const cyclesConsumed = IDL.Record({
  memory: IDL.Nat,
  compute_allocation: IDL.Nat,
  ingress_induction: IDL.Nat,
  instructions: IDL.Nat,
  request_and_response_transmission: IDL.Nat,
  uninstall: IDL.Nat,
  canister_creation: IDL.Nat,
  http_outcalls: IDL.Nat,
  burned_cycles: IDL.Nat,
});
const snapshot = IDL.Record({ id: blob, taken_at_timestamp: IDL.Nat64, total_size: IDL.Nat64 });
const range = IDL.Record({ start: IDL.Nat64, end: IDL.Nat64 });

export interface Method {
  readonly arg: IDL.Type | null;
  readonly result: IDL.Type | null;
}

/** Argument and result of every method that cases call. */
const METHODS: Readonly<Record<string, Method>> = {
  create_canister: {
    arg: IDL.Record({ settings: IDL.Opt(canisterSettings), sender_canister_version: version }),
    result: record,
  },
  update_settings: {
    arg: IDL.Record({ canister_id: P, settings: canisterSettings, sender_canister_version: version }),
    result: null,
  },
  upload_chunk: { arg: IDL.Record({ canister_id: P, chunk: blob }), result: chunkHash },
  clear_chunk_store: { arg: record, result: null },
  stored_chunks: { arg: record, result: IDL.Vec(chunkHash) },
  install_code: {
    arg: IDL.Record({
      mode: installMode,
      canister_id: P,
      wasm_module: blob,
      arg: blob,
      sender_canister_version: version,
    }),
    result: null,
  },
  install_chunked_code: {
    arg: IDL.Record({
      mode: installMode,
      target_canister: P,
      store_canister: IDL.Opt(P),
      chunk_hashes_list: IDL.Vec(chunkHash),
      wasm_module_hash: blob,
      arg: blob,
      sender_canister_version: version,
    }),
    result: null,
  },
  uninstall_code: { arg: versioned, result: null },
  start_canister: { arg: record, result: null },
  stop_canister: { arg: record, result: null },
  canister_status: { arg: record, result: status },
  canister_metrics: { arg: record, result: IDL.Record({ cycles_consumed: cyclesConsumed }) },
  canister_info: {
    arg: IDL.Record({ canister_id: P, num_requested_changes: IDL.Opt(IDL.Nat64) }),
    result: IDL.Record({
      total_num_changes: IDL.Nat64,
      recent_changes: IDL.Vec(change),
      module_hash: IDL.Opt(blob),
      controllers: IDL.Vec(P),
    }),
  },
  canister_metadata: {
    arg: IDL.Record({ canister_id: P, name: IDL.Text }),
    result: IDL.Record({ value: blob }),
  },
  delete_canister: { arg: record, result: null },
  deposit_cycles: { arg: record, result: null },
  raw_rand: { arg: null, result: blob },
  fetch_canister_logs: {
    arg: IDL.Record({
      canister_id: P,
      filter: IDL.Opt(IDL.Variant({ by_idx: range, by_timestamp_nanos: range })),
    }),
    result: IDL.Record({
      canister_log_records: IDL.Vec(
        IDL.Record({ idx: IDL.Nat64, timestamp_nanos: IDL.Nat64, content: blob }),
      ),
    }),
  },
  provisional_create_canister_with_cycles: {
    arg: IDL.Record({
      amount: IDL.Opt(IDL.Nat),
      settings: IDL.Opt(canisterSettings),
      specified_id: IDL.Opt(P),
      sender_canister_version: version,
    }),
    result: record,
  },
  provisional_top_up_canister: { arg: IDL.Record({ canister_id: P, amount: IDL.Nat }), result: null },
  take_canister_snapshot: {
    arg: IDL.Record({
      canister_id: P,
      replace_snapshot: IDL.Opt(blob),
      uninstall_code: IDL.Opt(IDL.Bool),
      sender_canister_version: version,
    }),
    result: snapshot,
  },
  load_canister_snapshot: {
    arg: IDL.Record({ canister_id: P, snapshot_id: blob, sender_canister_version: version }),
    result: null,
  },
  list_canister_snapshots: { arg: record, result: IDL.Vec(snapshot) },
  delete_canister_snapshot: { arg: IDL.Record({ canister_id: P, snapshot_id: blob }), result: null },
  list_canisters: {
    arg: IDL.Record({}),
    result: IDL.Record({ canisters: IDL.Vec(IDL.Record({ start: P, end: P })) }),
  },
  node_metrics_history: {
    arg: IDL.Record({ subnet_id: P, start_at_timestamp_nanos: IDL.Nat64 }),
    result: IDL.Vec(
      IDL.Record({
        timestamp_nanos: IDL.Nat64,
        node_metrics: IDL.Vec(
          IDL.Record({
            node_id: P,
            num_blocks_proposed_total: IDL.Nat64,
            num_block_failures_total: IDL.Nat64,
          }),
        ),
      }),
    ),
  },
  subnet_info: {
    arg: IDL.Record({ subnet_id: P }),
    result: IDL.Record({ replica_version: IDL.Text, registry_version: IDL.Nat64 }),
  },
  ...SERVICES,
};

export type MethodName = string;

function methodOf(name: MethodName): Method {
  const method = METHODS[name];
  if (method === undefined) throw new Error(`no interface of ${name} is known: add it to METHODS`);
  return method;
}

/** Fills what a plain value leaves out of optional fields. */
function fill(type: IDL.Type, value: unknown): unknown {
  if (type instanceof IDL.OptClass)
    return value === undefined || value === null ? [] : [fill(innerOf(type), value)];
  if (type instanceof IDL.RecordClass) {
    const given = (value ?? {}) as Record<string, unknown>;
    return Object.fromEntries(type._fields.map(([name, field]) => [name, fill(field, given[name])]));
  }
  if (type instanceof IDL.VariantClass) {
    const [[name, inner]] = Object.entries(value as object) as [[string, unknown]];
    const field = type._fields.find(([label]) => label === name)?.[1];
    return { [name]: field === undefined ? inner : fill(field, inner) };
  }
  if (type instanceof IDL.VecClass && Array.isArray(value))
    return value.map((one) => fill(innerOf(type), one));
  return value;
}

function innerOf(type: unknown): IDL.Type {
  return (type as { readonly _type: IDL.Type })._type;
}

/** The encoded argument; optional fields may be missing and are written without brackets. */
export function encodeArg(method: MethodName, value: unknown): Uint8Array {
  const { arg } = methodOf(method);
  return arg === null ? IDL.encode([], []) : IDL.encode([arg], [fill(arg, value)]);
}

/** The decoded result: an optional field is [] or [value]. */
// biome-ignore lint/suspicious/noExplicitAny: each method has its own type, which the cases know.
export function decodeResult(method: MethodName, bytes: Uint8Array): any {
  const { result } = methodOf(method);
  if (result === null) return IDL.decode([], bytes);
  return (IDL.decode([result], bytes) as unknown[])[0];
}

export const MANAGEMENT: Uint8Array = new Uint8Array();

export function principal(bytes: Uint8Array): Principal {
  return Principal.fromUint8Array(bytes);
}

/** A program's call of a method, its outcome relayed. */
export function managementCall(
  method: MethodName,
  value: unknown,
  options: { readonly cycles?: bigint; readonly to?: Uint8Array } = {},
): Item {
  return callOut({
    to: options.to ?? MANAGEMENT,
    method,
    arg: encodeArg(method, value),
    cycles: options.cycles ?? 0n,
  });
}
