/**
 * Stopping canisters (interface spec, "Stopping a canister"): stopped once no call context is open; requests that waited too long
 * are told so, and the canister goes on stopping.
 */
import { assertNever, MANAGEMENT_CANISTER, principalKey } from "@orrery/base";
import { type CanisterState, type StopRequest, touch } from "@orrery/state";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { answerRequest } from "../messaging/delivery.ts";
import { setStatus } from "../messaging/ingress-history.ts";
import { rejectFromError, statusFromError } from "../messaging/reject.ts";
import type { Round } from "./round.ts";

/** Candid encoding of `()`. */
export const EMPTY_REPLY: Uint8Array = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);

/** Answers a stop request: with `()` when `error` is null. */
export function answerStop(round: Round, request: StopRequest, error: UserError | null): void {
  switch (request.kind) {
    case "ingress": {
      const status =
        error === null ? ({ kind: "replied", reply: EMPTY_REPLY } as const) : statusFromError(error);
      if (setStatus(round.state, round.index, request.requestId, status))
        round.answered.push(request.requestId);
      return;
    }
    case "call":
      answerRequest(round, request, {
        from: MANAGEMENT_CANISTER,
        payload: error === null ? { kind: "reply", data: EMPTY_REPLY } : rejectFromError(error),
        refund: request.cycles,
      });
      return;
    default:
      assertNever(request, "stop request");
  }
}

/** Completes the stop of a canister that has no call context left. */
export function completeStop(round: Round, canister: CanisterState): void {
  const { meta } = canister;
  if (meta.status.kind !== "stopping" || canister.callContexts.size > 0) return;
  const { requests } = meta.status;
  meta.status = { kind: "stopped" };
  meta.version++;
  touch(round.state, canister);
  round.index.refresh(principalKey(meta.id), canister);
  for (const request of requests) answerStop(round, request, null);
}

export function completeStops(round: Round): void {
  for (const key of [...round.index.stopping].sort()) {
    completeStop(round, round.state.canisters.get(key) as CanisterState);
  }
}

export function expireStops(round: Round): void {
  const { state, index } = round;
  for (const key of [...index.stopping].sort()) {
    const canister = state.canisters.get(key) as CanisterState;
    const { status } = canister.meta;
    if (status.kind !== "stopping") continue;
    const expired = status.requests.filter((request) => request.deadline <= state.time);
    if (expired.length === 0) continue;
    canister.meta.status = {
      kind: "stopping",
      requests: status.requests.filter((request) => request.deadline > state.time),
    };
    touch(state, canister);
    const error = userError(ErrorCode.StopCanisterRequestTimeout, "Stop canister request timed out");
    for (const request of expired) answerStop(round, request, error);
  }
}
