/**
 * Memory of messages between canisters (interface spec, "Resource limits"; the replica's accounting). A call whose response is
 * guaranteed reserves room for the longest response, at its caller until the response is there and at its callee until it is given;
 * a response counts as what it is while it is queued, a request as what it exceeds the room by. Messages of best-effort calls count
 * while they are queued. The sums are in the canister's record, in step with each message that comes or goes.
 */
import { utf8 } from "@orrery/base";
import type {
  CallOrigin,
  CanisterMeta,
  CanisterState,
  IngressInput,
  OutboundMessage,
  RequestInput,
  ResponseInput,
} from "@orrery/state";
import { MESSAGE_HEADER_BYTES, RESPONSE_RESERVATION_BYTES } from "../limits.ts";

export type MessageSums = Pick<CanisterMeta, "guaranteedMessageBytes" | "bestEffortMessageBytes">;
/** Comes into a queue, or leaves it. */
type Sign = 1 | -1;

/** What is charged for, and part of the freezing threshold, besides the canister's own memory. */
export function messageBytes(sums: MessageSums): number {
  return sums.guaranteedMessageBytes + sums.bestEffortMessageBytes;
}

export function requestBytes(request: Pick<RequestInput, "methodName" | "payload">): number {
  return MESSAGE_HEADER_BYTES + utf8(request.methodName).length + request.payload.length;
}

export function responseBytes({ payload }: ResponseInput): number {
  const bytes = payload.kind === "reply" ? payload.data.length : utf8(payload.message).length;
  return MESSAGE_HEADER_BYTES + bytes;
}

/** What a request with a guaranteed response asks of a subnet. */
export function guaranteedRequestBytes(bytes: number): number {
  return Math.max(bytes, RESPONSE_RESERVATION_BYTES);
}

function countRequest(sums: MessageSums, request: RequestInput, sign: Sign): void {
  const bytes = requestBytes(request);
  if (request.deadline !== 0n) sums.bestEffortMessageBytes += sign * bytes;
  else if (bytes > RESPONSE_RESERVATION_BYTES)
    sums.guaranteedMessageBytes += sign * (bytes - RESPONSE_RESERVATION_BYTES);
}

function countResponse(sums: MessageSums, response: ResponseInput, bestEffort: boolean, sign: Sign): void {
  const bytes = sign * responseBytes(response);
  if (bestEffort) sums.bestEffortMessageBytes += bytes;
  else sums.guaranteedMessageBytes += bytes;
}

function reserve(sums: MessageSums, sign: Sign): void {
  sums.guaranteedMessageBytes += sign * RESPONSE_RESERVATION_BYTES;
}

/** A call came into the management canister's queue, or left it; those of users take none of this memory. */
export function countManagement(sums: MessageSums, input: RequestInput | IngressInput, sign: Sign): void {
  if (input.kind === "ingress") return;
  countRequest(sums, input, sign);
  if (input.deadline === 0n) reserve(sums, sign);
}

/** A canister made a call: its response has room from now on. */
export function countCall(sums: MessageSums, deadline: bigint): void {
  if (deadline === 0n) reserve(sums, 1);
}

/** A request came to its callee, whose response has room from now on too. */
export function countIncomingRequest(sums: MessageSums, request: RequestInput): void {
  countRequest(sums, request, 1);
  if (request.deadline === 0n) reserve(sums, 1);
}

/** A request left the queue of its callee. */
export function countTakenRequest(sums: MessageSums, request: RequestInput): void {
  countRequest(sums, request, -1);
}

/** The callee answered. */
export function countAnswer(sums: MessageSums, origin: CallOrigin): void {
  if (origin.kind === "canister" && origin.deadline === 0n) reserve(sums, -1);
}

/** Only best-effort calls are answered twice, so a response whose callback is gone was of one. */
export function isOfBestEffortCall({ callbacks }: CanisterState, { callbackId }: ResponseInput): boolean {
  return callbacks.get(callbackId)?.deadline !== 0n;
}

/** A response came to its caller, where room was kept for it. */
export function countIncomingResponse(canister: CanisterState, response: ResponseInput): void {
  const bestEffort = isOfBestEffortCall(canister, response);
  countResponse(canister.meta, response, bestEffort, 1);
  if (!bestEffort) reserve(canister.meta, -1);
}

/** A response leaves the queue of its caller; its callback is still there. */
export function countTakenResponse(canister: CanisterState, response: ResponseInput): void {
  countResponse(canister.meta, response, isOfBestEffortCall(canister, response), -1);
}

/** A message to another subnet came into an output queue, or left it. */
export function countOutput(sums: MessageSums, message: OutboundMessage, sign: Sign): void {
  if (message.kind === "request") countRequest(sums, message.input, sign);
  else countResponse(sums, message.input, message.input.deadline !== undefined, sign);
}

/** Bytes of a guaranteed response that is at no canister; zero for every other message. */
export function guaranteedResponseBytes(message: OutboundMessage | { readonly kind: "refund" }): number {
  return message.kind === "response" && message.input.deadline === undefined
    ? responseBytes(message.input)
    : 0;
}

/** The sums of a record, counted anew: what those in it must be. */
export function recountMessages(canister: CanisterState): MessageSums {
  const sums: MessageSums = { guaranteedMessageBytes: 0, bestEffortMessageBytes: 0 };
  const { callbacks, callContexts, queues } = canister;
  const answered = new Set(queues.responses.map(({ callbackId }) => callbackId));
  for (const { id, deadline } of callbacks.values()) if (!answered.has(id)) countCall(sums, deadline);
  for (const { origin, needsToRespond } of callContexts.values())
    if (needsToRespond && origin.kind === "canister") countCall(sums, origin.deadline);
  for (const queue of queues.requests.values())
    for (const request of queue) countIncomingRequest(sums, request);
  for (const response of queues.responses)
    countResponse(sums, response, isOfBestEffortCall(canister, response), 1);
  for (const queue of queues.outputs.values()) for (const message of queue) countOutput(sums, message, 1);
  return sums;
}
