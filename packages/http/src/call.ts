/**
 * Update calls (interface spec, "Request: Call", "Request: Synchronous call"). The order of a synchronous call is what makes it
 * safe to repeat: an id that the certified state knows is answered at once whatever its status; otherwise the handler watches
 * first, submits then, and answers with the certificate of the terminal status or, too late, with 202.
 */
import { err, ok, principalToText, type Result, toHex } from "@orrery/base";
import { requestId } from "@orrery/crypto";
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
  cborResponse,
  chain,
  type HttpRequest,
  type HttpResponse,
  textResponse,
} from "./messages.ts";
import type { Destination, Ingress, RangesForm, SubmitOutcome, UserError } from "./replica-view.ts";
import type { ApiVersion } from "./router.ts";

const OVERLOADED = "Service is overloaded, try again later.";
const DUPLICATE = "Duplicate request. Message is already being tracked and executed.";
const TIMED_OUT = "Message did not complete execution and certification within the replica defined timeout.";
const STATUS_MISSING = "Certified state does not contain request status. Please try /read_state.";

function userErrorResponse({ code, message }: UserError, synchronous: boolean): HttpResponse {
  const fields = {
    reject_code: Math.floor(code / 100),
    reject_message: message,
    error_code: errorCodeText(code),
  };
  return cborResponse(synchronous ? { status: "non_replicated_rejection", ...fields } : fields);
}

const CREATIONS: ReadonlySet<string> = new Set([
  "create_canister",
  "provisional_create_canister_with_cycles",
]);

/** A subnet endpoint serves canister creation by the subnet's admins and nothing else. */
function refuseSubnetCall(context: ApiContext, { call, destination }: Ingress): UserError | string | null {
  if (destination.kind !== "subnet") return null;
  if (call.canisterId.length !== 0 || !CREATIONS.has(call.methodName)) {
    return "Subnet-scoped calls serve the creation of canisters by the management canister only; use the canister endpoint.";
  }
  if (context.replica.isSubnetAdmin(call.sender)) return null;
  const message = `Only the admins of subnet ${principalToText(destination.id)} can create canisters through its endpoint.`;
  return { code: INVALID_SUBNET_ADMIN, message: `${message}\nSender's ID: ${principalToText(call.sender)}` };
}

/** Everything before the message counts as submitted, in the replica's order. */
function admit(
  context: ApiContext,
  request: HttpRequest,
  destination: Destination,
): Awaitable<Result<Ingress, HttpResponse | UserError>> {
  const { replica, validate } = context;
  const opened = openEnvelope(request, "call");
  if (!opened.ok) return opened;
  const unhealthy = refuseUnhealthy(replica);
  if (unhealthy !== null) return err(unhealthy);
  if (replica.ingressFull()) return err(textResponse(503, OVERLOADED));
  const { envelope, content: call } = opened.value;
  const misdirected =
    destination.kind === "canister"
      ? refuseMisdirected(call, destination.id, context.effectiveCanisterId)
      : null;
  const refused = misdirected ?? refuseElsewhere(replica, destination);
  if (refused !== null) return err(refused);
  const size = request.body.length;
  if (size > replica.ingressBytesMax) {
    const id = toHex(requestId(call.fields));
    const sizes = `Message byte size ${size} is larger than the max allowed ${replica.ingressBytesMax}.`;
    return err(textResponse(413, `Request ${id} is too large. ${sizes}`));
  }
  return chain(validate(envelope, replica.now()), (valid) => {
    if (!valid.ok) return err(textResponse(400, valid.error.text));
    const ingress: Ingress = {
      bytes: request.body,
      envelope,
      call,
      requestId: valid.value.requestId,
      destination,
    };
    const subnet = refuseSubnetCall(context, ingress);
    if (subnet !== null) return err(typeof subnet === "string" ? textResponse(400, subnet) : subnet);
    return chain(replica.inspect(ingress), (error) => (error === null ? ok(ingress) : err(error)));
  });
}

/** Response to a failed submission; null when the message is on its way. */
function refusedSubmission(outcome: SubmitOutcome): HttpResponse | null {
  if (outcome === "overloaded") return textResponse(503, OVERLOADED);
  if (outcome === "unavailable") return textResponse(500, "P2P is not running on this node.");
  return null;
}

function submitAsynchronously(context: ApiContext, ingress: Ingress): Awaitable<HttpResponse> {
  return chain(
    context.replica.submit(ingress),
    (outcome) => refusedSubmission(outcome) ?? textResponse(202, ""),
  );
}

function certificateResponse(certificate: Uint8Array): HttpResponse {
  return cborResponse({ status: "replied", certificate });
}

async function submitAndWait(
  context: ApiContext,
  ingress: Ingress,
  ranges: RangesForm,
): Promise<HttpResponse> {
  const { replica, waiting, limits } = context;
  const key = toHex(ingress.requestId);
  if (waiting.has(key)) {
    return refusedSubmission(await replica.submit(ingress)) ?? textResponse(202, DUPLICATE);
  }
  waiting.add(key);
  const watch = replica.watch(ingress.requestId, limits.callTimeoutMs);
  try {
    const refused = refusedSubmission(await replica.submit(ingress));
    if (refused !== null) return refused;
    if (!(await watch.answered)) return textResponse(202, TIMED_OUT);
  } finally {
    watch.cancel();
    waiting.delete(key);
  }
  const certificate = await replica.requestCertificate(ingress.requestId, ingress.destination, ranges);
  return certificate === null ? textResponse(202, STATUS_MISSING) : certificateResponse(certificate);
}

/** POST …/call, version 2 asynchronous, 3 and 4 synchronous with flat and sharded ranges in the delegation. */
export function handleCall(
  context: ApiContext,
  request: HttpRequest,
  destination: Destination,
  version: ApiVersion,
): Awaitable<HttpResponse> {
  const synchronous = version !== 2;
  const ranges: RangesForm = version === 3 ? "flat" : "sharded";
  return chain(admit(context, request, destination), (admitted) => {
    if (!admitted.ok)
      return "code" in admitted.error ? userErrorResponse(admitted.error, synchronous) : admitted.error;
    const ingress = admitted.value;
    if (!synchronous) return submitAsynchronously(context, ingress);
    return chain(context.replica.requestCertificate(ingress.requestId, destination, ranges), (known) =>
      known === null ? submitAndWait(context, ingress, ranges) : certificateResponse(known),
    );
  });
}
