/**
 * From output queues into streams (the replica's stream builder), at the end of every round: one message of each queue in turn,
 * as long as the stream to its subnet has room. What no stream can ever carry is answered here; what has no room now waits.
 */

import type { CanisterId } from "@orrery/base";
import { assert, fromHex, type PrincipalKey, principalToText, utf8 } from "@orrery/base";
import {
  encodeStreamMessage,
  type OutboundMessage,
  type Stream,
  type StreamMessage,
  touch,
} from "@orrery/state";
import { recordConsumed } from "../cycles.ts";
import { INTER_CANISTER_PAYLOAD_BYTES_MAX } from "../limits.ts";
import { creditRefund, deliverRequest, enqueueResponse } from "../messaging/delivery.ts";
import { countOutput, guaranteedResponseBytes } from "../messaging/message-memory.ts";
import { boundedText, routingReject } from "../messaging/reject.ts";
import type { Round } from "../scheduler/round.ts";
import { newStream, streamTo } from "./induct.ts";
import { type Destination, routerOf } from "./routing.ts";

/** Refunds may fill half of a stream: they are small, and messages shall not wait for all of them. */
const REFUNDS_SHARE = 2;
/** A system subnet takes a stream of this many times what it takes at once. */
const SYSTEM_STREAM_FACTOR = 2;

export function buildStreams(round: Round): void {
  routeRefunds(round);
  const queues = outputQueues(round);
  // Another queue goes first in every round, so that none is always last when a stream fills up.
  const first = queues.length === 0 ? 0 : round.state.height % queues.length;
  let open = [...queues.slice(first), ...queues.slice(0, first)];
  while (open.length > 0) open = open.filter((queue) => routeNext(round, queue));
  for (const queue of queues) dropEmpty(round, queue);
}

interface OutputQueue {
  /** Null: the subnet's own. */
  readonly owner: PrincipalKey | null;
  readonly receiver: PrincipalKey;
  readonly messages: OutboundMessage[];
  readonly destination: Destination | null;
  taken: number;
}

function outputQueues(round: Round): OutputQueue[] {
  const { state, index } = round;
  const router = routerOf(state.subnet);
  const queues: OutputQueue[] = [];
  const collect = (owner: PrincipalKey | null, outputs: Map<PrincipalKey, OutboundMessage[]>): void => {
    for (const receiver of [...outputs.keys()].sort()) {
      const messages = outputs.get(receiver) as OutboundMessage[];
      const destination = router.route(fromHex(receiver) as CanisterId);
      queues.push({ owner, receiver, messages, destination, taken: 0 });
    }
  };
  collect(null, state.subnetOutputs);
  for (const owner of [...index.outputs].sort()) {
    const canister = state.canisters.get(owner);
    if (canister !== undefined) collect(owner, canister.queues.outputs);
  }
  return queues;
}

function dropEmpty(round: Round, { owner, receiver, messages, taken }: OutputQueue): void {
  const { state, index } = round;
  if (taken === 0) return;
  const canister = owner === null ? undefined : state.canisters.get(owner);
  for (const message of messages.splice(0, taken)) {
    if (canister === undefined) index.strayResponseBytes -= guaranteedResponseBytes(message);
    else countOutput(canister.meta, message, -1);
  }
  const outputs = canister === undefined ? state.subnetOutputs : canister.queues.outputs;
  if (messages.length === 0) outputs.delete(receiver);
  if (canister === undefined) return;
  touch(state, canister);
  index.outputExpiry.note(owner as PrincipalKey, receiver);
  if (outputs.size === 0) index.outputs.delete(owner as PrincipalKey);
}

/** Takes the queue's next message; false when there is none, or no room for it. */
function routeNext(round: Round, queue: OutputQueue): boolean {
  const { destination } = queue;
  const message = queue.messages[queue.taken];
  if (message === undefined) return false;
  if (destination !== null && !destination.own && isFull(round, destination)) return false;
  queue.taken++;
  if (message.kind === "request") routeRequest(round, message, destination);
  else routeResponse(round, message, destination);
  return true;
}

function isFull(round: Round, destination: Destination): boolean {
  const stream = round.state.streams.get(destination.key) ?? newStream();
  const { streamMessages, streamBytes, systemStreamMessages } = round.limits;
  if (stream.messages.length >= streamMessages || stream.messageBytes >= streamBytes) return true;
  if (destination.type !== "system") return false;
  const limit = SYSTEM_STREAM_FACTOR * systemStreamMessages;
  return stream.messages.length >= limit && stream.messages.length - refundsIn(stream) >= limit;
}

function refundsIn(stream: Stream): number {
  return stream.messages.reduce((count, { kind }) => count + (kind === "refund" ? 1 : 0), 0);
}

function send(round: Round, destination: Destination, message: StreamMessage): void {
  const stream = streamTo(round, destination);
  stream.messages.push(message);
  stream.messageBytes += encodeStreamMessage(message).length;
  round.index.strayResponseBytes += guaranteedResponseBytes(message);
}

type Request = Extract<OutboundMessage, { readonly kind: "request" }>;
type Response = Extract<OutboundMessage, { readonly kind: "response" }>;

/** Subnets of the kind whose nodes a single party runs trade neither cycles nor guarantees with others. */
function crossesEngine(round: Round, destination: Destination): boolean {
  return destination.type === "cloud_engine" || round.state.subnet.type === "cloud_engine";
}

function routeRequest(round: Round, message: Request, destination: Destination | null): void {
  const { input, callee } = message;
  if (destination?.own === true) {
    deliverRequest(round, callee, input);
    return;
  }
  const reject = (code: 1 | 3 | 5, text: string): void =>
    enqueueResponse(round, input.from, {
      kind: "response",
      from: callee,
      callbackId: input.callbackId,
      payload: routingReject(code, text),
      refund: input.cycles,
    });
  if (destination === null) {
    reject(3, `No route to canister ${principalToText(callee)}`);
    return;
  }
  if (crossesEngine(round, destination) && (input.deadline === 0n || input.cycles > 0n)) {
    reject(1, "Unbounded-wait calls and calls with cycles are not allowed to CloudEngine subnets");
    return;
  }
  const bytes = utf8(input.methodName).length + input.payload.length;
  if (bytes > INTER_CANISTER_PAYLOAD_BYTES_MAX) reject(5, tooLarge(input.from, bytes));
  else send(round, destination, { kind: "request", callee, input });
}

function tooLarge(sender: CanisterId, bytes: number): string {
  return (
    `Canister ${principalToText(sender)} violated contract: attempted to send a message of size ${bytes} ` +
    `exceeding the limit ${INTER_CANISTER_PAYLOAD_BYTES_MAX}`
  );
}

function routeResponse(round: Round, message: Response, destination: Destination | null): void {
  const { input, to } = message;
  if (destination === null) {
    recordConsumed(round.state, null, input.refund, "burned_cycles");
    round.log.log("error", "dropped a response to a canister that no subnet has", {});
    return;
  }
  if (destination.own) enqueueResponse(round, to, input);
  else send(round, destination, bounded(message));
}

/** A response of a size that every subnet takes. Replies that are larger fail at their canister; this is the last resort. */
function bounded(message: Response): Response {
  const { input } = message;
  const { payload } = input;
  if (payload.kind === "reject")
    return {
      ...message,
      input: { ...input, payload: { ...payload, message: boundedText(payload.message) } },
    };
  const bytes = payload.data.length;
  if (bytes <= INTER_CANISTER_PAYLOAD_BYTES_MAX) return message;
  return { ...message, input: { ...input, payload: routingReject(5, tooLarge(input.from, bytes)) } };
}

/** Credits what belongs to canisters here, and sends the rest as far as there is room. */
function routeRefunds(round: Round): void {
  const { state, limits } = round;
  const router = routerOf(state.subnet);
  for (const key of [...state.refunds.keys()].sort()) {
    const cycles = state.refunds.get(key) as bigint;
    assert(cycles > 0n, "a refund of nothing");
    const to = fromHex(key) as CanisterId;
    const destination = router.route(to);
    if (destination === null || destination.own) creditRefund(round, to, cycles);
    else {
      const stream = state.streams.get(destination.key) ?? newStream();
      const full =
        stream.messages.length >= limits.streamMessages || stream.messageBytes >= limits.streamBytes;
      if (full || refundsIn(stream) >= limits.streamMessages / REFUNDS_SHARE) continue;
      send(round, destination, { kind: "refund", to, cycles });
    }
    state.refunds.delete(key);
  }
}
