/**
 * What a block brings from other subnets (the replica's stream handler): first their signals, which say what became of our
 * messages, then their messages, each of which gets a signal. Slices were verified by those who made the block; here it is judged
 * again whether they go on where the streams are, since that is a question to the state. What does not fit is left out with a
 * word in the log. There is no stream of a subnet to itself: messages within a subnet never wait for a round to end.
 */
import { type CanisterId, type Principal, principalKey } from "@orrery/base";
import {
  encodeStreamMessage,
  headerOf,
  type RejectReason,
  type Stream,
  type StreamMessage,
} from "@orrery/state";
import { recordConsumed } from "../cycles.ts";
import {
  creditRefund,
  enqueueManagement,
  enqueueRequest,
  enqueueResponse,
  isManagementCallee,
  REJECTIONS,
} from "../messaging/delivery.ts";
import { guaranteedResponseBytes } from "../messaging/message-memory.ts";
import type { Round } from "../scheduler/round.ts";
import { queueOutput, refundLater } from "./outputs.ts";
import { type Destination, routerOf } from "./routing.ts";
import { type CertifiedSlice, decodeCertifiedSlice, sliceFits } from "./slices.ts";

export function newStream(): Stream {
  return { begin: 0n, messages: [], messageBytes: 0, signalsEnd: 0n, rejectSignals: [] };
}

interface Incoming {
  readonly source: Destination;
  readonly slice: CertifiedSlice;
}

/** Takes over the slices of a block, whatever their order in it. */
export function inductStreams(round: Round, encoded: readonly Uint8Array[]): void {
  if (encoded.length === 0) return;
  const incoming = judge(round, encoded);
  for (const one of incoming) collectGarbage(round, one);
  for (const { source, slice } of incoming) {
    const stream = streamTo(round, source);
    for (const message of slice.messages) {
      const reason = induct(round, source, message);
      if (reason !== null) stream.rejectSignals.push({ reason, index: stream.signalsEnd });
      stream.signalsEnd++;
    }
  }
}

/** The stream to a subnet, made when there is none; it will be certified anew. */
export function streamTo(round: Round, { key }: Destination): Stream {
  const { streams, changed } = round.state;
  changed.streams.add(key);
  let stream = streams.get(key);
  if (stream === undefined) {
    stream = newStream();
    streams.set(key, stream);
  }
  return stream;
}

/** At most one slice of each subnet, by ascending id. */
function judge(round: Round, encoded: readonly Uint8Array[]): Incoming[] {
  const { state } = round;
  const router = routerOf(state.subnet);
  const bySource = new Map<string, Incoming>();
  const refuse = (reason: string): void => round.log.log("warn", "left out a stream slice", { reason });
  for (const bytes of encoded) {
    const slice = decodeCertifiedSlice(bytes);
    if (!slice.ok) {
      refuse(slice.error);
      continue;
    }
    const source = router.route(slice.value.source as Principal);
    if (source === null || source.own || source.key !== principalKey(slice.value.source)) {
      refuse("of no other subnet");
      continue;
    }
    if (principalKey(slice.value.destination) !== principalKey(state.subnet.subnetId)) {
      refuse("for another subnet");
      continue;
    }
    const stream = state.streams.get(source.key) ?? newStream();
    const expected = { messageIndex: stream.signalsEnd, signalIndex: stream.begin };
    const fits = sliceFits(slice.value, expected, headerOf(stream).end);
    if (!fits.ok) refuse(fits.error);
    else if (bySource.has(source.key)) refuse("a second one of a subnet");
    else bySource.set(source.key, { source, slice: slice.value });
  }
  return [...bySource.values()].sort((a, b) => (a.source.key < b.source.key ? -1 : 1));
}

/** Drops our messages that have a signal, and our signals for messages that the other side has dropped. */
function collectGarbage(round: Round, { source, slice }: Incoming): void {
  const { header } = slice;
  const stream = streamTo(round, source);
  const { begin } = stream;
  const gone = stream.messages.splice(0, Number(header.signalsEnd - begin));
  stream.begin = header.signalsEnd;
  for (const message of gone) {
    stream.messageBytes -= encodeStreamMessage(message).length;
    round.index.strayResponseBytes -= guaranteedResponseBytes(message);
  }
  stream.rejectSignals = stream.rejectSignals.filter(({ index }) => index >= header.begin);
  for (const { reason, index } of header.rejectSignals) {
    const message = index < begin ? undefined : gone[Number(index - begin)];
    if (message !== undefined) takeBack(round, message, reason);
  }
}

/** A message that the other subnet did not take: requests are answered, everything else is sent on its way again. */
function takeBack(round: Round, message: StreamMessage, reason: RejectReason): void {
  switch (message.kind) {
    case "request": {
      const { from, callbackId, cycles } = message.input;
      enqueueResponse(round, from, {
        kind: "response",
        from: message.callee,
        callbackId,
        payload: REJECTIONS[reason](message.callee),
        refund: cycles,
      });
      return;
    }
    case "response":
      queueOutput(round, message.input.from, message);
      return;
    case "refund":
      refundLater(round, message.to, message.cycles);
      return;
  }
}

/** Hands a message to its receiver. Null: taken, or dropped because it should never have come here. */
function induct(round: Round, source: Destination, message: StreamMessage): RejectReason | null {
  const router = routerOf(round.state.subnet);
  const to = message.kind === "request" ? message.callee : message.to;
  const sentBySource = message.kind === "refund" || router.route(message.input.from)?.key === source.key;
  if (!sentBySource || router.route(to)?.own !== true) return lose(round, message, "misrouted");
  switch (message.kind) {
    case "refund":
      creditRefund(round, to, message.cycles);
      return null;
    case "request":
      return isManagementCallee(round, to)
        ? enqueueManagement(round, message.input)
        : enqueueRequest(round, to, message.input);
    case "response": {
      const callback = round.state.canisters.get(principalKey(to))?.callbacks.get(message.input.callbackId);
      if (callback !== undefined && callback.cyclesSent < message.input.refund)
        return lose(round, message, "refunds more than was sent");
      enqueueResponse(round, to as CanisterId, message.input);
      return null;
    }
  }
}

/** Only a subnet that does not keep to the protocol sends such a message. */
function lose(round: Round, message: StreamMessage, reason: string): null {
  const cycles =
    message.kind === "refund"
      ? message.cycles
      : message.kind === "request"
        ? message.input.cycles
        : message.input.refund;
  recordConsumed(round.state, null, cycles, "burned_cycles");
  round.log.log("error", "dropped a message of another subnet", { kind: message.kind, reason });
  return null;
}
