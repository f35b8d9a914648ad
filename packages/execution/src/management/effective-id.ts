/**
 * Effective canister ids of management calls (interface spec, "Effective canister id") and what is accepted as ingress ("Request:
 * Call", replica-side checks), for the HTTP interface and for induction.
 */
import { err, ok, type Principal, principalKey, principalToText, type Result } from "@orrery/base";
import type { CanisterMeta, LogVisibility, SubnetInfo } from "@orrery/state";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { notFound } from "../messaging/reject.ts";
import { decodeRecord, readPrincipal, required } from "./candid-decode.ts";
import { ingressCallable, invalidPayload, managementMethod, notByIngress, unknownMethod } from "./methods.ts";

/** The canister that a management call is about; null when any effective canister id may be given (creation). */
export function effectiveCanisterId(
  methodName: string,
  arg: Uint8Array,
): Result<Principal | null, UserError> {
  const method = managementMethod(methodName);
  if (method === null) return err(unknownMethod(methodName));
  if (method.effective === "any") return ok(null);
  const name = method.effective;
  const decoded = decodeRecord(arg, (record) => required(record, name, readPrincipal));
  return decoded.ok ? ok(decoded.value) : err(invalidPayload(decoded.error));
}

export function isController(meta: CanisterMeta, principal: Principal): boolean {
  const key = principalKey(principal);
  return meta.settings.controllers.some((controller) => principalKey(controller) === key);
}

/** IC0512 in the replica's words. */
export function invalidController(meta: CanisterMeta, sender: Principal): UserError {
  const controllers = meta.settings.controllers.map(principalToText).join(" ");
  return userError(
    ErrorCode.CanisterInvalidController,
    `Only the controllers of the canister ${principalToText(meta.id)} can control it.\n` +
      `Canister's controllers: ${controllers}\nSender's ID: ${principalToText(sender)}`,
  );
}

/** Provisional calls exist on local networks only; elsewhere they look as if they did not exist. */
export function notAuthorized(): UserError {
  return userError(ErrorCode.CanisterMethodNotFound, "Sender not authorized to use method.");
}

/** The same before submission. */
function notAllowed({
  sender,
  methodName,
}: {
  readonly sender: Principal;
  readonly methodName: string;
}): UserError {
  return userError(
    ErrorCode.CanisterRejectedMessage,
    `Caller ${principalToText(sender)} is not allowed to call ic00 method ${methodName}`,
  );
}

/** The canister itself may read its status and use its chunk store beside its controllers. */
const OPEN_TO_ITSELF: ReadonlySet<string> = new Set([
  "canister_status",
  "upload_chunk",
  "clear_chunk_store",
  "stored_chunks",
]);

/** The public network's governance canister (rrkah-fqaaa-aaaaa-aaaaq-cai) may empty every canister. */
const GOVERNANCE = "00000000000000010101";

/** Subnet admins manage canisters that they do not control; their contents are not theirs to change. */
const OPEN_TO_ADMINS: ReadonlySet<string> = new Set([
  "start_canister",
  "stop_canister",
  "uninstall_code",
  "delete_canister",
  "canister_status",
  "canister_metrics",
]);

export function isSubnetAdmin({ admins }: SubnetInfo, principal: Principal): boolean {
  const key = principalKey(principal);
  return admins?.some((admin) => principalKey(admin) === key) === true;
}

/** Whose viewers a setting names beside the controllers. */
const SNAPSHOT_READS: ReadonlySet<string> = new Set([
  "list_canister_snapshots",
  "read_canister_snapshot_metadata",
  "read_canister_snapshot_data",
]);

function visibilityOf({ settings }: CanisterMeta, methodName: string): LogVisibility | null {
  if (methodName === "canister_status") return settings.statusVisibility;
  return SNAPSHOT_READS.has(methodName) ? settings.snapshotVisibility : null;
}

export function mayView(visibility: LogVisibility, sender: Principal): boolean {
  if (visibility.kind !== "allowed_viewers") return visibility.kind === "public";
  const key = principalKey(sender);
  return visibility.viewers.some((viewer) => principalKey(viewer) === key);
}

/** Whether `sender` may call `method` on the canister; null: yes. Viewers of status and snapshots are let through too. */
export function authorize(
  subnet: SubnetInfo,
  meta: CanisterMeta,
  call: { readonly sender: Principal; readonly methodName: string },
): UserError | null {
  const { sender, methodName } = call;
  if (isController(meta, sender)) return null;
  if (methodName === "uninstall_code" && principalKey(sender) === GOVERNANCE) return null;
  if (OPEN_TO_ADMINS.has(methodName) && isSubnetAdmin(subnet, sender)) return null;
  const key = principalKey(sender);
  if (OPEN_TO_ITSELF.has(methodName) && principalKey(meta.id) === key) return null;
  const visibility = visibilityOf(meta, methodName);
  if (visibility !== null) return mayView(visibility, sender) ? null : accessDenied(methodName, sender);
  if (OPEN_TO_ADMINS.has(methodName) && subnet.admins !== undefined)
    return neitherControllerNorAdmin(meta, subnet.admins, sender);
  return invalidController(meta, sender);
}

/** What a visibility setting does not show; IC0542 for the status. */
function accessDenied(methodName: string, sender: Principal): UserError {
  const caller = principalToText(sender);
  return methodName === "canister_status"
    ? userError(
        ErrorCode.CanisterStatusAccessDenied,
        `Caller ${caller} is not allowed to read the canister status`,
      )
    : userError(
        ErrorCode.CanisterRejectedMessage,
        `Caller ${caller} is not allowed to access canister snapshots by ${methodName}`,
      );
}

/** IC0541; where there are no admins, IC0512 says the rest. */
function neitherControllerNorAdmin(
  meta: CanisterMeta,
  admins: readonly Principal[],
  sender: Principal,
): UserError {
  return userError(
    ErrorCode.CanisterInvalidControllerOrSubnetAdmin,
    `Only the controllers of the canister ${principalToText(meta.id)} and subnet admins can control it.\n` +
      `Canister's controllers: ${meta.settings.controllers.map(principalToText).join(" ")}\n` +
      `Subnet admins: ${admins.map(principalToText).join(" ")}\nSender's ID: ${principalToText(sender)}`,
  );
}

/**
 * The checks before an ingress message to the management canister is accepted. Null: accepted; otherwise what the user is told
 * without the message being submitted.
 */
export function acceptManagementIngress(
  view: { readonly subnet: SubnetInfo; readonly canister: (id: Principal) => CanisterMeta | null },
  call: { readonly sender: Principal; readonly methodName: string; readonly arg: Uint8Array },
): UserError | null {
  const method = managementMethod(call.methodName);
  if (method === null) return unknownMethod(call.methodName);
  if (call.methodName === "create_canister" && isSubnetAdmin(view.subnet, call.sender)) return null;
  if (!ingressCallable(call.methodName)) return notByIngress(call.methodName);
  const provisional = call.methodName.startsWith("provisional_");
  if (provisional && !view.subnet.local) return notAllowed(call);
  const effective = effectiveCanisterId(call.methodName, call.arg);
  if (!effective.ok) return effective.error;
  if (effective.value === null) return null;
  const meta = view.canister(effective.value);
  if (meta === null) return notFound(effective.value);
  return provisional ? null : authorize(view.subnet, meta, call);
}
