/**
 * From canisters to canisters (interface spec, "Request routing"): outboxes into input queues of this subnet, at once, and into
 * output queues towards others; rejects for what cannot be delivered, statuses into the ingress history. Runs between turns, on
 * the thread that owns the state. A message is delivered, queued or answered; cycles of a response that nobody can receive any
 * more are booked as consumed.
 */
import {
  assert,
  type CanisterId,
  compareBytes,
  equalBytes,
  type Principal,
  principalKey,
  principalToText,
} from "@orrery/base";
import {
  type CanisterState,
  type OutboundMessage,
  type RejectReason,
  type RequestInput,
  type ResponseInput,
  type ResponsePayload,
  type SubnetInfo,
  touch,
} from "@orrery/state";
import { recordConsumed } from "../cycles.ts";
import { QUEUE_CAPACITY, RESPONSE_RESERVATION_BYTES } from "../limits.ts";
import { deadlineKey } from "../scheduler/execution-index.ts";
import type { Round } from "../scheduler/round.ts";
import { routeManagementCall } from "../streams/management-routing.ts";
import { queueOutput, refundLater } from "../streams/outputs.ts";
import { routerOf } from "../streams/routing.ts";
import { hasPassed, passesAt, requestExpiry } from "./deadlines.ts";
import { setStatus } from "./ingress-history.ts";
import {
  countIncomingRequest,
  countIncomingResponse,
  countManagement,
  countTakenRequest,
  guaranteedRequestBytes,
  requestBytes,
} from "./message-memory.ts";
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
  for (const { to, cycles } of outbox.refunds) refundLater(round, to, cycles);
  touch(state, canister);
  index.refresh(key, canister);
}

export function deliverMessages(round: Round, outbox: Outbox): void {
  for (const message of outbox.messages) {
    const passed = round.gate === null ? message : round.gate.pass(message);
    if (passed === "lost") loseMessage(round, message);
    else if (passed !== null) deliverMessage(round, passed);
  }
}

/** Its cycles travel back alone; the caller learns by its deadline. */
function loseMessage(round: Round, message: OutboundMessage): void {
  assert((message.input.deadline ?? 0n) !== 0n, "messages of calls with a guarantee are never lost");
  if (message.kind === "request") refundLater(round, message.input.from, message.input.cycles);
  else refundLater(round, message.to, message.input.refund);
}

function deliverMessage(round: Round, message: OutboundMessage): void {
  if (message.kind === "request") deliverRequest(round, message.callee, message.input);
  else deliverResponse(round, message.to, message.input);
}

/** What the gate of a test network kept until now. A request that its caller does not wait for any more brings its cycles back. */
export function deliverReleased(round: Round): void {
  const { time } = round.state;
  for (const message of round.gate?.release(time) ?? []) {
    const { deadline = 0n } = message.input;
    if (message.kind === "request" && hasPassed(deadline, time)) {
      refundLater(round, message.input.from, message.input.cycles);
    } else deliverMessage(round, message);
  }
}

/** Whether the callee is a subnet's id, which only canisters of the root subnet may call. */
function namesSubnet(subnet: SubnetInfo, callee: CanisterId): boolean {
  if (equalBytes(subnet.subnetId, subnet.rootSubnetId)) return false;
  return routerOf(subnet).isManagement(callee);
}

/** A request of a canister of this subnet. */
export function deliverRequest(round: Round, callee: CanisterId, input: RequestInput): void {
  const { state } = round;
  const reject = (payload: ResponsePayload): void =>
    answerRequest(round, input, { from: callee, payload, refund: input.cycles });
  if (callee.length === 0) {
    const route = routeManagementCall(state.subnet, input.methodName, input.payload);
    if (route.kind === "nowhere") reject(routingReject(3, route.message));
    else if (route.kind === "own") deliverManagement(round, callee, input);
    else queueRequest(round, route.subnetId as CanisterId, input);
    return;
  }
  if (namesSubnet(state.subnet, callee)) {
    const why = `AlreadyResolved(${principalToText(callee)})`;
    reject(routingReject(3, `Unable to route management canister request ${input.methodName}: ${why}`));
    return;
  }
  const here = state.canisters.has(principalKey(callee));
  const host = here ? null : routerOf(state.subnet).route(callee);
  if (host !== null && !host.own) {
    queueRequest(round, callee, input);
    return;
  }
  if (isManagementCallee(round, callee)) {
    deliverManagement(round, callee, input);
    return;
  }
  if (host === null && !here) {
    reject(routingReject(3, `No route to canister ${principalToText(callee)}`));
    return;
  }
  const refusal = enqueueRequest(round, callee, input);
  if (refusal !== null) reject(REJECTIONS[refusal](callee));
}

/** A request to another subnet waits for a stream; not for ever. */
function queueRequest(round: Round, callee: CanisterId, input: RequestInput): void {
  const expires = input.deadline === 0n ? { expires: requestExpiry(round.state.time) } : {};
  queueOutput(round, input.from, { kind: "request", callee, input, ...expires });
}

function deliverManagement(round: Round, callee: CanisterId, input: RequestInput): void {
  const refusal = enqueueManagement(round, input);
  if (refusal === null) return;
  const payload = REJECTIONS[refusal](callee);
  answerRequest(round, input, { from: callee, payload, refund: input.cycles });
}

/** Puts a request into the management canister's queue, or says why not: room for the response, and so many of each sender. */
export function enqueueManagement(round: Round, input: RequestInput): RejectReason | null {
  const { managementQueue: queue } = round.state;
  if (input.deadline === 0n && !roomForResponse(round, input)) return "out_of_memory";
  const sender = principalKey(input.from);
  const waits = (one: (typeof queue)[number]): boolean =>
    one.kind === "request" && principalKey(one.from) === sender;
  if (queue.length >= QUEUE_CAPACITY && queue.filter(waits).length >= QUEUE_CAPACITY) return "queue_full";
  queue.push(input);
  countManagement(round.index.management, input, 1);
  return null;
}

/** Puts a request into a canister's queue, or says why not. */
export function enqueueRequest(round: Round, callee: CanisterId, input: RequestInput): RejectReason | null {
  const { state, index } = round;
  const key = principalKey(callee);
  const canister = state.canisters.get(key);
  if (canister === undefined) return "canister_not_found";
  const { status } = canister.meta;
  if (status.kind === "stopped") return "canister_stopped";
  if (status.kind === "stopping") return "canister_stopping";
  if (input.deadline === 0n && !roomForResponse(round, input)) return "out_of_memory";
  const { requests } = canister.queues;
  const sender = principalKey(input.from);
  const queue = requests.get(sender);
  if (queue === undefined) requests.set(sender, [input]);
  else if (queue.length < QUEUE_CAPACITY || dropPassed(round, canister, queue)) queue.push(input);
  else return "queue_full";
  countIncomingRequest(canister.meta, input);
  touch(state, canister);
  index.noteWork(key, canister);
  return null;
}

/** Makes room in a full queue: requests that nobody waits for any more only bring their cycles back. */
function dropPassed(round: Round, { meta }: CanisterState, queue: RequestInput[]): boolean {
  const waiting: RequestInput[] = [];
  for (const request of queue) {
    if (hasPassed(request.deadline, round.state.time)) {
      countTakenRequest(meta, request);
      refundLater(round, request.from, request.cycles);
    } else waiting.push(request);
  }
  if (waiting.length === queue.length) return false;
  queue.splice(0, queue.length, ...waiting);
  return true;
}

/** Whether the subnet can keep room for the response to a request. */
function roomForResponse({ limits, index }: Round, input: RequestInput): boolean {
  const left = limits.guaranteedMessageBytes - index.guaranteedBytesTaken;
  return guaranteedRequestBytes(requestBytes(input)) <= left;
}

/** What a caller is told about a request that was not taken, wherever that was found out. */
export const REJECTIONS: Readonly<Record<RejectReason, (callee: CanisterId) => ResponsePayload>> = {
  canister_migrating: (callee) => routingReject(2, `Canister ${principalToText(callee)} is migrating`),
  canister_not_found: (callee) => routingReject(3, `Canister ${principalToText(callee)} not found`),
  canister_stopped: (callee) => routingReject(5, `Canister ${principalToText(callee)} is stopped`),
  canister_stopping: (callee) => routingReject(5, `Canister ${principalToText(callee)} is stopping`),
  queue_full: (callee) => routingReject(2, `Canister ${principalToText(callee)} input queue is full`),
  out_of_memory: () =>
    routingReject(5, `Cannot induct request. Out of memory: requested ${RESPONSE_RESERVATION_BYTES}`),
  unknown: () => routingReject(1, "Inducting request failed due to an unknown error"),
};

/** Answers a request that no canister will: from routing or from the management canister. */
export function answerRequest(
  round: Round,
  request: Pick<RequestInput, "from" | "callbackId">,
  answer: { readonly from: CanisterId; readonly payload: ResponsePayload; readonly refund: bigint },
): void {
  deliverResponse(round, request.from, { kind: "response", callbackId: request.callbackId, ...answer });
}

/** A response of this subnet, to a canister here or elsewhere. */
export function deliverResponse(round: Round, to: CanisterId, input: ResponseInput): void {
  const { state } = round;
  if (!state.canisters.has(principalKey(to))) {
    const host = routerOf(state.subnet).route(to);
    if (host !== null && !host.own) {
      // Elsewhere the management canister goes by the name of its subnet.
      const { subnetId } = state.subnet;
      const from = input.from.length === 0 ? (subnetId as Principal as CanisterId) : input.from;
      queueOutput(round, input.from, { kind: "response", to, input: { ...input, from } });
      return;
    }
  }
  enqueueResponse(round, to, input);
}

/** Puts a response into its canister's queue. One that comes too late only brings its cycles. */
export function enqueueResponse(round: Round, to: CanisterId, input: ResponseInput): void {
  const { state, index } = round;
  const key = principalKey(to);
  const canister = state.canisters.get(key);
  if (canister === undefined || !canister.callbacks.has(input.callbackId)) {
    creditRefund(round, to, input.refund);
    return;
  }
  countIncomingResponse(canister, input);
  canister.queues.responses.push(input);
  touch(state, canister);
  index.noteWork(key, canister);
}

/** Cycles that come back without a response; they are consumed when there is nobody to have them. */
export function creditRefund(round: Round, to: CanisterId, cycles: bigint): void {
  if (cycles === 0n) return;
  const { state } = round;
  const canister = state.canisters.get(principalKey(to));
  if (canister === undefined) {
    recordConsumed(state, null, cycles, "burned_cycles");
    return;
  }
  canister.meta.cycles += cycles;
  touch(state, canister);
  round.index.refresh(principalKey(to), canister);
}

/** Tells callers of best-effort calls whose deadline has passed and that have no answer yet; what comes later is dropped. */
export function expireCalls(round: Round): void {
  const { state, index } = round;
  for (;;) {
    const due = index.callDeadlines.popUntil(state.time - passesAt(0n));
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
