/**
 * Everything that the gateway answers in place of a canister: the HTTP status, the cause in the words of public gateways (their
 * `x-ic-error-cause` header), and texts for the person who reads the page.
 */
import { type CanisterId, principalToText } from "@orrery/base";
import type { QueryOutcome } from "../replica-view.ts";

export interface Failure {
  readonly status: number;
  readonly cause: string;
  readonly title: string;
  readonly text: string;
  /** What exactly is wrong, from the canister or the replica. */
  readonly details: string | null;
}

export type Rejection = Extract<QueryOutcome, { status: "rejected" }>;

/** The replica's code of a method that a module lacks. */
const METHOD_MISSING = "IC0536";
const REJECT = { transient: 2, destination: 3, canister: 4, error: 5 } as const;

function failure(
  status: number,
  cause: string,
  title: string,
  text: string,
  details: string | null,
): Failure {
  return { status, cause, title, text, details };
}

export function canisterNotFound(id: CanisterId, details: string | null): Failure {
  const text = `The canister ${principalToText(id)} does not exist on this network.`;
  return failure(404, "canister_not_found", "Canister not found", text, details);
}

/** A canister, or the replica for it, refused the call. */
export function rejected(id: CanisterId, rejection: Rejection): Failure {
  const { rejectCode, rejectMessage, errorCode } = rejection;
  // Most messages of the replica begin with their code.
  const coded = errorCode === null || rejectMessage.startsWith(errorCode);
  const details = coded ? rejectMessage : `${errorCode}: ${rejectMessage}`;
  if (errorCode === METHOD_MISSING && rejectMessage.includes("'http_request'")) {
    const text = `The canister ${principalToText(id)} has no web pages: its module has no query method http_request.`;
    return failure(503, "canister_error", "No web pages", text, details);
  }
  switch (rejectCode) {
    case REJECT.destination:
      return canisterNotFound(id, details);
    case REJECT.canister:
      return failure(
        503,
        "canister_reject",
        "Request rejected",
        "The canister rejected the request.",
        details,
      );
    case REJECT.error:
      return failure(
        503,
        "canister_error",
        "Canister error",
        "The canister failed while it handled the request. The reason lies in its code, its settings or its cycles.",
        details,
      );
    default: {
      const frozen = rejectCode === REJECT.transient && rejectMessage.includes("frozen");
      return frozen
        ? failure(
            503,
            "canister_frozen",
            "Canister frozen",
            "The canister needs more cycles to answer.",
            details,
          )
        : failure(
            503,
            "backend_other",
            "Request not processed",
            "The network did not process the request.",
            details,
          );
    }
  }
}

export function unverified(reason: string, remedy: string): Failure {
  const text = `The canister's response failed verification, so it is not shown: it could come from anybody. ${remedy}`;
  return failure(503, "backend_response_verification", "Response verification failed", text, reason);
}

export function badResponse(details: string): Failure {
  const text = "The canister's answer is not an HTTP response that can be passed on.";
  return failure(503, "backend_http_gateway", "Invalid response", text, details);
}

export function tooLarge(details: string): Failure {
  const text = "What the request needs is over a limit of this gateway.";
  return failure(503, "backend_body", "Response too large", text, details);
}

export function unavailable(details: string): Failure {
  const text = "The network cannot answer now. Try again in a moment.";
  return failure(503, "subnet_updating", "Network unavailable", text, details);
}

export function timedOut(details: string): Failure {
  const text = "The update call that this request became has no answer yet. It may still be executed.";
  return failure(504, "backend_timeout", "No answer in time", text, details);
}

export function malformed(details: string): Failure {
  return failure(
    400,
    "client_malformed_request",
    "Malformed request",
    "The request cannot be passed on.",
    details,
  );
}

export function payloadTooLarge(details: string): Failure {
  const text = "The request is larger than a canister can be sent.";
  return failure(413, "client_body_too_large", "Payload too large", text, details);
}

export function incorrectId(text: string): Failure {
  return failure(
    400,
    "canister_id_incorrect",
    "Incorrect canister id",
    "The canister id in the URL's query is not one.",
    `canisterId=${text.slice(0, 128)}`,
  );
}

export function unresolved(): Failure {
  return failure(
    400,
    "canister_id_not_resolved",
    "No canister named",
    "The request does not say which canister it is for: put its id before the host name or into the query, as ?canisterId=….",
    null,
  );
}

export function overloaded(): Failure {
  const text = "The gateway works on as many requests as it may. Try again in a moment.";
  return failure(429, "load_shed", "Too many requests", text, null);
}

/** Thrown inside the gateway where a request cannot go on; never leaves it. */
export class Refusal extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.title);
    this.failure = failure;
  }
}
