/** The management calls of the PicJS interface in Candid (interface spec, "The IC management canister"). */
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import type {
  CanisterInstallModeUpgradeOptions,
  CanisterSettings,
  CanisterStatusResult,
  LogVisibility,
} from "./types.ts";

const Blob = IDL.Vec(IDL.Nat8);
const Visibility = IDL.Variant({
  controllers: IDL.Null,
  public: IDL.Null,
  allowed_viewers: IDL.Vec(IDL.Principal),
});
const Variable = IDL.Record({ name: IDL.Text, value: IDL.Text });
const Settings = IDL.Record({
  controllers: IDL.Opt(IDL.Vec(IDL.Principal)),
  compute_allocation: IDL.Opt(IDL.Nat),
  memory_allocation: IDL.Opt(IDL.Nat),
  freezing_threshold: IDL.Opt(IDL.Nat),
  reserved_cycles_limit: IDL.Opt(IDL.Nat),
  log_visibility: IDL.Opt(Visibility),
  snapshot_visibility: IDL.Opt(Visibility),
  log_memory_limit: IDL.Opt(IDL.Nat),
  wasm_memory_limit: IDL.Opt(IDL.Nat),
  wasm_memory_threshold: IDL.Opt(IDL.Nat),
  environment_variables: IDL.Opt(IDL.Vec(Variable)),
});
const Creation = IDL.Record({
  settings: IDL.Opt(Settings),
  amount: IDL.Opt(IDL.Nat),
  specified_id: IDL.Opt(IDL.Principal),
});
const About = IDL.Record({ canister_id: IDL.Principal });
const Mode = IDL.Variant({
  install: IDL.Null,
  reinstall: IDL.Null,
  upgrade: IDL.Opt(
    IDL.Record({
      skip_pre_upgrade: IDL.Opt(IDL.Bool),
      wasm_memory_persistence: IDL.Opt(IDL.Variant({ keep: IDL.Null, replace: IDL.Null })),
    }),
  ),
});
const Install = IDL.Record({ mode: Mode, canister_id: IDL.Principal, wasm_module: Blob, arg: Blob });
const Chunk = IDL.Record({ canister_id: IDL.Principal, chunk: Blob });
const ChunkHash = IDL.Record({ hash: Blob });
const InstallChunked = IDL.Record({
  mode: Mode,
  target_canister: IDL.Principal,
  store_canister: IDL.Opt(IDL.Principal),
  chunk_hashes_list: IDL.Vec(ChunkHash),
  wasm_module_hash: Blob,
  arg: Blob,
});
const NewSettings = IDL.Record({ canister_id: IDL.Principal, settings: Settings });
const Status = IDL.Record({
  status: IDL.Variant({ running: IDL.Null, stopping: IDL.Null, stopped: IDL.Null }),
  settings: IDL.Record({
    controllers: IDL.Vec(IDL.Principal),
    compute_allocation: IDL.Nat,
    memory_allocation: IDL.Nat,
    freezing_threshold: IDL.Nat,
    reserved_cycles_limit: IDL.Nat,
    log_visibility: Visibility,
    wasm_memory_limit: IDL.Nat,
    wasm_memory_threshold: IDL.Nat,
    environment_variables: IDL.Vec(Variable),
  }),
  module_hash: IDL.Opt(Blob),
  memory_size: IDL.Nat,
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

export type InstallMode =
  | { readonly install: null }
  | { readonly reinstall: null }
  | { readonly upgrade: [] | [CanisterInstallModeUpgradeOptions] };

const encode = (type: IDL.Type, value: unknown): Uint8Array => new Uint8Array(IDL.encode([type], [value]));
const decode = <T>(type: IDL.Type, bytes: Uint8Array): T => IDL.decode([type], bytes)[0] as unknown as T;
const optional = <T>(value: T | undefined): [] | [T] => (value === undefined ? [] : [value]);

function visibility(given: LogVisibility | undefined): unknown[] {
  if (given === undefined) return [];
  return ["allowedViewers" in given ? { allowed_viewers: given.allowedViewers } : given];
}

function settings(given: CanisterSettings): unknown {
  return {
    controllers: optional(given.controllers),
    compute_allocation: optional(given.computeAllocation),
    memory_allocation: optional(given.memoryAllocation),
    freezing_threshold: optional(given.freezingThreshold),
    reserved_cycles_limit: optional(given.reservedCyclesLimit),
    log_visibility: visibility(given.logVisibility),
    snapshot_visibility: visibility(given.snapshotVisibility),
    log_memory_limit: optional(given.logMemoryLimit),
    wasm_memory_limit: optional(given.wasmMemoryLimit),
    wasm_memory_threshold: optional(given.wasmMemoryThreshold),
    environment_variables: optional(given.environmentVariables),
  };
}

export function encodeCreation(
  given: CanisterSettings & { readonly cycles: bigint; readonly targetCanisterId?: Principal | undefined },
): Uint8Array {
  return encode(Creation, {
    settings: [settings(given)],
    amount: [given.cycles],
    specified_id: optional(given.targetCanisterId),
  });
}

export function decodeCreation(reply: Uint8Array): Principal {
  return decode<{ readonly canister_id: Principal }>(About, reply).canister_id;
}

/** Of methods that take a canister's id alone. */
export function encodeAbout(canisterId: Principal): Uint8Array {
  return encode(About, { canister_id: canisterId });
}

export function encodeInstall(
  canisterId: Principal,
  code: { readonly mode: InstallMode; readonly wasm: Uint8Array; readonly arg: Uint8Array },
): Uint8Array {
  const { mode, wasm, arg } = code;
  return encode(Install, { mode, canister_id: canisterId, wasm_module: wasm, arg });
}

export function encodeChunk(canisterId: Principal, chunk: Uint8Array): Uint8Array {
  return encode(Chunk, { canister_id: canisterId, chunk });
}

export function decodeChunkHash(reply: Uint8Array): Uint8Array {
  return decode<{ readonly hash: Uint8Array }>(ChunkHash, reply).hash;
}

export function encodeInstallChunked(
  canisterId: Principal,
  code: {
    readonly mode: InstallMode;
    readonly chunks: readonly Uint8Array[];
    readonly hash: Uint8Array;
    readonly arg: Uint8Array;
  },
): Uint8Array {
  const { mode, chunks, hash, arg } = code;
  return encode(InstallChunked, {
    mode,
    target_canister: canisterId,
    store_canister: [],
    chunk_hashes_list: chunks.map((one) => ({ hash: one })),
    wasm_module_hash: hash,
    arg,
  });
}

export function encodeSettings(canisterId: Principal, given: CanisterSettings): Uint8Array {
  return encode(NewSettings, { canister_id: canisterId, settings: settings(given) });
}

interface RawStatus {
  readonly status: CanisterStatusResult["status"];
  readonly settings: {
    readonly controllers: Principal[];
    readonly compute_allocation: bigint;
    readonly memory_allocation: bigint;
    readonly freezing_threshold: bigint;
    readonly reserved_cycles_limit: bigint;
    readonly log_visibility: { controllers: null } | { public: null } | { allowed_viewers: Principal[] };
    readonly wasm_memory_limit: bigint;
    readonly wasm_memory_threshold: bigint;
    readonly environment_variables: CanisterStatusResult["settings"]["environmentVariables"];
  };
  readonly module_hash: [] | [Uint8Array];
  readonly memory_size: bigint;
  readonly cycles: bigint;
  readonly reserved_cycles: bigint;
  readonly idle_cycles_burned_per_day: bigint;
  readonly query_stats: {
    readonly num_calls_total: bigint;
    readonly num_instructions_total: bigint;
    readonly request_payload_bytes_total: bigint;
    readonly response_payload_bytes_total: bigint;
  };
}

export function decodeStatus(reply: Uint8Array): CanisterStatusResult {
  const raw = decode<RawStatus>(Status, reply);
  const { log_visibility: log } = raw.settings;
  return {
    status: raw.status,
    settings: {
      controllers: raw.settings.controllers,
      computeAllocation: raw.settings.compute_allocation,
      memoryAllocation: raw.settings.memory_allocation,
      freezingThreshold: raw.settings.freezing_threshold,
      reservedCyclesLimit: raw.settings.reserved_cycles_limit,
      logVisibility: "allowed_viewers" in log ? { allowedViewers: log.allowed_viewers } : log,
      wasmMemoryLimit: raw.settings.wasm_memory_limit,
      wasmMemoryThreshold: raw.settings.wasm_memory_threshold,
      environmentVariables: raw.settings.environment_variables,
    },
    moduleHash: raw.module_hash[0] ?? null,
    memorySize: raw.memory_size,
    cycles: raw.cycles,
    reservedCycles: raw.reserved_cycles,
    idleCyclesBurnedPerDay: raw.idle_cycles_burned_per_day,
    queryStats: {
      numCallsTotal: raw.query_stats.num_calls_total,
      numInstructionsTotal: raw.query_stats.num_instructions_total,
      requestPayloadBytesTotal: raw.query_stats.request_payload_bytes_total,
      responsePayloadBytesTotal: raw.query_stats.response_payload_bytes_total,
    },
  };
}
