/**
 * Reading a canister's log (interface spec, "fetch_canister_logs"; the replica also answers canisters, in replicated execution):
 * who may, which records, and what the work counts for in a round.
 */
import { err, ok, type Principal, principalToText, type Result } from "@orrery/base";
import type { CanisterLogRecord, CanisterMeta } from "@orrery/state";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { isFree } from "../fees.ts";
import { LOG_RESPONSE_BYTES_MAX } from "../limits.ts";
import { LOOSE_RECORD_BYTES } from "../messaging/logs.ts";
import { decodeArg, failure, findCanister, type Handler } from "./call.ts";
import {
  decodeRecord,
  optional,
  type Read,
  readNat64,
  readPrincipal,
  readRecord,
  readVariant,
  required,
} from "./candid-decode.ts";
import { isController, mayView } from "./effective-id.ts";
import { invalidPayload } from "./methods.ts";
import { encodeLogRecords } from "./types.ts";

interface LogFilter {
  readonly by: "idx" | "timestamp";
  /** Inclusive. */
  readonly start: bigint;
  /** Exclusive. */
  readonly end: bigint;
}

/** Instructions that a read counts for in a round: in all, by record, by byte of content. */
const INSTRUCTIONS = { base: 150_000n, record: 900n, byte: 1n } as const;

function readRange(by: LogFilter["by"]): Read<LogFilter> {
  return (value, what) => {
    const record = readRecord(value, what);
    return { by, start: required(record, "start", readNat64), end: required(record, "end", readNat64) };
  };
}

const readFilter: Read<LogFilter> = readVariant<LogFilter>({
  by_idx: readRange("idx"),
  by_timestamp_nanos: readRange("timestamp"),
});

function selected(logs: readonly CanisterLogRecord[], range: LogFilter | null): readonly CanisterLogRecord[] {
  if (range === null) return newest(logs);
  const records = logs.filter((record) => {
    const at = range.by === "idx" ? record.idx : record.timestamp;
    return at >= range.start && at < range.end;
  });
  return oldest(records);
}

/** How many of the records, in the order given, one answer holds. */
function fitting(records: Iterable<CanisterLogRecord>): number {
  let bytes = 0;
  let count = 0;
  for (const { content } of records) {
    bytes += LOOSE_RECORD_BYTES + content.length;
    if (bytes > LOG_RESPONSE_BYTES_MAX) break;
    count++;
  }
  return count;
}

/** Whoever asks for all sees what happened last. */
function newest(records: readonly CanisterLogRecord[]): readonly CanisterLogRecord[] {
  return records.slice(records.length - fitting([...records].reverse()));
}

/** Whoever asks for a range can go on behind what is there. */
function oldest(records: readonly CanisterLogRecord[]): readonly CanisterLogRecord[] {
  return records.slice(0, fitting(records));
}

export interface LogsRead {
  /** Candid of the answer. */
  readonly reply: Uint8Array;
  readonly instructions: bigint;
}

/** The answer about the given canister, or why the sender may not see it. */
export function fetchCanisterLogs(
  call: { readonly sender: Principal; readonly arg: Uint8Array },
  canister: { readonly meta: CanisterMeta; readonly logs: readonly CanisterLogRecord[] },
): Result<LogsRead, UserError> {
  const filter = decodeRecord(call.arg, (record) => {
    required(record, "canister_id", readPrincipal);
    return optional(record, "filter", readFilter);
  });
  if (!filter.ok) return err(invalidPayload(filter.error));
  const { meta } = canister;
  if (!isController(meta, call.sender) && !mayView(meta.settings.logVisibility, call.sender)) {
    return err(
      userError(
        ErrorCode.CanisterRejectedMessage,
        `Caller ${principalToText(call.sender)} is not allowed to access canister logs`,
      ),
    );
  }
  const records = selected(canister.logs, filter.value);
  const bytes = records.reduce((sum, { content }) => sum + content.length, 0);
  const instructions =
    INSTRUCTIONS.base + INSTRUCTIONS.record * BigInt(records.length) + INSTRUCTIONS.byte * BigInt(bytes);
  return ok({ reply: encodeLogRecords(records), instructions });
}

/** A canister's call; who pays nothing for calls may not have the work for nothing either. */
export const fetchLogs: Handler = (round, call) => {
  const { subnet } = round.state;
  if (subnet.type !== "system" && isFree(subnet)) {
    const text =
      "fetch_canister_logs can only be called by a canister on a subnet with a normal cost schedule.";
    return failure(userError(ErrorCode.CanisterContractViolation, text));
  }
  const id = decodeArg(call, (record) => required(record, "canister_id", readPrincipal));
  if (!id.ok) return failure(id.error);
  const canister = findCanister(round, id.value);
  if (!canister.ok) return failure(canister.error);
  const read = fetchCanisterLogs(call, canister.value);
  if (!read.ok) return failure(read.error);
  return { kind: "reply", data: read.value.reply, instructions: read.value.instructions };
};
