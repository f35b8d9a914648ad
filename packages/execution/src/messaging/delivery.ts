/**
 * Between canisters of the subnet (interface spec, "Request routing"): outboxes into input queues, rejects for what cannot be
 * delivered, statuses into the ingress history. Runs between turns, on the thread that owns the state. A message is delivered or
 * answered; cycles of a response that nobody can receive any more are booked as consumed.
 */
import { type CanisterId, compareBytes, principalKey, principalToText } from "@orrery/base";
import {
  type CanisterState,
  type RequestInput,
  type ResponseInput,
  type ResponsePayload,
  touch,
} from "@orrery/state";
import { recordConsumed } from "../cycles.ts";
import { deadlineKey } from "../scheduler/execution-index.ts";
import type { Round } from "../scheduler/round.ts";
import { setStatus } from "./ingress-history.ts";
import type { Outbox } from "./outbox.ts";
import { routingReject } from "./reject.ts";

/** Whether a callee is the management canister: its own id, or this subnet's. */
export function isManagementCallee(round: Round, callee: CanisterId): boolean {
  return callee.length === 0 || compareBytes(callee, round.state.subnet.subnetId) === 0;
}

/** Books what a turn did to the subnet and brings the index in step with its canister. Messages are delivered separately. */
export function settleOutbox(round: Round, canister: CanisterState, outbox: Outbox): void {
  const { state, index } = round;
  const key = principalKey(canister.meta.id);
  state.consumedCyclesTotal += outbox.consumedCyclesTotal;
  state.updateTransactionsTotal += BigInt(outbox.executions);
  round.instructions += outbox.instructions;
  if (outbox.logsChanged) index.logsChanged.add(key);
  for (const { callbackId, deadline } of outbox.deadlines) {
    index.callDeadlines.push(deadline, deadlineKey(key, callbackId));
  }
  for (const { requestId, status } of outbox.statuses) {
    if (setStatus(state, index, requestId, status)) round.answered.push(requestId);
  }
  touch(state, canister);
  index.refresh(key, canister);
}

export function deliverMessages(round: Round, outbox: Outbox): void {
  for (const message of outbox.messages) {
    if (message.kind === "request") deliverRequest(round, message.callee, message.input);
    else deliverResponse(round, message.to, message.input);
  }
}

function deliverRequest(round: Round, callee: CanisterId, input: RequestInput): void {
  const { state, index } = round;
  if (isManagementCallee(round, callee)) {
    state.managementQueue.push(input);
    return;
  }
  const key = principalKey(callee);
  const canister = state.canisters.get(key);
  const refusal = undeliverable(canister, callee);
  if (refusal !== null) {
    answerRequest(round, input, { from: callee, payload: refusal, refund: input.cycles });
    return;
  }
  const { requests } = (canister as CanisterState).queues;
  const sender = principalKey(input.from);
  const queue = requests.get(sender);
  if (queue === undefined) requests.set(sender, [input]);
  else queue.push(input);
  touch(state, canister as CanisterState);
  index.runnable.add(key);
}

function undeliverable(canister: CanisterState | undefined, callee: CanisterId): ResponsePayload | null {
  const id = principalToText(callee);
  if (canister === undefined) return routingReject(3, `Canister ${id} not found`);
  const { status } = canister.meta;
  if (status.kind === "stopped") return routingReject(5, `Canister ${id} is stopped`);
  return status.kind === "stopping" ? routingReject(5, `Canister ${id} is stopping`) : null;
}

/** Answers a request that no canister will: from routing or from the management canister. */
export function answerRequest(
  round: Round,
  request: Pick<RequestInput, "from" | "callbackId">,
  answer: { readonly from: CanisterId; readonly payload: ResponsePayload; readonly refund: bigint },
): void {
  deliverResponse(round, request.from, { kind: "response", callbackId: request.callbackId, ...answer });
}

export function deliverResponse(round: Round, to: CanisterId, input: ResponseInput): void {
  const { state, index } = round;
  const key = principalKey(to);
  const canister = state.canisters.get(key);
  if (canister === undefined || !canister.callbacks.has(input.callbackId)) {
    recordConsumed(state, canister ?? null, input.refund, "burned_cycles");
    if (canister !== undefined) touch(state, canister);
    return;
  }
  canister.queues.responses.push(input);
  touch(state, canister);
  index.runnable.add(key);
}

/** Tells callers of best-effort calls whose deadline has passed; what comes later is dropped. */
export function expireCalls(round: Round): void {
  const { state, index } = round;
  for (;;) {
    const due = index.callDeadlines.popUntil(state.time);
    if (due === null) return;
    const [key = "", id = ""] = due.key.split(":");
    const canister = state.canisters.get(key);
    const callback = canister?.callbacks.get(Number(id));
    if (canister === undefined || callback === undefined || callback.deadline !== due.time) continue;
    if (canister.queues.responses.some((response) => response.callbackId === callback.id)) continue;
    deliverResponse(round, canister.meta.id, {
      kind: "response",
      from: callback.callee,
      callbackId: callback.id,
      payload: routingReject(6, "Call deadline has expired."),
      refund: 0n,
    });
  }
}
