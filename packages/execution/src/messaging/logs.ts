/**
 * Canister logs (interface spec, `fetch_canister_logs`): a bounded buffer of what the canister printed and why it trapped. The
 * oldest records make room; a record that alone is too long is cut.
 */
import type { TimeNs } from "@orrery/base";
import type { CanisterLogRecord, CanisterState } from "@orrery/state";
import type { MessageOutcome } from "../types.ts";

/** Index, timestamp and length of a record count beside its content. */
const RECORD_OVERHEAD_BYTES = 20;
/** What a record counts for beside its content until it is stored, and in an answer. */
export const LOOSE_RECORD_BYTES = 40;

function recordBytes(record: CanisterLogRecord): number {
  return RECORD_OVERHEAD_BYTES + record.content.length;
}

/** Appends what an execution logged; true when anything was recorded. A limit of 0 turns logging off. */
export function appendLogs(
  canister: CanisterState,
  outcome: Pick<MessageOutcome, "logs" | "logsDropped">,
  time: TimeNs,
): boolean {
  const { logs: contents, logsDropped = 0 } = outcome;
  const limit = Number(canister.meta.settings.logMemoryLimit);
  if (contents.length === 0 || limit === 0) return false;
  canister.nextLogIdx += BigInt(logsDropped);
  const records = [...canister.logs];
  for (const content of contents) {
    const kept = content.slice(0, Math.max(0, limit - RECORD_OVERHEAD_BYTES));
    records.push({ idx: canister.nextLogIdx++, timestamp: time, content: kept });
  }
  store(canister, records);
  return true;
}

/** Applies a limit that was lowered. */
export function trimLogs(canister: CanisterState): void {
  store(canister, [...canister.logs]);
}

function store(canister: CanisterState, records: CanisterLogRecord[]): void {
  const limit = Number(canister.meta.settings.logMemoryLimit);
  let bytes = 0;
  let first = records.length;
  while (first > 0) {
    const next = bytes + recordBytes(records[first - 1] as CanisterLogRecord);
    if (next > limit) break;
    bytes = next;
    first--;
  }
  canister.logs = records.slice(first);
  canister.meta.logBytes = bytes;
}
