/**
 * Headers and messages of streams as the certified state shows them, encoded as the replica's canonical state encodes them
 * (certification versions from 22 on). What another subnet wrote is decoded strictly: anything that does not encode back to
 * the same bytes is `stream_invalid`.
 */
import { assertNever, equalBytes } from "@orrery/base";
import { CborWriter } from "./codec/cbor-writer.ts";
import {
  byteString,
  decodePacked,
  natural,
  onlyFields,
  type PackedStruct,
  type PackedValue,
  packedInvalid,
  principalOf,
  smallNatural,
  struct,
  textOf,
  writeStruct,
} from "./packed-cbor.ts";
import type {
  RejectCode,
  RejectReason,
  RejectSignal,
  RequestInput,
  ResponseInput,
  ResponsePayload,
  Stream,
  StreamMessage,
} from "./types.ts";

/** What is certified of a stream besides its messages. */
export interface StreamHeader {
  readonly begin: bigint;
  readonly end: bigint;
  readonly signalsEnd: bigint;
  readonly rejectSignals: readonly RejectSignal[];
}

/** In the order of the fields of a header's reject signals. */
const REASONS: readonly RejectReason[] = [
  "canister_migrating",
  "canister_not_found",
  "canister_stopped",
  "canister_stopping",
  "queue_full",
  "out_of_memory",
  "unknown",
];
const NS_PER_SECOND = 1_000_000_000n;
const U64_MASK = 0xffff_ffff_ffff_ffffn;
const U128_MAX = (1n << 128n) - 1n;
const REJECT_CODES = 6;

export function headerOf(stream: Stream): StreamHeader {
  const { begin, messages, signalsEnd, rejectSignals } = stream;
  return { begin, end: begin + BigInt(messages.length), signalsEnd, rejectSignals };
}

const writer = new CborWriter();

/** Signals of each reason as distances: the last to `signalsEnd`, each other to the one after it. */
function writeSignals(out: CborWriter, header: StreamHeader): void {
  const distances = REASONS.map((reason) => {
    const signals = header.rejectSignals.filter((signal) => signal.reason === reason);
    return signals.map(({ index }, i) => (signals[i + 1]?.index ?? header.signalsEnd) - index);
  });
  writeStruct(
    out,
    distances.map((list, number) => [
      number,
      list.length === 0
        ? null
        : () => {
            out.list(list.length);
            for (const distance of list) out.unsigned(distance);
          },
    ]),
  );
}

export function encodeStreamHeader(header: StreamHeader): Uint8Array {
  const { begin, end, signalsEnd, rejectSignals } = header;
  writeStruct(writer, [
    [0, () => writer.unsigned(begin)],
    [1, () => writer.unsigned(end)],
    [2, () => writer.unsigned(signalsEnd)],
    [5, rejectSignals.length === 0 ? null : () => writeSignals(writer, header)],
  ]);
  return writer.finish();
}

/** Amounts that 128 bits do not hold travel as the largest that they do. */
function writeCycles(out: CborWriter, amount: bigint): void {
  const cycles = amount > U128_MAX ? U128_MAX : amount;
  const high = cycles >> 64n;
  writeStruct(out, [
    [0, () => out.unsigned(cycles & U64_MASK)],
    [1, high === 0n ? null : () => out.unsigned(high)],
  ]);
}

function writeFunds(out: CborWriter, cycles: bigint): void {
  writeStruct(out, [[0, () => writeCycles(out, cycles)]]);
}

function writePayload(out: CborWriter, payload: ResponsePayload): void {
  if (payload.kind === "reply") {
    writeStruct(out, [[0, () => out.bytes(payload.data)]]);
    return;
  }
  const reject = (): void =>
    writeStruct(out, [
      [0, () => out.integer(payload.code)],
      [1, () => out.text(payload.message)],
    ]);
  writeStruct(out, [[1, reject]]);
}

function writeRequest(out: CborWriter, receiver: Uint8Array, input: RequestInput): void {
  const deadline = input.deadline / NS_PER_SECOND;
  writeStruct(out, [
    [0, () => out.bytes(receiver)],
    [1, () => out.bytes(input.from)],
    [2, () => out.integer(input.callbackId)],
    [3, () => writeFunds(out, input.cycles)],
    [4, () => out.text(input.methodName)],
    [5, () => out.bytes(input.payload)],
    [8, deadline === 0n ? null : () => out.unsigned(deadline)],
  ]);
}

function writeResponse(out: CborWriter, originator: Uint8Array, input: ResponseInput): void {
  const deadline = (input.deadline ?? 0n) / NS_PER_SECOND;
  writeStruct(out, [
    [0, () => out.bytes(originator)],
    [1, () => out.bytes(input.from)],
    [2, () => out.integer(input.callbackId)],
    [3, () => writeFunds(out, input.refund)],
    [4, () => writePayload(out, input.payload)],
    [6, deadline === 0n ? null : () => out.unsigned(deadline)],
  ]);
}

function writeRefund(out: CborWriter, recipient: Uint8Array, cycles: bigint): void {
  writeStruct(out, [
    [0, () => out.bytes(recipient)],
    [1, () => writeCycles(out, cycles)],
  ]);
}

function writeMessage(out: CborWriter, message: StreamMessage): void {
  switch (message.kind) {
    case "request":
      writeStruct(out, [[0, () => writeRequest(out, message.callee, message.input)]]);
      return;
    case "response":
      writeStruct(out, [[1, () => writeResponse(out, message.to, message.input)]]);
      return;
    case "refund":
      writeStruct(out, [[2, () => writeRefund(out, message.to, message.cycles)]]);
      return;
    default:
      assertNever(message, "message of a stream");
  }
}

const encodings = new WeakMap<StreamMessage, Uint8Array>();

/** The certified form of a message. Messages never change, so the one that a stream holds is encoded once. */
export function encodeStreamMessage(message: StreamMessage): Uint8Array {
  const known = encodings.get(message);
  if (known !== undefined) return known;
  writeMessage(writer, message);
  const encoded = writer.finish();
  encodings.set(message, encoded);
  return encoded;
}

function decodeSignals(value: PackedValue | undefined, signalsEnd: bigint): RejectSignal[] {
  if (value === undefined) return [];
  const signals: RejectSignal[] = [];
  for (const [number, distances] of struct(value)) {
    const reason = REASONS[number];
    if (reason === undefined || !Array.isArray(distances)) throw packedInvalid("reject signals");
    let index = signalsEnd;
    for (const distance of [...(distances as readonly PackedValue[])].reverse()) {
      index -= natural(distance);
      if (natural(distance) === 0n || index < 0n) throw packedInvalid("reject signals");
      signals.push({ reason, index });
    }
  }
  signals.sort((a, b) => (a.index < b.index ? -1 : 1));
  for (const [i, { index }] of signals.entries())
    if (index === signals[i + 1]?.index) throw packedInvalid("two reject signals for a message");
  return signals;
}

/** Strict; `stream_invalid`. */
export function decodeStreamHeader(bytes: Uint8Array): StreamHeader {
  const fields = onlyFields(decodePacked(bytes), [0, 1, 2, 5]);
  const signalsEnd = natural(fields.get(2));
  const header = {
    begin: natural(fields.get(0)),
    end: natural(fields.get(1)),
    signalsEnd,
    rejectSignals: decodeSignals(fields.get(5), signalsEnd),
  };
  if (header.begin > header.end || !equalBytes(encodeStreamHeader(header), bytes))
    throw packedInvalid("header");
  return header;
}

function cyclesOf(value: PackedValue | undefined): bigint {
  const fields = onlyFields(struct(value), [0, 1]);
  return (natural(fields.get(1), 0n) << 64n) | natural(fields.get(0));
}

function fundsOf(value: PackedValue | undefined): bigint {
  return cyclesOf(onlyFields(struct(value), [0]).get(0));
}

function requestOf(fields: PackedStruct): StreamMessage {
  onlyFields(fields, [0, 1, 2, 3, 4, 5, 8]);
  return {
    kind: "request",
    callee: principalOf(fields.get(0)),
    input: {
      kind: "request",
      from: principalOf(fields.get(1)),
      callbackId: smallNatural(fields.get(2)),
      methodName: textOf(fields.get(4)),
      payload: byteString(fields.get(5)),
      cycles: fundsOf(fields.get(3)),
      deadline: natural(fields.get(8), 0n) * NS_PER_SECOND,
    },
  };
}

function payloadOf(value: PackedValue | undefined): ResponsePayload {
  const fields = onlyFields(struct(value), [0, 1]);
  if (fields.size !== 1) throw packedInvalid("response payload");
  if (fields.has(0)) return { kind: "reply", data: byteString(fields.get(0)) };
  const reject = onlyFields(struct(fields.get(1)), [0, 1]);
  const code = smallNatural(reject.get(0));
  if (code < 1 || code > REJECT_CODES) throw packedInvalid("reject code");
  return { kind: "reject", code: code as RejectCode, message: textOf(reject.get(1)) };
}

function responseOf(fields: PackedStruct): StreamMessage {
  onlyFields(fields, [0, 1, 2, 3, 4, 6]);
  const deadline = natural(fields.get(6), 0n) * NS_PER_SECOND;
  return {
    kind: "response",
    to: principalOf(fields.get(0)),
    input: {
      kind: "response",
      from: principalOf(fields.get(1)),
      callbackId: smallNatural(fields.get(2)),
      payload: payloadOf(fields.get(4)),
      refund: fundsOf(fields.get(3)),
      ...(deadline === 0n ? {} : { deadline }),
    },
  };
}

function messageOf(fields: PackedStruct): StreamMessage {
  if (fields.size !== 1) throw packedInvalid("message");
  if (fields.has(0)) return requestOf(struct(fields.get(0)));
  if (fields.has(1)) return responseOf(struct(fields.get(1)));
  const refund = onlyFields(struct(fields.get(2)), [0, 1]);
  return { kind: "refund", to: principalOf(refund.get(0)), cycles: cyclesOf(refund.get(1)) };
}

/** Strict; `stream_invalid`. */
export function decodeStreamMessage(bytes: Uint8Array): StreamMessage {
  const message = messageOf(decodePacked(bytes));
  if (!equalBytes(encodeStreamMessage(message), bytes)) throw packedInvalid("message");
  return message;
}
