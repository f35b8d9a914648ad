/**
 * Certified reads (interface spec, "Request: Read state"). The envelope is checked here; who may read which path depends on the
 * state and is the view's to say, which answers with a certificate or with the status and text of the refusal.
 */
import { assertNever } from "@orrery/base";
import { type ApiContext, openEnvelope, refuseElsewhere, refuseUnhealthy } from "./context.ts";
import {
  type Awaitable,
  cborResponse,
  chain,
  type HttpRequest,
  type HttpResponse,
  textResponse,
} from "./messages.ts";
import type { Destination, StateAnswer } from "./replica-view.ts";
import type { ApiVersion } from "./router.ts";

function respond(answer: StateAnswer): HttpResponse {
  switch (answer.kind) {
    case "certificate":
      return cborResponse({ certificate: answer.certificate });
    case "refused":
      return textResponse(answer.status, answer.text);
    case "unavailable":
      return textResponse(503, "Certified state is not available yet. Please try again...");
    default:
      return assertNever(answer, "state answer");
  }
}

/** POST …/read_state, version 2 with flat and 3 with sharded ranges. */
export function handleReadState(
  { replica, validate }: ApiContext,
  request: HttpRequest,
  destination: Destination,
  version: ApiVersion,
): Awaitable<HttpResponse> {
  const opened = openEnvelope(request, "read_state");
  if (!opened.ok) return opened.error;
  const refused = refuseUnhealthy(replica) ?? refuseElsewhere(replica, destination);
  if (refused !== null) return refused;
  const { envelope, content } = opened.value;
  return chain(validate(envelope, replica.now()), (valid) => {
    if (!valid.ok) return textResponse(400, valid.error.text);
    const { sender, targets } = valid.value;
    const ranges = version === 2 ? "flat" : "sharded";
    return chain(replica.readState({ destination, ranges, paths: content.paths, sender, targets }), respond);
  });
}
