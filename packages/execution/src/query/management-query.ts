/**
 * The management canister's queries (interface spec, "The IC management canister": `canister_status`, `canister_metrics`,
 * `fetch_canister_logs`, `list_canisters`), answered from a certified view for users and for composite queries alike.
 */
import {
  type CanisterId,
  canisterIndex,
  compareBytes,
  err,
  ok,
  type Principal,
  principalToText,
  type Result,
} from "@orrery/base";
import type { CanisterRange } from "@orrery/state";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { advised } from "../management/advice.ts";
import { decodeRecord } from "../management/candid-decode.ts";
import { authorize, effectiveCanisterId, isSubnetAdmin } from "../management/effective-id.ts";
import { invalidPayload, managementMethod, unknownMethod } from "../management/methods.ts";
import { encodeCanisterMetrics, encodeCanisterStatus, fetchCanisterLogs } from "../management/status.ts";
import { encodeCanisterRanges } from "../management/types.ts";
import { notFound } from "../messaging/reject.ts";
import type { Mirror, MirroredCanister } from "./mirror.ts";

export interface ManagementQueryCall {
  readonly sender: Principal;
  readonly methodName: string;
  readonly arg: Uint8Array;
}

/** Ids of all canisters, in runs without a gap. */
function canisterRanges(mirror: Mirror): CanisterRange[] {
  const ids = [...mirror.canisters.values()].map(({ meta }) => meta.id).sort(compareBytes);
  const ranges: { start: CanisterId; end: CanisterId }[] = [];
  for (const id of ids) {
    const last = ranges.at(-1);
    const index = canisterIndex(id);
    const follows = last !== undefined && index !== null && canisterIndex(last.end) === index - 1n;
    if (follows) last.end = id;
    else ranges.push({ start: id, end: id });
  }
  return ranges;
}

type Answer = Result<Uint8Array, UserError>;

function answerFor(mirror: Mirror, call: ManagementQueryCall, canister: MirroredCanister): Answer {
  const { meta } = canister;
  switch (call.methodName) {
    case "fetch_canister_logs":
      return fetchCanisterLogs(call, canister);
    default: {
      const refused = authorize(mirror.subnet, meta, call);
      if (refused !== null) return err(refused);
      return ok(
        call.methodName === "canister_metrics"
          ? encodeCanisterMetrics(canister.consumed)
          : encodeCanisterStatus(mirror.subnet, meta, canister.queryStats),
      );
    }
  }
}

/** The reply's Candid, or why there is none. */
export function answerManagementQuery(mirror: Mirror, call: ManagementQueryCall): Answer {
  const answer = answerTo(mirror, call);
  return answer.ok ? answer : err(advised(answer.error));
}

function answerTo(mirror: Mirror, call: ManagementQueryCall): Answer {
  const method = managementMethod(call.methodName);
  if (method === null) return err(unknownMethod(call.methodName));
  if (!method.query) {
    const text = `Query method ${call.methodName} not found.`;
    return err(userError(ErrorCode.CanisterMethodNotFound, text));
  }
  if (call.methodName === "list_canisters") {
    const payload = decodeRecord(call.arg, () => null);
    if (!payload.ok) return err(invalidPayload(payload.error));
    if (mirror.subnet.admins === undefined) {
      const text = "list_canisters is only available on subnets with subnet admins";
      return err(userError(ErrorCode.CanisterRejectedMessage, text));
    }
    if (isSubnetAdmin(mirror.subnet, call.sender)) return ok(encodeCanisterRanges(canisterRanges(mirror)));
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
