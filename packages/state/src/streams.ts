/** Streams between subnets as data: what is under way from one to the other, and what became of what came back. */
import type { CanisterId, TimeNs } from "@orrery/base";
import type { RequestInput, ResponseInput } from "./messages.ts";

/** A message on its way to a canister of another subnet, or to that subnet's management canister. */
export type OutboundMessage =
  | {
      readonly kind: "request";
      readonly callee: CanisterId;
      readonly input: RequestInput;
      /** Of one whose response is guaranteed and that waits for a stream: until when. */
      readonly expires?: TimeNs;
    }
  | { readonly kind: "response"; readonly to: CanisterId; readonly input: ResponseInput };

/** What a stream carries. A refund brings cycles of a best-effort call back that never was, and asks for nothing. */
export type StreamMessage =
  | OutboundMessage
  | { readonly kind: "refund"; readonly to: CanisterId; readonly cycles: bigint };

/** Why a message of a stream was not taken by the subnet that it was for. */
export type RejectReason =
  | "canister_migrating"
  | "canister_not_found"
  | "canister_stopped"
  | "canister_stopping"
  | "queue_full"
  | "out_of_memory"
  | "unknown";

export interface RejectSignal {
  readonly reason: RejectReason;
  /** Of the message in the reverse stream. */
  readonly index: bigint;
}

/**
 * To one other subnet: messages, and signals for the messages of the stream from there, each of which says that a message was
 * taken (all below `signalsEnd` that are not in `rejectSignals`) or not. Messages stay until the other side's signals come back.
 */
export interface Stream {
  /** Index of the first message; all indices are below 2^64. */
  begin: bigint;
  readonly messages: StreamMessage[];
  /** Sum of the messages' certified encodings. */
  messageBytes: number;
  /** Messages of the reverse stream that have a signal: those below. */
  signalsEnd: bigint;
  /** By ascending index. */
  rejectSignals: RejectSignal[];
}
