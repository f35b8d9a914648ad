/**
 * Canister settings (interface spec, "Canister settings"): reading them from an argument, validating them as a whole, applying
 * them. Nothing is changed unless everything is valid; texts are the replica's.
 */
import {
  assertNever,
  compareBytes,
  err,
  ok,
  type Principal,
  principalKey,
  type Result,
  utf8,
} from "@orrery/base";
import type { CanisterMeta, CanisterSettings, LogVisibility, ReplicatedState } from "@orrery/state";
import { freezingThresholdCycles } from "../cycles.ts";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import {
  CONTROLLERS_MAX,
  ENVIRONMENT_VARIABLE_BYTES_MAX,
  ENVIRONMENT_VARIABLES_MAX,
  LOG_MEMORY_LIMIT_MAX,
  LOG_MEMORY_LIMIT_MIN,
  MEMORY_ALLOCATION_MAX,
  SUBNET_COMPUTE_PERCENT_MAX,
  VIEWERS_MAX,
  WASM_MEMORY_LIMIT_MAX,
} from "../limits.ts";
import {
  type CandidRecord,
  optional,
  type Read,
  readNat,
  readPrincipal,
  readRecord,
  readText,
  readVariant,
  readVec,
  required,
} from "./candid-decode.ts";
import { displayBytes, limitExceeded, missingCycles, planGrowth, subnetMemoryError } from "./memory.ts";

const NAT64_MAX: bigint = (1n << 64n) - 1n;
const NAT128_MAX: bigint = (1n << 128n) - 1n;

const readVisibility: Read<LogVisibility> = readVariant<LogVisibility>({
  controllers: () => ({ kind: "controllers" }),
  public: () => ({ kind: "public" }),
  allowed_viewers: (value, what) => ({
    kind: "allowed_viewers",
    viewers: readVec(readPrincipal, VIEWERS_MAX)(value, what),
  }),
});

const readVariable: Read<{ name: string; value: string }> = (value, what) => {
  const record = readRecord(value, what);
  return { name: required(record, "name", readText), value: required(record, "value", readText) };
};

/** Reads `canister_settings`; absent fields are not in the result. */
export const readSettings: Read<Partial<CanisterSettings>> = (value, what) =>
  settingsOf(readRecord(value, what));

function settingsOf(record: CandidRecord): Partial<CanisterSettings> {
  const given: { [K in keyof CanisterSettings]: CanisterSettings[K] | null } = {
    controllers: optional(record, "controllers", readVec(readPrincipal, CONTROLLERS_MAX)),
    computeAllocation: optional(record, "compute_allocation", readNat),
    memoryAllocation: optional(record, "memory_allocation", readNat),
    freezingThreshold: optional(record, "freezing_threshold", readNat),
    reservedCyclesLimit: optional(record, "reserved_cycles_limit", readNat),
    minimumIncomingCallCycles: optional(record, "minimum_incoming_canister_call_cycles", readNat),
    wasmMemoryLimit: optional(record, "wasm_memory_limit", readNat),
    wasmMemoryThreshold: optional(record, "wasm_memory_threshold", readNat),
    logMemoryLimit: optional(record, "log_memory_limit", readNat),
    logVisibility: optional(record, "log_visibility", readVisibility),
    snapshotVisibility: optional(record, "snapshot_visibility", readVisibility),
    statusVisibility: optional(record, "status_visibility", readVisibility),
    environmentVariables: optional(record, "environment_variables", readVec(readVariable)),
  };
  return Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== null),
  ) as Partial<CanisterSettings>;
}

function violation(message: string): UserError {
  return userError(ErrorCode.CanisterContractViolation, message);
}

function logLimitError(what: string): UserError {
  return userError(ErrorCode.CanisterRejectedMessage, `The canister log memory limit ${what}`);
}

function rangeError(given: Partial<CanisterSettings>): UserError | null {
  const over = (value: bigint | undefined, max: bigint): value is bigint =>
    value !== undefined && value > max;
  if (over(given.computeAllocation, 100n)) {
    return violation(
      `ComputeAllocation expected to be in the range [0..100], got ${given.computeAllocation}`,
    );
  }
  if (over(given.memoryAllocation, MEMORY_ALLOCATION_MAX)) {
    const range = `[0..${MEMORY_ALLOCATION_MAX}]`;
    return violation(`MemoryAllocation expected to be in the range ${range}, got ${given.memoryAllocation}`);
  }
  const ranges: readonly (readonly [bigint | undefined, bigint, string, string])[] = [
    [given.freezingThreshold, NAT64_MAX, "Freezing threshold", "2^64-1"],
    [given.reservedCyclesLimit, NAT128_MAX, "Reserved cycles limit", "2^128-1"],
    [given.minimumIncomingCallCycles, NAT128_MAX, "Minimum incoming canister call cycles", "2^128-1"],
    [given.wasmMemoryLimit, WASM_MEMORY_LIMIT_MAX, "Wasm memory limit", "2^48"],
    [given.wasmMemoryThreshold, WASM_MEMORY_LIMIT_MAX, "Wasm memory threshold", "2^48"],
  ];
  for (const [value, max, name, text] of ranges) {
    if (over(value, max))
      return violation(`${name} expected to be in the range of [0..${text}], got ${value}`);
  }
  const log = given.logMemoryLimit;
  if (over(log, LOG_MEMORY_LIMIT_MAX))
    return logLimitError(`${log} is too high. It must be at most ${LOG_MEMORY_LIMIT_MAX}.`);
  if (log !== undefined && log > 0n && log < LOG_MEMORY_LIMIT_MIN) {
    return logLimitError(`${log} is too low. It must be at least ${LOG_MEMORY_LIMIT_MIN}.`);
  }
  return null;
}

function variablesError(variables: CanisterSettings["environmentVariables"]): UserError | null {
  const payload = (text: string): UserError => userError(ErrorCode.InvalidManagementPayload, text);
  if (variables.length > ENVIRONMENT_VARIABLES_MAX) {
    return payload(`Too many environment variables: ${variables.length} (max: ${ENVIRONMENT_VARIABLES_MAX})`);
  }
  if (new Set(variables.map(({ name }) => name)).size !== variables.length) {
    return payload("Duplicate environment variables are not allowed");
  }
  const max = ENVIRONMENT_VARIABLE_BYTES_MAX;
  for (const { name, value } of variables) {
    if (utf8(name).length > max) {
      return payload(`Environment variable name "${name}" exceeds the maximum allowed length of ${max}.`);
    }
    if (utf8(value).length > max) {
      return payload(`Environment variable value "${value}" exceeds the maximum allowed length of ${max}.`);
    }
  }
  return null;
}

/** Sorted and without duplicates, as sets are kept. */
export function principalSet(principals: readonly Principal[]): readonly Principal[] {
  const byKey = new Map(principals.map((one) => [principalKey(one), one.slice() as Principal]));
  return [...byKey.values()].sort(compareBytes);
}

function normalVisibility(visibility: LogVisibility): LogVisibility {
  if (visibility.kind !== "allowed_viewers") return visibility;
  return { kind: "allowed_viewers", viewers: principalSet(visibility.viewers) };
}

function normalSettings(settings: CanisterSettings): CanisterSettings {
  return {
    ...settings,
    controllers: principalSet(settings.controllers),
    logVisibility: normalVisibility(settings.logVisibility),
    snapshotVisibility: normalVisibility(settings.snapshotVisibility),
    statusVisibility: normalVisibility(settings.statusVisibility),
    environmentVariables: [...settings.environmentVariables].sort((a, b) =>
      compareBytes(utf8(a.name), utf8(b.name)),
    ),
  };
}

/** Settings that a canister may have, and the cycles that they reserve. */
export interface ValidSettings {
  readonly settings: CanisterSettings;
  readonly reserve: bigint;
}

/** Puts settings into force. */
export function applySettings(meta: CanisterMeta, { settings, reserve }: ValidSettings): void {
  meta.settings = settings;
  meta.cycles -= reserve;
  meta.reservedCycles += reserve;
}

/**
 * The settings that result from `given` over the canister's own, or why they are refused: ranges, subnet capacity, and whether
 * the canister can pay for them.
 */
export function validateSettings(
  state: ReplicatedState,
  meta: CanisterMeta,
  options: { readonly given: Partial<CanisterSettings>; readonly available: bigint },
): Result<ValidSettings, UserError> {
  const { given, available } = options;
  const invalid = rangeError(given) ?? variablesError(given.environmentVariables ?? []);
  if (invalid !== null) return err(invalid);
  const next = normalSettings({ ...meta.settings, ...given });
  const refusal = computeError(state, meta, next) ?? reservedLimitError(meta, next);
  if (refusal !== null) return err(refusal);
  return allocationPlan(state, meta, { next, available });
}

function computeError(state: ReplicatedState, meta: CanisterMeta, next: CanisterSettings): UserError | null {
  const old = meta.settings;
  if (next.computeAllocation <= old.computeAllocation) return null;
  let taken = 0n;
  for (const canister of state.canisters.values()) taken += canister.meta.settings.computeAllocation;
  // Of the allocatable compute one percent always stays unallocated.
  const available =
    SUBNET_COMPUTE_PERCENT_MAX -
    (taken - (state.canisters.has(principalKey(meta.id)) ? old.computeAllocation : 0n));
  if (next.computeAllocation > available) {
    return userError(
      ErrorCode.SubnetOversubscribed,
      `Canister requested a compute allocation of ${next.computeAllocation}% which cannot be satisfied because ` +
        `the Subnet's remaining compute capacity is ${available}%.`,
    );
  }
  const threshold = freezingThresholdCycles(state.subnet, {
    ...meta,
    settings: { ...next, memoryAllocation: old.memoryAllocation },
  });
  if (meta.cycles >= threshold) return null;
  return userError(
    ErrorCode.InsufficientCyclesInComputeAllocation,
    `Cannot increase compute allocation to ${next.computeAllocation}% due to ${missingCycles(threshold - meta.cycles)}`,
  );
}

function reservedLimitError(meta: CanisterMeta, next: CanisterSettings): UserError | null {
  if (next.reservedCyclesLimit >= meta.reservedCycles) return null;
  return userError(
    ErrorCode.ReservedCyclesLimitIsTooLow,
    `Cannot set the reserved cycles limit ${next.reservedCyclesLimit} below the reserved cycles balance of ` +
      `the canister ${meta.reservedCycles}.`,
  );
}

/** Memory that is allocated counts as taken: the subnet must have it, and the canister pay for it. */
function allocationPlan(
  state: ReplicatedState,
  meta: CanisterMeta,
  options: { readonly next: CanisterSettings; readonly available: bigint },
): Result<ValidSettings, UserError> {
  const { next, available } = options;
  const grown = { ...meta, settings: next };
  const plan = planGrowth(state.subnet, { meta, grown, available });
  if (plan.ok) return ok({ settings: next, reserve: plan.reserve });
  const { refusal } = plan;
  const what = `Cannot increase memory allocation to ${displayBytes(next.memoryAllocation)} due to`;
  switch (refusal.kind) {
    case "subnet":
      return err(subnetMemoryError(refusal.bytes, refusal.available));
    case "cycles":
      return err(
        userError(
          ErrorCode.InsufficientCyclesInMemoryAllocation,
          `${what} ${missingCycles(refusal.missing)}`,
        ),
      );
    case "limit":
      return err(
        userError(
          ErrorCode.ReservedCyclesLimitExceededInMemoryAllocation,
          `${what} ${limitExceeded(refusal)}`,
        ),
      );
    default:
      return assertNever(refusal, "refusal");
  }
}
