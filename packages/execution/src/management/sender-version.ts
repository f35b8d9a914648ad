/**
 * `sender_canister_version` (interface spec, "Sender canister version"): a canister that states its own version in a management
 * call must state it correctly. The specification lets the calling message trap; the replica rejects the call, as is done here.
 */
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { decodeRecord, optional, readNat64 } from "./candid-decode.ts";

const METHODS: ReadonlySet<string> = new Set([
  "create_canister",
  "update_settings",
  "install_code",
  "install_chunked_code",
  "uninstall_code",
  "provisional_create_canister_with_cycles",
  "take_canister_snapshot",
  "load_canister_snapshot",
]);

/** What is wrong with the version in a management call's payload; null when it is absent, right, or cannot be read. */
export function senderVersionError(
  methodName: string,
  payload: Uint8Array,
  version: bigint,
): UserError | null {
  if (!METHODS.has(methodName)) return null;
  const stated = decodeRecord(payload, (record) => optional(record, "sender_canister_version", readNat64));
  if (!stated.ok || stated.value === null || stated.value === version) return null;
  return userError(
    ErrorCode.CanisterContractViolation,
    `Management canister call payload includes sender canister version ${stated.value} that does not match the ` +
      `actual sender canister version ${version}.`,
  );
}
