/**
 * Candid types of the management canister's replies and their encoders (interface specification, `ic.did`; plus the fields that
 * current clients decode). Replies are encoded with the types as published, so that a strict decoder takes them.
 */
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import type { Height, Principal } from "@orrery/base";
import { assertNever } from "@orrery/base";
import type {
  CanisterLogRecord,
  CanisterRange,
  HistoryChange,
  HistoryDetails,
  HistoryOrigin,
  LogVisibility,
  NodeMetricsSample,
  SubnetMetrics,
} from "@orrery/state";

const Blob = IDL.Vec(IDL.Nat8);
const Visibility = IDL.Variant({
  controllers: IDL.Null,
  public: IDL.Null,
  allowed_viewers: IDL.Vec(IDL.Principal),
});

const DefiniteSettings = IDL.Record({
  controllers: IDL.Vec(IDL.Principal),
  compute_allocation: IDL.Nat,
  memory_allocation: IDL.Nat,
  freezing_threshold: IDL.Nat,
  reserved_cycles_limit: IDL.Nat,
  minimum_incoming_canister_call_cycles: IDL.Nat,
  log_visibility: Visibility,
  log_memory_limit: IDL.Nat,
  snapshot_visibility: Visibility,
  status_visibility: Visibility,
  wasm_memory_limit: IDL.Nat,
  wasm_memory_threshold: IDL.Nat,
  environment_variables: IDL.Vec(IDL.Record({ name: IDL.Text, value: IDL.Text })),
});

export const CanisterStatusResult: IDL.Type = IDL.Record({
  status: IDL.Variant({ running: IDL.Null, stopping: IDL.Null, stopped: IDL.Null }),
  ready_for_migration: IDL.Bool,
  version: IDL.Nat64,
  settings: DefiniteSettings,
  module_hash: IDL.Opt(Blob),
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
    log_memory_store_size: IDL.Nat,
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

const SnapshotSource = IDL.Variant({
  taken_from_canister: IDL.Reserved,
  metadata_upload: IDL.Reserved,
});

const ChangeOrigin = IDL.Variant({
  from_user: IDL.Record({ user_id: IDL.Principal }),
  from_canister: IDL.Record({ canister_id: IDL.Principal, canister_version: IDL.Opt(IDL.Nat64) }),
});

const ChangeDetails = IDL.Variant({
  creation: IDL.Record({
    controllers: IDL.Vec(IDL.Principal),
    environment_variables_hash: IDL.Opt(Blob),
  }),
  code_uninstall: IDL.Null,
  code_deployment: IDL.Record({
    mode: IDL.Variant({ install: IDL.Null, reinstall: IDL.Null, upgrade: IDL.Null }),
    module_hash: Blob,
  }),
  load_snapshot: IDL.Record({
    from_canister_id: IDL.Opt(IDL.Principal),
    snapshot_id: Blob,
    canister_version: IDL.Nat64,
    taken_at_timestamp: IDL.Nat64,
    source: SnapshotSource,
  }),
  controllers_change: IDL.Record({ controllers: IDL.Vec(IDL.Principal) }),
  rename_canister: IDL.Record({
    canister_id: IDL.Principal,
    total_num_changes: IDL.Nat64,
    rename_to: IDL.Record({
      canister_id: IDL.Principal,
      version: IDL.Nat64,
      total_num_changes: IDL.Nat64,
    }),
    requested_by: IDL.Principal,
  }),
});

export const CanisterInfoResult: IDL.Type = IDL.Record({
  total_num_changes: IDL.Nat64,
  recent_changes: IDL.Vec(
    IDL.Record({
      timestamp_nanos: IDL.Nat64,
      canister_version: IDL.Nat64,
      origin: ChangeOrigin,
      details: ChangeDetails,
    }),
  ),
  module_hash: IDL.Opt(Blob),
  controllers: IDL.Vec(IDL.Principal),
});

const CanisterLogsResult = IDL.Record({
  canister_log_records: IDL.Vec(IDL.Record({ idx: IDL.Nat64, timestamp_nanos: IDL.Nat64, content: Blob })),
});

const ListCanistersResult = IDL.Record({
  canisters: IDL.Vec(IDL.Record({ start: IDL.Principal, end: IDL.Principal })),
});

const NodeMetricsHistoryResult = IDL.Vec(
  IDL.Record({
    timestamp_nanos: IDL.Nat64,
    node_metrics: IDL.Vec(
      IDL.Record({
        node_id: IDL.Principal,
        num_blocks_proposed_total: IDL.Nat64,
        num_block_failures_total: IDL.Nat64,
      }),
    ),
  }),
);

const SubnetInfoResult = IDL.Record({ replica_version: IDL.Text, registry_version: IDL.Nat64 });

const SubnetMetricsResult = IDL.Record({
  block_height: IDL.Nat,
  num_canisters: IDL.Nat,
  canister_state_bytes: IDL.Nat,
  consumed_cycles_total: IDL.Nat,
  update_transactions_total: IDL.Nat,
});

const ChunkHash = IDL.Record({ hash: Blob });

export const CanisterMetricsResult: IDL.Type = IDL.Record({
  cycles_consumed: IDL.Record({
    memory: IDL.Nat,
    compute_allocation: IDL.Nat,
    ingress_induction: IDL.Nat,
    instructions: IDL.Nat,
    request_and_response_transmission: IDL.Nat,
    uninstall: IDL.Nat,
    canister_creation: IDL.Nat,
    http_outcalls: IDL.Nat,
    burned_cycles: IDL.Nat,
  }),
});

const CanisterIdResult = IDL.Record({ canister_id: IDL.Principal });
const MetadataResult = IDL.Record({ value: Blob });

export function encodeOne(type: IDL.Type, value: unknown): Uint8Array {
  return new Uint8Array(IDL.encode([type], [value]));
}

export function encodeBlob(bytes: Uint8Array): Uint8Array {
  return encodeOne(Blob, bytes);
}

export function encodeCanisterId(id: Principal): Uint8Array {
  return encodeOne(CanisterIdResult, { canister_id: candidPrincipal(id) });
}

export function encodeChunkHash(hash: Uint8Array): Uint8Array {
  return encodeOne(ChunkHash, { hash });
}

export function encodeChunkHashes(hashes: readonly Uint8Array[]): Uint8Array {
  return encodeOne(
    IDL.Vec(ChunkHash),
    hashes.map((hash) => ({ hash })),
  );
}

export function encodeCanisterRanges(ranges: readonly CanisterRange[]): Uint8Array {
  const canisters = ranges.map(({ start, end }) => ({
    start: candidPrincipal(start),
    end: candidPrincipal(end),
  }));
  return encodeOne(ListCanistersResult, { canisters });
}

export function encodeNodeMetrics(samples: readonly NodeMetricsSample[]): Uint8Array {
  return encodeOne(
    NodeMetricsHistoryResult,
    samples.map(({ time, nodes }) => ({
      timestamp_nanos: time,
      node_metrics: nodes.map(({ nodeId, blocksProposed, blockFailures }) => ({
        node_id: candidPrincipal(nodeId),
        num_blocks_proposed_total: blocksProposed,
        num_block_failures_total: blockFailures,
      })),
    })),
  );
}

export function encodeSubnetInfo(info: {
  readonly replicaVersion: string;
  readonly registryVersion: bigint;
}): Uint8Array {
  return encodeOne(SubnetInfoResult, {
    replica_version: info.replicaVersion,
    registry_version: info.registryVersion,
  });
}

export function encodeMetricsOfSubnet(metrics: SubnetMetrics, height: Height): Uint8Array {
  return encodeOne(SubnetMetricsResult, {
    block_height: height,
    num_canisters: metrics.canisters,
    canister_state_bytes: metrics.canisterStateBytes,
    consumed_cycles_total: metrics.consumedCyclesTotal,
    update_transactions_total: metrics.updateTransactionsTotal,
  });
}

export function encodeMetadata(value: Uint8Array): Uint8Array {
  return encodeOne(MetadataResult, { value });
}

export function encodeLogRecords(records: readonly CanisterLogRecord[]): Uint8Array {
  return encodeOne(CanisterLogsResult, {
    canister_log_records: records.map(({ idx, timestamp, content }) => ({
      idx,
      timestamp_nanos: timestamp,
      content,
    })),
  });
}

export function candidPrincipal(id: Principal): CandidPrincipal {
  return CandidPrincipal.fromUint8Array(id);
}

export function candidVisibility(visibility: LogVisibility): unknown {
  switch (visibility.kind) {
    case "controllers":
      return { controllers: null };
    case "public":
      return { public: null };
    case "allowed_viewers":
      return { allowed_viewers: visibility.viewers.map(candidPrincipal) };
    default:
      return assertNever(visibility, "visibility");
  }
}

function candidOrigin(origin: HistoryOrigin): unknown {
  if (origin.kind === "user") return { from_user: { user_id: candidPrincipal(origin.userId) } };
  return {
    from_canister: {
      canister_id: candidPrincipal(origin.canisterId),
      canister_version: origin.canisterVersion === null ? [] : [origin.canisterVersion],
    },
  };
}

function candidDetails(details: HistoryDetails): unknown {
  switch (details.kind) {
    case "creation": {
      const hash = details.environmentVariablesHash;
      return {
        creation: {
          controllers: details.controllers.map(candidPrincipal),
          environment_variables_hash: hash === null ? [] : [hash],
        },
      };
    }
    case "code_uninstall":
      return { code_uninstall: null };
    case "code_deployment":
      return { code_deployment: { mode: { [details.mode]: null }, module_hash: details.moduleHash } };
    case "controllers_change":
      return { controllers_change: { controllers: details.controllers.map(candidPrincipal) } };
    case "load_snapshot":
      return {
        load_snapshot: {
          from_canister_id: details.fromCanister === null ? [] : [candidPrincipal(details.fromCanister)],
          snapshot_id: details.snapshotId,
          canister_version: details.canisterVersion,
          taken_at_timestamp: details.takenAt,
          source: { [details.source]: null },
        },
      };
    default:
      return assertNever(details, "history details");
  }
}

export function candidChange(change: HistoryChange): unknown {
  return {
    timestamp_nanos: change.timestamp,
    canister_version: change.canisterVersion,
    origin: candidOrigin(change.origin),
    details: candidDetails(change.details),
  };
}
