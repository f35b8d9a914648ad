/**
 * Query calls (interface spec, "Request: Query call"): validated, executed on one certified state, signed by this node. A
 * rejected query is a successful HTTP response.
 */
import { concatBytes, principalToText, type RequestId } from "@orrery/base";
import { domainSep, queryResponseHash } from "@orrery/crypto";
import {
  type ApiContext,
  errorCodeText,
  INVALID_SUBNET_ADMIN,
  openEnvelope,
  refuseElsewhere,
  refuseMisdirected,
  refuseUnhealthy,
} from "./context.ts";
import {
  type Awaitable,
  cborBytesResponse,
  chain,
  type HttpRequest,
  type HttpResponse,
  textResponse,
} from "./messages.ts";
import { encodeQueryResponse } from "./query-response.ts";
import type { AnsweredQuery, Destination, QueryOutcome, ReplicaView, UserQuery } from "./replica-view.ts";
import type { ApiVersion } from "./router.ts";

const RESPONSE_DOMAIN: Uint8Array = domainSep("ic-response");

function signed(
  replica: ReplicaView,
  requestId: RequestId,
  { outcome, timestamp }: AnsweredQuery,
): Awaitable<HttpResponse> {
  const response = outcome.status === "replied" ? { status: outcome.status, arg: outcome.reply } : outcome;
  const message = concatBytes(RESPONSE_DOMAIN, queryResponseHash({ response, requestId, timestamp }));
  return chain(replica.signQueryResponse(message), (signature) =>
    cborBytesResponse(encodeQueryResponse(outcome, { identity: replica.nodeId, timestamp, signature })),
  );
}

/** A subnet endpoint serves `list_canisters` to the subnet's admins and nothing else. */
function subnetQueryReject({ replica }: ApiContext, query: UserQuery): QueryOutcome | string | null {
  if (query.destination.kind !== "subnet") return null;
  if (query.canisterId.length !== 0 || query.methodName !== "list_canisters") {
    return "Subnet-scoped queries serve the method list_canisters of the management canister only; use the canister endpoint.";
  }
  if (replica.isSubnetAdmin(query.sender)) return null;
  const subnet = principalToText(query.destination.id);
  return {
    status: "rejected",
    rejectCode: Math.floor(INVALID_SUBNET_ADMIN / 100),
    rejectMessage: `Only the admins of subnet ${subnet} can list its canisters.\nSender's ID: ${principalToText(query.sender)}`,
    errorCode: errorCodeText(INVALID_SUBNET_ADMIN),
  };
}

/** POST …/query, version 2 with flat and 3 with sharded ranges. */
export function handleQuery(
  context: ApiContext,
  request: HttpRequest,
  destination: Destination,
  version: ApiVersion,
): Awaitable<HttpResponse> {
  const { replica, validate } = context;
  const opened = openEnvelope(request, "query");
  if (!opened.ok) return opened.error;
  const unhealthy = refuseUnhealthy(replica);
  if (unhealthy !== null) return unhealthy;
  const { envelope, content } = opened.value;
  const misdirected =
    destination.kind === "canister"
      ? refuseMisdirected(content, destination.id, context.effectiveCanisterId)
      : null;
  const refused = misdirected ?? refuseElsewhere(replica, destination);
  if (refused !== null) return refused;
  return chain(validate(envelope, replica.now()), (valid) => {
    if (!valid.ok) return textResponse(400, valid.error.text);
    const { sender, senderInfo, canisterId, methodName, arg } = content;
    const ranges = version === 2 ? "flat" : "sharded";
    const query: UserQuery = { sender, senderInfo, canisterId, methodName, arg, destination, ranges };
    const { requestId } = valid.value;
    const reject = subnetQueryReject(context, query);
    if (typeof reject === "string") return textResponse(400, reject);
    if (reject !== null) return signed(replica, requestId, { outcome: reject, timestamp: replica.now() });
    return chain(replica.query(query), (answered) => {
      if (answered === null) return textResponse(503, "Certified state unavailable. Please try again.");
      return signed(replica, requestId, answered);
    });
  });
}
