/**
 * The management canister's published interface as programs and tools use it (interface spec, "IC management canister"): every call
 * that ingress may make here, with all fields of settings and status.
 */
import {
  Actor,
  type ActorSubclass,
  type HttpAgent,
  type QueryResponse,
  QueryResponseStatus,
} from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import type { InstallMode } from "../management.ts";

const { Bool, Func, Nat, Nat64, Null, Opt, Record, Text, Variant, Vec } = IDL;
const Id = IDL.Principal;
const Blob = Vec(IDL.Nat8);
const Visibility = Variant({ controllers: Null, public: Null, allowed_viewers: Vec(Id) });
const Variables = Vec(Record({ name: Text, value: Text }));
const settingsFields = {
  compute_allocation: Nat,
  controllers: Vec(Id),
  environment_variables: Variables,
  freezing_threshold: Nat,
  log_visibility: Visibility,
  memory_allocation: Nat,
  reserved_cycles_limit: Nat,
  wasm_memory_limit: Nat,
  wasm_memory_threshold: Nat,
};
const Settings = Record(
  Object.fromEntries(Object.entries(settingsFields).map(([name, type]) => [name, Opt(type as IDL.Type)])),
);
const canister = Record({ canister_id: Id });
const Version = Opt(Nat64);
const Mode = Variant({
  install: Null,
  reinstall: Null,
  upgrade: Opt(
    Record({
      skip_pre_upgrade: Opt(Bool),
      wasm_memory_persistence: Opt(Variant({ keep: Null, replace: Null })),
    }),
  ),
});
const Chunk = Record({ hash: Blob });
const Status = Record({
  status: Variant({ running: Null, stopping: Null, stopped: Null }),
  ready_for_migration: Bool,
  version: Nat64,
  settings: Record(settingsFields),
  module_hash: Opt(Blob),
  memory_size: Nat,
  memory_metrics: Record({
    wasm_memory_size: Nat,
    stable_memory_size: Nat,
    global_memory_size: Nat,
    wasm_binary_size: Nat,
    custom_sections_size: Nat,
    canister_history_size: Nat,
    wasm_chunk_store_size: Nat,
    snapshots_size: Nat,
  }),
  cycles: Nat,
  reserved_cycles: Nat,
  idle_cycles_burned_per_day: Nat,
  query_stats: Record({
    num_calls_total: Nat,
    num_instructions_total: Nat,
    request_payload_bytes_total: Nat,
    response_payload_bytes_total: Nat,
  }),
});
const Log = Record({
  canister_log_records: Vec(Record({ idx: Nat64, timestamp_nanos: Nat64, content: Blob })),
});

export interface Settings {
  readonly compute_allocation: bigint;
  readonly controllers: readonly Principal[];
  readonly environment_variables: readonly { readonly name: string; readonly value: string }[];
  readonly freezing_threshold: bigint;
  readonly log_visibility:
    | { readonly controllers: null }
    | { readonly public: null }
    | { readonly allowed_viewers: readonly Principal[] };
  readonly memory_allocation: bigint;
  readonly reserved_cycles_limit: bigint;
  readonly wasm_memory_limit: bigint;
  readonly wasm_memory_threshold: bigint;
}

export interface Status {
  readonly status: object;
  readonly version: bigint;
  readonly settings: Settings;
  readonly module_hash: [] | [Uint8Array];
  readonly memory_size: bigint;
  readonly memory_metrics: Readonly<Record<string, bigint>>;
  readonly cycles: bigint;
  readonly reserved_cycles: bigint;
  readonly idle_cycles_burned_per_day: bigint;
  readonly query_stats: Readonly<Record<string, bigint>>;
}

interface CanisterRecord {
  readonly canister_id: Principal;
}

interface Service {
  canister_status(arg: CanisterRecord): Promise<Status>;
  clear_chunk_store(arg: CanisterRecord): Promise<void>;
  delete_canister(arg: CanisterRecord): Promise<void>;
  install_chunked_code(arg: {
    readonly mode: InstallMode;
    readonly target_canister: Principal;
    readonly store_canister: [] | [Principal];
    readonly chunk_hashes_list: readonly { readonly hash: Uint8Array }[];
    readonly wasm_module_hash: Uint8Array;
    readonly arg: Uint8Array;
    readonly sender_canister_version: [];
  }): Promise<void>;
  provisional_top_up_canister(arg: CanisterRecord & { readonly amount: bigint }): Promise<void>;
  start_canister(arg: CanisterRecord): Promise<void>;
  stop_canister(arg: CanisterRecord): Promise<void>;
  stored_chunks(arg: CanisterRecord): Promise<readonly { readonly hash: Uint8Array }[]>;
  uninstall_code(arg: CanisterRecord & { readonly sender_canister_version: [] }): Promise<void>;
  update_settings(arg: {
    readonly canister_id: Principal;
    readonly settings: Readonly<Record<string, readonly unknown[]>>;
    readonly sender_canister_version: [];
  }): Promise<void>;
  upload_chunk(arg: CanisterRecord & { readonly chunk: Uint8Array }): Promise<{ readonly hash: Uint8Array }>;
}

const service: IDL.InterfaceFactory = () =>
  IDL.Service({
    canister_status: Func([canister], [Status]),
    clear_chunk_store: Func([canister], []),
    delete_canister: Func([canister], []),
    install_chunked_code: Func(
      [
        Record({
          mode: Mode,
          target_canister: Id,
          store_canister: Opt(Id),
          chunk_hashes_list: Vec(Chunk),
          wasm_module_hash: Blob,
          arg: Blob,
          sender_canister_version: Version,
        }),
      ],
      [],
    ),
    provisional_top_up_canister: Func([Record({ canister_id: Id, amount: Nat })], []),
    start_canister: Func([canister], []),
    stop_canister: Func([canister], []),
    stored_chunks: Func([canister], [Vec(Chunk)]),
    uninstall_code: Func([Record({ canister_id: Id, sender_canister_version: Version })], []),
    update_settings: Func(
      [Record({ canister_id: Id, settings: Settings, sender_canister_version: Version })],
      [],
    ),
    upload_chunk: Func([Record({ canister_id: Id, chunk: Blob })], [Chunk]),
  });

/** The management canister for one canister. */
export function managing(agent: HttpAgent, id: Principal): ActorSubclass<Service> {
  const canisterId = Principal.managementCanister();
  return Actor.createActor<Service>(service, { agent, canisterId, effectiveCanisterId: id });
}

const NO_SETTINGS: Readonly<Record<string, readonly unknown[]>> = Object.fromEntries(
  Object.keys(settingsFields).map((name) => [name, []]),
);

/** Changes the named settings, the others stay. */
export async function changeSettings(
  agent: HttpAgent,
  id: Principal,
  settings: Partial<Settings>,
): Promise<void> {
  const given = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, [value]]));
  await managing(agent, id).update_settings({
    canister_id: id,
    settings: { ...NO_SETTINGS, ...given },
    sender_canister_version: [],
  });
}

async function ask(agent: HttpAgent, id: Principal, methodName: string): Promise<QueryResponse> {
  return await agent.query(Principal.managementCanister(), {
    methodName,
    arg: IDL.encode([canister], [{ canister_id: id }]),
    effectiveCanisterId: id,
  });
}

/** The status by a query, which costs the canister nothing. */
export async function statusOf(agent: HttpAgent, id: Principal): Promise<Status> {
  const answer = await ask(agent, id, "canister_status");
  if (answer.status !== QueryResponseStatus.Replied) throw new Error(answer.reject_message);
  return IDL.decode([Status], new Uint8Array(answer.reply.arg))[0] as unknown as Status;
}

export interface LogRecord {
  readonly idx: bigint;
  readonly timestampNanos: bigint;
  readonly text: string;
}

/** The canister's log, oldest first; undefined when the sender may not read it. */
export async function logOf(agent: HttpAgent, id: Principal): Promise<readonly LogRecord[] | undefined> {
  const answer = await ask(agent, id, "fetch_canister_logs");
  if (answer.status !== QueryResponseStatus.Replied) return;
  const [log] = IDL.decode([Log], new Uint8Array(answer.reply.arg)) as unknown as [
    { canister_log_records: { idx: bigint; timestamp_nanos: bigint; content: Uint8Array }[] },
  ];
  return log.canister_log_records.map(({ idx, timestamp_nanos, content }) => ({
    idx,
    timestampNanos: timestamp_nanos,
    text: new TextDecoder().decode(Uint8Array.from(content)),
  }));
}
