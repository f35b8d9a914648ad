/**
 * The management canister's queries (interface spec, "The IC management canister": `canister_status`, `canister_metrics`,
 * `fetch_canister_logs`, `list_canisters`), answered from a certified view for users and for composite queries alike.
 */
import { err, ok, type Principal, principalToText, type Result } from "@orrery/base";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import {
  authorize,
  effectiveCanisterId,
  invalidController,
  isController,
} from "../management/effective-id.ts";
import { managementMethod, unknownMethod } from "../management/methods.ts";
import { encodeCanisterMetrics, encodeCanisterStatus, fetchCanisterLogs } from "../management/status.ts";
import { notFound } from "../messaging/reject.ts";
import type { Mirror, MirroredCanister } from "./mirror.ts";

export interface ManagementQueryCall {
  readonly sender: Principal;
  readonly methodName: string;
  readonly arg: Uint8Array;
}

type Answer = Result<Uint8Array, UserError>;

function answerFor(mirror: Mirror, call: ManagementQueryCall, canister: MirroredCanister): Answer {
  const { meta } = canister;
  switch (call.methodName) {
    case "fetch_canister_logs":
      return fetchCanisterLogs(call, canister);
    case "canister_metrics":
      if (!isController(meta, call.sender)) return err(invalidController(meta, call.sender));
      return ok(encodeCanisterMetrics(canister.consumed));
    default: {
      const refused = authorize(meta, call.sender, call.methodName);
      return refused === null
        ? ok(encodeCanisterStatus(mirror.subnet, meta, canister.queryStats))
        : err(refused);
    }
  }
}

/** The reply's Candid, or why there is none. Subnets of this network have no admins, so nobody may list canisters. */
export function answerManagementQuery(mirror: Mirror, call: ManagementQueryCall): Answer {
  const method = managementMethod(call.methodName);
  if (method === null) return err(unknownMethod(call.methodName));
  if (!method.query) {
    const text = `Query method ${call.methodName} not found.`;
    return err(userError(ErrorCode.CanisterMethodNotFound, text));
  }
  if (call.methodName === "list_canisters") {
    const subnet = principalToText(mirror.subnet.subnetId);
    const text = `Only the admins of subnet ${subnet} can list its canisters.\nSender's ID: ${principalToText(call.sender)}`;
    return err(userError(ErrorCode.InvalidSubnetAdmin, text));
  }
  const effective = effectiveCanisterId(call.methodName, call.arg);
  if (!effective.ok) return effective;
  const canister = effective.value === null ? null : mirror.canister(effective.value);
  if (canister === null) return err(notFound((effective.value ?? new Uint8Array(0)) as Principal));
  return answerFor(mirror, call, canister);
}
