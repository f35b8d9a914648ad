/**
 * What is told about canisters: status, info, metadata, metrics (interface spec, "canister_status" and its neighbours).
 * Pure encoders over records, so that replicated calls and non-replicated queries of the certified view give the same answers.
 */
import { err, ok, type Principal, principalToText, type Result } from "@orrery/base";
import {
  type CanisterMeta,
  type CanisterState,
  type CustomSection,
  memoryUsageBytes,
  type SubnetInfo,
} from "@orrery/state";
import { idleCyclesBurnedPerDay, type UseCase } from "../cycles.ts";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { isController } from "./effective-id.ts";
import {
  CanisterInfoResult,
  CanisterMetricsResult,
  CanisterStatusResult,
  candidChange,
  candidPrincipal,
  candidVisibility,
  encodeOne,
} from "./types.ts";

const WASM_PAGE_BYTES = 65_536;
const GLOBAL_BYTES = 8;

/** Candid of `canister_status_result`. */
export function encodeCanisterStatus(
  subnet: SubnetInfo,
  meta: CanisterMeta,
  queryStats: CanisterState["queryStats"],
): Uint8Array {
  const { settings } = meta;
  return encodeOne(CanisterStatusResult, {
    status: { [meta.status.kind]: null },
    ready_for_migration: meta.status.kind === "stopped",
    version: meta.version,
    settings: {
      controllers: settings.controllers.map(candidPrincipal),
      compute_allocation: settings.computeAllocation,
      memory_allocation: settings.memoryAllocation,
      freezing_threshold: settings.freezingThreshold,
      reserved_cycles_limit: settings.reservedCyclesLimit,
      minimum_incoming_canister_call_cycles: settings.minimumIncomingCallCycles,
      log_visibility: candidVisibility(settings.logVisibility),
      log_memory_limit: settings.logMemoryLimit,
      snapshot_visibility: candidVisibility(settings.snapshotVisibility),
      status_visibility: candidVisibility(settings.statusVisibility),
      wasm_memory_limit: settings.wasmMemoryLimit,
      wasm_memory_threshold: settings.wasmMemoryThreshold,
      environment_variables: settings.environmentVariables,
    },
    module_hash: meta.module === null ? [] : [meta.module.hash],
    memory_size: memoryUsageBytes(meta),
    memory_metrics: {
      wasm_memory_size: meta.heapPages * WASM_PAGE_BYTES,
      stable_memory_size: meta.stablePages * WASM_PAGE_BYTES,
      global_memory_size: meta.globals.length * GLOBAL_BYTES,
      wasm_binary_size: meta.module?.bytes ?? 0,
      custom_sections_size: meta.customSectionBytes,
      canister_history_size: meta.historyBytes,
      wasm_chunk_store_size: meta.chunkStoreBytes,
      snapshots_size: meta.snapshotBytes,
      log_memory_store_size: meta.logBytes,
    },
    cycles: meta.cycles,
    reserved_cycles: meta.reservedCycles,
    idle_cycles_burned_per_day: idleCyclesBurnedPerDay(subnet, meta),
    query_stats: {
      num_calls_total: queryStats.calls,
      num_instructions_total: queryStats.instructions,
      request_payload_bytes_total: queryStats.requestBytes,
      response_payload_bytes_total: queryStats.responseBytes,
    },
  });
}

/** Candid of `canister_info_result`; `requested`: how many of the last changes, as far as they are kept. */
export function encodeCanisterInfo(canister: CanisterState, requested: bigint): Uint8Array {
  const { meta, history } = canister;
  const count = requested > BigInt(history.length) ? history.length : Number(requested);
  return encodeOne(CanisterInfoResult, {
    total_num_changes: canister.historyTotal,
    recent_changes: history.slice(history.length - count).map(candidChange),
    module_hash: meta.module === null ? [] : [meta.module.hash],
    controllers: meta.settings.controllers.map(candidPrincipal),
  });
}

const USE_CASES: readonly UseCase[] = [
  "memory",
  "compute_allocation",
  "ingress_induction",
  "instructions",
  "request_and_response_transmission",
  "uninstall",
  "canister_creation",
  "http_outcalls",
  "burned_cycles",
];

/** Candid of `canister_metrics_result`. */
export function encodeCanisterMetrics(consumed: ReadonlyMap<string, bigint>): Uint8Array {
  const byUse = Object.fromEntries(USE_CASES.map((use) => [use, consumed.get(use) ?? 0n]));
  return encodeOne(CanisterMetricsResult, { cycles_consumed: byUse });
}

/** A custom section as `canister_metadata` gives it: private ones to controllers only, to others as if absent. */
export function canisterMetadata(
  meta: CanisterMeta,
  sender: Principal,
  name: string,
): Result<CustomSection, UserError> {
  const id = principalToText(meta.id);
  if (meta.module === null) {
    const text = `The canister ${id} has no Wasm module and hence no metadata is available.`;
    return err(userError(ErrorCode.CanisterRejectedMessage, text));
  }
  const section = meta.module.metadata.find((one) => one.name === name);
  if (section === undefined || (section.visibility === "private" && !isController(meta, sender))) {
    return err(
      userError(
        ErrorCode.CanisterRejectedMessage,
        `The canister ${id} has no metadata section with the name ${name}.`,
      ),
    );
  }
  return ok(section);
}
