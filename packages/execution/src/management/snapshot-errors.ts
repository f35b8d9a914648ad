/** Why snapshot calls are refused, in the replica's words and with its help. */
import { type CanisterId, principalToText } from "@orrery/base";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { help, userHelp } from "./help.ts";

const LOCAL_ID_BYTES = 8;
const SEE_LIST = "Use the `list_canister_snapshot` API to see which snapshots are present.";

/** Which canister's snapshot an id says it is, and its local number. */
export function snapshotOwner(id: Uint8Array): CanisterId {
  return id.subarray(LOCAL_ID_BYTES) as CanisterId;
}

/** "<canister>-<number>", as errors name a snapshot. */
function snapshotText(id: Uint8Array): string {
  let local = 0n;
  for (const b of id.subarray(0, LOCAL_ID_BYTES)) local = (local << 8n) | BigInt(b);
  return `${principalToText(snapshotOwner(id))}-${local}`;
}

export function snapshotNotFound(canister: CanisterId, id: Uint8Array): UserError {
  return userError(
    ErrorCode.CanisterSnapshotNotFound,
    `Could not find the snapshot ID ${snapshotText(id)} for canister ${principalToText(canister)}.` +
      help(SEE_LIST, "canister-snapshot-not-found"),
  );
}

export function notItsSnapshot(canister: CanisterId, id: Uint8Array): UserError {
  return userError(
    ErrorCode.CanisterRejectedMessage,
    `The snapshot ${snapshotText(id)} does not belong to canister ${principalToText(canister)}.` +
      help(SEE_LIST, "canister-snapshot-invalid-ownership"),
  );
}

export function notSnapshotController(canister: CanisterId, id: Uint8Array, sender: Uint8Array): UserError {
  return userError(
    ErrorCode.CanisterRejectedMessage,
    `Only a controller of the canister that snapshot ${snapshotText(id)} belongs to can load it on canister ` +
      `${principalToText(canister)}. Sender: ${principalToText(sender as CanisterId)}.` +
      userHelp(
        "Make sure you are a controller of the canister that the snapshot belongs to.",
        "canister-snapshot-not-controller",
      ),
  );
}

export function tooManySnapshots(canister: CanisterId, limit: number): UserError {
  return userError(
    ErrorCode.CanisterRejectedMessage,
    `Canister ${principalToText(canister)} has reached the maximum number of snapshots allowed: ${limit}.` +
      userHelp(
        "Consider deleting an unnecessary snapshot of the specified canister before creating a new one.",
        "canister-snapshot-limit-exceeded",
      ),
  );
}

export function emptyCanister(canister: CanisterId): UserError {
  return userError(
    ErrorCode.CanisterRejectedMessage,
    `Failed to create snapshot for empty canister ${principalToText(canister)}:`,
  );
}

export function snapshotOutOfCycles(error: UserError): UserError {
  return userError(
    ErrorCode.CanisterOutOfCycles,
    `Canister snapshotting failed with: \`${error.message}\`` +
      userHelp("Try sending more cycles with the request.", "canister-snapshot-not-enough-cycles"),
  );
}

export function snapshotImmutable(): UserError {
  return userError(
    ErrorCode.CanisterSnapshotImmutable,
    "Only canister snapshots created by metadata upload can be mutated.",
  );
}

/** IC0408: contradictions inside what was uploaded. */
export function inconsistent(message: string): UserError {
  return userError(ErrorCode.InvalidManagementPayload, message);
}

export function invalidMetadata(reason: string): UserError {
  return inconsistent(`Snapshot Metadata contains invalid data: ${reason}`);
}

export function invalidSlice(offset: bigint, size: bigint): UserError {
  return inconsistent(
    `Invalid subslice into wasm module / main memory / stable memory: offset: ${offset}, size: ${size}`,
  );
}

export function sliceTooLarge(requested: bigint, allowed: number): UserError {
  return inconsistent(`Requested slice too large: ${requested} > ${allowed}`);
}
