/**
 * Messages that are given up (the replica's message pools): at the beginning of a round those of best-effort calls whose deadline
 * has passed, and requests that have waited too long for room in a stream. Who made a call hears of it from the request that was
 * given up; otherwise at the call's deadline.
 */
import { type PrincipalKey, principalKey, type TimeNs } from "@orrery/base";
import { type CanisterState, type OutboundMessage, touch } from "@orrery/state";
import type { Round } from "../scheduler/round.ts";
import { refundLater } from "../streams/outputs.ts";
import { hasPassed, passesAt, secondOf } from "./deadlines.ts";
import { enqueueResponse } from "./delivery.ts";
import { countOutput } from "./message-memory.ts";
import { routingReject } from "./reject.ts";

function deadlineOfOutput(message: OutboundMessage): TimeNs {
  return (message.kind === "request" ? message.expires : undefined) ?? message.input.deadline ?? 0n;
}

/** The next time at which a waiting request expires. */
export function nextOutputExpiry({ state, index }: Round): TimeNs | null {
  const deadline = index.outputExpiry.next(state.canisters);
  return deadline === null ? null : passesAt(deadline);
}

/** Gives up what has waited too long to be sent. Nothing can have become due within a second. */
export function expireOutputs(round: Round): void {
  const { state, index, previousTime } = round;
  if (secondOf(previousTime) === secondOf(state.time)) return;
  for (const key of [...index.outputs].sort()) {
    const canister = state.canisters.get(key);
    if (canister === undefined) continue;
    let found = false;
    for (const receiver of [...canister.queues.outputs.keys()].sort()) {
      const queue = canister.queues.outputs.get(receiver) as OutboundMessage[];
      for (let at = 0; at < queue.length; ) {
        if (!hasPassed(deadlineOfOutput(queue[at] as OutboundMessage), state.time)) at++;
        else {
          found = true;
          giveUpOutput(round, canister, { receiver, at });
        }
      }
    }
    if (!found) continue;
    touch(state, canister);
    index.refresh(key, canister);
  }
}

/** Takes a message out of its queue: a request is answered with its cycles, a response's cycles travel back alone. */
export function giveUpOutput(
  round: Round,
  canister: CanisterState,
  place: { readonly receiver: PrincipalKey; readonly at: number },
): void {
  const { outputs } = canister.queues;
  const queue = outputs.get(place.receiver) as OutboundMessage[];
  const [message] = queue.splice(place.at, 1) as [OutboundMessage];
  if (queue.length === 0) outputs.delete(place.receiver);
  round.index.outputExpiry.note(principalKey(canister.meta.id), place.receiver);
  countOutput(canister.meta, message, -1);
  if (message.kind === "response") {
    refundLater(round, message.to, message.input.refund);
    return;
  }
  const { from, callbackId, cycles } = message.input;
  enqueueResponse(round, from, {
    kind: "response",
    from: message.callee,
    callbackId,
    payload: routingReject(2, "Request timed out."),
    refund: cycles,
  });
}
