/** Canister history (interface spec, "Canister history"): the last changes, and how many there ever were. */
import { compareBytes, concatBytes, type TimeNs, utf8 } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import type {
  CanisterSettings,
  CanisterState,
  HistoryChange,
  HistoryDetails,
  HistoryOrigin,
} from "@orrery/state";
import { HISTORY_ENTRIES_MAX } from "../limits.ts";

/** What an entry occupies besides the principals and hashes in it. */
const ENTRY_BYTES = 48;
const PRINCIPAL_BYTES = 30;
const HASH_BYTES = 32;

export function recordChange(
  canister: CanisterState,
  change: { readonly time: TimeNs; readonly origin: HistoryOrigin; readonly details: HistoryDetails },
): void {
  const entry: HistoryChange = {
    timestamp: change.time,
    canisterVersion: canister.meta.version,
    origin: change.origin,
    details: change.details,
  };
  canister.history = [...canister.history, entry].slice(-HISTORY_ENTRIES_MAX);
  canister.historyTotal++;
  canister.meta.historyBytes = canister.history.reduce((sum, one) => sum + entryBytes(one), 0);
}

function entryBytes({ details }: HistoryChange): number {
  switch (details.kind) {
    case "creation":
    case "controllers_change":
      return ENTRY_BYTES + PRINCIPAL_BYTES * (1 + details.controllers.length);
    case "load_snapshot":
      return ENTRY_BYTES + 2 * PRINCIPAL_BYTES + details.snapshotId.length;
    default:
      return ENTRY_BYTES + PRINCIPAL_BYTES + HASH_BYTES;
  }
}

/** Hash of environment variables as the history shows it: of the sorted pairs of hashes. */
export function environmentVariablesHash(variables: CanisterSettings["environmentVariables"]): Uint8Array {
  const pairs = variables.map(({ name, value }) => concatBytes(sha256(utf8(name)), sha256(utf8(value))));
  return sha256(...pairs.sort(compareBytes));
}
