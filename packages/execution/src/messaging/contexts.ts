/**
 * Call contexts (interface spec, "Call contexts", "Call context starvation"). Invariants: exactly one response per context that
 * came from a call; a context lives while it has callbacks outstanding, and no longer; the cycles still available in it go back
 * with the response.
 */
import { assert, assertNever, MANAGEMENT_CANISTER, type Principal, type TimeNs } from "@orrery/base";
import type { CallContext, CallOrigin, CanisterState, ResponsePayload } from "@orrery/state";
import type { UserError } from "../error-codes.ts";
import { countAnswer } from "./message-memory.ts";
import type { Outbox } from "./outbox.ts";
import {
  didNotReply,
  NO_RESPONSE,
  rejectFromError,
  statusFromCanisterReject,
  statusFromError,
} from "./reject.ts";

export function openContext(
  canister: CanisterState,
  options: { readonly origin: CallOrigin; readonly cycles: bigint; readonly time: TimeNs },
): CallContext {
  const context: CallContext = {
    id: canister.nextContextId++,
    origin: options.origin,
    needsToRespond: options.origin.kind !== "task",
    deleted: false,
    availableCycles: options.cycles,
    instructionsExecuted: 0n,
    outstanding: 0,
    createdAt: options.time,
  };
  canister.callContexts.set(context.id, context);
  return context;
}

/** Removes a context that nothing refers to any more. It must have been answered. */
export function closeIfDone(canister: CanisterState, context: CallContext): void {
  if (context.outstanding > 0) return;
  assert(!context.needsToRespond, `call context ${context.id} would end without a response`);
  assert(context.availableCycles === 0n, `call context ${context.id} would end with cycles in it`);
  canister.callContexts.delete(context.id);
}

/** `msg_caller` of every message that runs in the context. */
export function callerOf(origin: CallOrigin): Principal {
  switch (origin.kind) {
    case "ingress":
      return origin.sender;
    case "canister":
      return origin.from;
    case "task":
      return MANAGEMENT_CANISTER;
    default:
      return assertNever(origin, "call origin");
  }
}

export function deadlineOf(origin: CallOrigin): TimeNs {
  return origin.kind === "canister" ? origin.deadline : 0n;
}

export type Answer =
  | { readonly kind: "reply"; readonly data: Uint8Array }
  | { readonly kind: "reject"; readonly message: string }
  | { readonly kind: "error"; readonly error: UserError }
  /** The canister will not answer any more. */
  | { readonly kind: "none" };

function payloadOf(answer: Answer): ResponsePayload {
  switch (answer.kind) {
    case "reply":
      return answer;
    case "reject":
      return { kind: "reject", code: 4, message: answer.message };
    case "error":
      return rejectFromError(answer.error);
    case "none":
      return NO_RESPONSE;
    default:
      return assertNever(answer, "answer");
  }
}

/** Answers a call that has no context (any more): to the ingress history or to the calling canister. */
export function answerOrigin(
  outbox: Outbox,
  origin: CallOrigin,
  answer: Answer,
  options: { readonly from: CanisterState["meta"]["id"]; readonly refund: bigint },
): void {
  if (origin.kind === "task") return;
  if (origin.kind === "ingress") {
    const { requestId } = origin;
    if (answer.kind === "reply") {
      outbox.statuses.push({ requestId, status: { kind: "replied", reply: answer.data } });
    } else if (answer.kind === "reject") {
      outbox.statuses.push({ requestId, status: statusFromCanisterReject(answer.message) });
    } else {
      const error = answer.kind === "none" ? didNotReply(options.from) : answer.error;
      outbox.statuses.push({ requestId, status: statusFromError(error) });
    }
    return;
  }
  outbox.messages.push({
    kind: "response",
    to: origin.from,
    input: {
      kind: "response",
      from: options.from,
      callbackId: origin.callbackId,
      payload: payloadOf(answer),
      refund: options.refund,
      ...(origin.deadline === 0n ? {} : { deadline: origin.deadline }),
    },
  });
}

/** Gives the context's one response and sends the cycles left in it back. */
export function respond(outbox: Outbox, canister: CanisterState, context: CallContext, answer: Answer): void {
  assert(context.needsToRespond, `call context ${context.id} was answered before`);
  context.needsToRespond = false;
  const refund = context.availableCycles;
  context.availableCycles = 0n;
  countAnswer(canister.meta, context.origin);
  answerOrigin(outbox, context.origin, answer, { from: canister.meta.id, refund });
}
