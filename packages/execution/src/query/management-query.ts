/**
 * The management canister's queries (interface spec, "The IC management canister": `canister_status`, `canister_metrics`,
 * `fetch_canister_logs`, `list_canisters`), answered from a certified view for users and for composite queries alike.
 */
import { err, ok, type Principal, principalToText, type Result } from "@orrery/base";
import type { CanisterLogRecord, LogVisibility } from "@orrery/state";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import {
  decodeRecord,
  optional,
  readNat64,
  readPrincipal,
  readRecord,
  readVariant,
  required,
} from "../management/candid-decode.ts";
import { invalidPayload, managementMethod, unknownMethod, unsupportedMethod } from "../management/methods.ts";
import { encodeLogRecords } from "../management/types.ts";
import { notFound } from "../messaging/reject.ts";
import { isAmong } from "../system-api/frame.ts";
import type { Mirror, MirroredCanister } from "./mirror.ts";

type Answer = Result<Uint8Array, UserError>;

/** Which records: by index or by time, end not included. */
interface LogFilter {
  readonly by: "idx" | "timestamp";
  readonly start: bigint;
  readonly end: bigint;
}

interface LogRequest {
  readonly canisterId: Principal;
  readonly filter: LogFilter | null;
}

function readFilter(
  by: LogFilter["by"],
): (value: Parameters<typeof readRecord>[0], what: string) => LogFilter {
  return (value, what) => {
    const range = readRecord(value, what);
    return { by, start: required(range, "start", readNat64), end: required(range, "end", readNat64) };
  };
}

const readLogFilter = readVariant<LogFilter>({
  by_idx: readFilter("idx"),
  by_timestamp_nanos: readFilter("timestamp"),
});

function visible(visibility: LogVisibility, controllers: readonly Principal[], caller: Principal): boolean {
  if (visibility.kind === "public" || isAmong(controllers, caller)) return true;
  return visibility.kind === "allowed_viewers" && isAmong(visibility.viewers, caller);
}

function selected(
  records: readonly CanisterLogRecord[],
  filter: LogFilter | null,
): readonly CanisterLogRecord[] {
  if (filter === null) return records;
  const { by, start, end } = filter;
  return records.filter((record) => record[by] >= start && record[by] < end);
}

function canisterIn(mirror: Mirror, id: Principal): Result<MirroredCanister, UserError> {
  const canister = mirror.canister(id);
  return canister === null ? err(notFound(id)) : ok(canister);
}

function fetchLogs(mirror: Mirror, caller: Principal, arg: Uint8Array): Answer {
  const request = decodeRecord<LogRequest>(arg, (record) => ({
    canisterId: required(record, "canister_id", readPrincipal),
    filter: optional(record, "filter", readLogFilter),
  }));
  if (!request.ok) return err(invalidPayload(request.error));
  const canister = canisterIn(mirror, request.value.canisterId);
  if (!canister.ok) return canister;
  const { settings } = canister.value.meta;
  if (!visible(settings.logVisibility, settings.controllers, caller)) {
    const text = `Caller ${principalToText(caller)} is not allowed to access canister logs`;
    return err(userError(ErrorCode.CanisterRejectedMessage, text));
  }
  return ok(encodeLogRecords(selected(canister.value.logs, request.value.filter)));
}

export function answerManagementQuery(
  mirror: Mirror,
  caller: Principal,
  methodName: string,
  arg: Uint8Array,
): Answer {
  switch (methodName) {
    case "fetch_canister_logs":
      return fetchLogs(mirror, caller, arg);
    default: {
      const method = managementMethod(methodName);
      if (method === null) return err(unknownMethod(methodName));
      if (method.query) return err(unsupportedMethod(methodName));
      const text = `Query method ${methodName} not found.`;
      return err(userError(ErrorCode.CanisterMethodNotFound, text));
    }
  }
}
