/**
 * The management canister's queries (interface spec, "The IC management canister": `canister_status`, `canister_metrics`,
 * `fetch_canister_logs`, `list_canisters`), answered from a certified view for users and for composite queries alike.
 */
import { err, ok, type Principal, type Result } from "@orrery/base";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { advised } from "../management/advice.ts";
import { authorize, effectiveCanisterId } from "../management/effective-id.ts";
import { fetchCanisterLogs } from "../management/fetch-logs.ts";
import { listCanisters } from "../management/list-canisters.ts";
import { managementMethod, unknownMethod } from "../management/methods.ts";
import { encodeCanisterMetrics, encodeCanisterStatus } from "../management/status.ts";
import { notFound } from "../messaging/reject.ts";
import type { Mirror, MirroredCanister } from "./mirror.ts";

export interface ManagementQueryCall {
  readonly sender: Principal;
  readonly methodName: string;
  readonly arg: Uint8Array;
}

type Answer = Result<Uint8Array, UserError>;

/** Queries of the management canister count for nothing. */
function replyOf(read: Result<{ readonly reply: Uint8Array }, UserError>): Answer {
  return read.ok ? ok(read.value.reply) : read;
}

function answerFor(mirror: Mirror, call: ManagementQueryCall, canister: MirroredCanister): Answer {
  const { meta } = canister;
  switch (call.methodName) {
    case "fetch_canister_logs":
      return replyOf(fetchCanisterLogs(call, canister));
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
    const ids = [...mirror.canisters.values()].map(({ meta }) => meta.id);
    return replyOf(listCanisters(mirror.subnet, call, ids));
  }
  const effective = effectiveCanisterId(call.methodName, call.arg);
  if (!effective.ok) return effective;
  const canister = effective.value === null ? null : mirror.canister(effective.value);
  if (canister === null) return err(notFound((effective.value ?? new Uint8Array(0)) as Principal));
  return answerFor(mirror, call, canister);
}
