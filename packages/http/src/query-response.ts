/**
 * The encoded query response with the node's signature (interface spec, "Query responses"). Written out by hand, since every
 * query pays for it; what is signed is the crypto package's `queryResponseHash`.
 */
import { type Principal, type TimeNs, utf8 } from "@orrery/base";
import type { QueryOutcome } from "./replica-view.ts";

/** Writes CBOR items one after another into a buffer that was sized beforehand. */
interface Writer {
  readonly bytes: Uint8Array;
  at: number;
}

function head(writer: Writer, major: number, value: number): void {
  const { bytes } = writer;
  const type = major << 5;
  if (value < 24) bytes[writer.at++] = type | value;
  else if (value < 0x100) {
    bytes[writer.at++] = type | 24;
    bytes[writer.at++] = value;
  } else if (value < 0x10000) {
    bytes[writer.at++] = type | 25;
    bytes[writer.at++] = value >>> 8;
    bytes[writer.at++] = value & 0xff;
  } else {
    bytes[writer.at++] = type | 26;
    for (let shift = 24; shift >= 0; shift -= 8) bytes[writer.at++] = (value >>> shift) & 0xff;
  }
}

function put(writer: Writer, bytes: Uint8Array): void {
  writer.bytes.set(bytes, writer.at);
  writer.at += bytes.length;
}

function putText(writer: Writer, bytes: Uint8Array): void {
  head(writer, 3, bytes.length);
  put(writer, bytes);
}

function putBlob(writer: Writer, bytes: Uint8Array): void {
  head(writer, 2, bytes.length);
  put(writer, bytes);
}

function u64(writer: Writer, value: bigint): void {
  writer.bytes[writer.at++] = 0x1b;
  new DataView(writer.bytes.buffer).setBigUint64(writer.at, value);
  writer.at += 8;
}

const TEXT = {
  status: utf8("status"),
  replied: utf8("replied"),
  rejected: utf8("rejected"),
  reply: utf8("reply"),
  arg: utf8("arg"),
  reject_code: utf8("reject_code"),
  reject_message: utf8("reject_message"),
  error_code: utf8("error_code"),
  signatures: utf8("signatures"),
  timestamp: utf8("timestamp"),
  signature: utf8("signature"),
  identity: utf8("identity"),
} as const;

/** Room for every fixed key, head and number of a response. */
const FIXED_BYTES = 256;

/** The self-described CBOR body of a query response with this one node's signature. */
export function encodeQueryResponse(
  outcome: QueryOutcome,
  node: { readonly identity: Principal; readonly timestamp: TimeNs; readonly signature: Uint8Array },
): Uint8Array {
  const message = outcome.status === "rejected" ? utf8(outcome.rejectMessage) : outcome.reply;
  const writer: Writer = {
    bytes: new Uint8Array(FIXED_BYTES + message.length + node.signature.length),
    at: 0,
  };
  put(writer, Uint8Array.of(0xd9, 0xd9, 0xf7));
  head(writer, 5, outcome.status === "replied" ? 3 : outcome.errorCode === null ? 4 : 5);
  putText(writer, TEXT.status);
  putText(writer, TEXT[outcome.status]);
  if (outcome.status === "replied") {
    putText(writer, TEXT.reply);
    head(writer, 5, 1);
    putText(writer, TEXT.arg);
    putBlob(writer, message);
  } else {
    putText(writer, TEXT.reject_code);
    head(writer, 0, outcome.rejectCode);
    putText(writer, TEXT.reject_message);
    putText(writer, message);
    if (outcome.errorCode !== null) {
      putText(writer, TEXT.error_code);
      putText(writer, utf8(outcome.errorCode));
    }
  }
  putText(writer, TEXT.signatures);
  head(writer, 4, 1);
  head(writer, 5, 3);
  putText(writer, TEXT.timestamp);
  u64(writer, node.timestamp);
  putText(writer, TEXT.signature);
  putBlob(writer, node.signature);
  putText(writer, TEXT.identity);
  putBlob(writer, node.identity);
  return writer.bytes.subarray(0, writer.at);
}
