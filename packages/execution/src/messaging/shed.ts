/**
 * Queued messages of best-effort calls at the end of a round (the replica's load shedding): when all together exceed the limit, the
 * canister with the most gives up its largest, until they fit. Cycles go back; whoever waits for an answer here is told, others see
 * their deadline pass. Costs nothing below the limit.
 */
import type { PrincipalKey } from "@orrery/base";
import {
  type CanisterState,
  type OutboundMessage,
  type RequestInput,
  type ResponseInput,
  type ResponsePayload,
  touch,
} from "@orrery/state";
import type { Round } from "../scheduler/round.ts";
import { refundLater } from "../streams/outputs.ts";
import { giveUpOutput } from "./expiry.ts";
import {
  countManagement,
  countTakenRequest,
  countTakenResponse,
  isOfBestEffortCall,
  requestBytes,
  responseBytes,
} from "./message-memory.ts";
import { routingReject } from "./reject.ts";

const DROPPED: ResponsePayload = routingReject(6, "Response was dropped.");

export function shedBestEffort(round: Round): void {
  const { index, limits, state } = round;
  const tooMuch = (): boolean =>
    index.bestEffortBytes + index.management.bestEffortMessageBytes > limits.bestEffortMessageBytes;
  const exhausted = new Set<PrincipalKey>();
  while (tooMuch()) {
    const key = index.mostBestEffort(exhausted);
    const most = key === null ? 0 : index.bestEffortOf(key);
    if (index.management.bestEffortMessageBytes > most) {
      dropManagement(round);
      continue;
    }
    if (key === null) return;
    const canister = state.canisters.get(key) as CanisterState;
    const largest = largestOf(canister);
    if (largest === null) {
      exhausted.add(key);
      continue;
    }
    largest.drop(round);
    touch(state, canister);
    index.refresh(key, canister);
  }
}

/** The largest best-effort call that waits at the management canister. */
function dropManagement(round: Round): void {
  const { state, index } = round;
  const { managementQueue: queue } = state;
  let at = -1;
  let largest = 0;
  for (const [i, input] of queue.entries()) {
    if (input.kind === "ingress" || input.deadline === 0n || requestBytes(input) <= largest) continue;
    at = i;
    largest = requestBytes(input);
  }
  const [request] = queue.splice(at, 1) as [RequestInput];
  countManagement(index.management, request, -1);
  refundLater(round, request.from, request.cycles);
}

interface Candidate {
  readonly bytes: number;
  drop(round: Round): void;
}

/** Of equals the first by queue and place. */
function largestOf(canister: CanisterState): Candidate | null {
  const { requests, responses, outputs } = canister.queues;
  let largest: Candidate | null = null;
  const offer = (bytes: number, drop: Candidate["drop"]): void => {
    if (bytes > (largest?.bytes ?? 0)) largest = { bytes, drop };
  };
  for (const [at, response] of responses.entries()) {
    if (!isOfBestEffortCall(canister, response) || isDropped(response)) continue;
    offer(responseBytes(response), (round) => dropResponse(round, canister, at));
  }
  for (const sender of [...requests.keys()].sort()) {
    for (const [at, request] of (requests.get(sender) as RequestInput[]).entries()) {
      if (request.deadline === 0n) continue;
      offer(requestBytes(request), (round) => dropRequest(round, canister, { sender, at }));
    }
  }
  for (const receiver of [...outputs.keys()].sort()) {
    for (const [at, message] of (outputs.get(receiver) as OutboundMessage[]).entries()) {
      const { input } = message;
      if ((input.deadline ?? 0n) === 0n) continue;
      const bytes = input.kind === "request" ? requestBytes(input) : responseBytes(input);
      offer(bytes, (round) => giveUpOutput(round, canister, { receiver, at }));
    }
  }
  return largest;
}

function isDropped({ payload }: ResponseInput): boolean {
  return payload.kind === "reject" && DROPPED.kind === "reject" && payload.message === DROPPED.message;
}

/** The callback runs all the same. */
function dropResponse(round: Round, canister: CanisterState, at: number): void {
  const { responses } = canister.queues;
  const response = responses[at] as ResponseInput;
  countTakenResponse(canister, response);
  const dropped: ResponseInput = { ...response, payload: DROPPED, refund: 0n };
  responses[at] = dropped;
  canister.meta.bestEffortMessageBytes += responseBytes(dropped);
  refundLater(round, canister.meta.id, response.refund);
}

function dropRequest(
  round: Round,
  canister: CanisterState,
  place: { readonly sender: PrincipalKey; readonly at: number },
): void {
  const { requests } = canister.queues;
  const queue = requests.get(place.sender) as RequestInput[];
  const [request] = queue.splice(place.at, 1) as [RequestInput];
  if (queue.length === 0) requests.delete(place.sender);
  countTakenRequest(canister.meta, request);
  refundLater(round, request.from, request.cycles);
}
