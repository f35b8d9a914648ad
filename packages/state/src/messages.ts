/** Messages as they wait for execution (interface spec, "Abstract behaviour"). */
import type { CanisterId, Principal, PrincipalKey, TimeNs, UserId } from "@orrery/base";
import type { OutboundMessage } from "./streams.ts";

/** `sender_info` of a request, once its signature is checked: what `msg_caller_info_*` tell. */
export interface CallerInfo {
  readonly info: Uint8Array;
  readonly signer: Principal;
}

/** Interface spec, "Reject codes". */
export type RejectCode = 1 | 2 | 3 | 4 | 5 | 6;

export type ResponsePayload =
  | { readonly kind: "reply"; readonly data: Uint8Array }
  | { readonly kind: "reject"; readonly code: RejectCode; readonly message: string };

export interface IngressInput {
  readonly kind: "ingress";
  readonly requestId: Uint8Array;
  readonly sender: UserId;
  readonly methodName: string;
  readonly arg: Uint8Array;
  readonly expiry: TimeNs;
  readonly senderInfo: CallerInfo | null;
}

export interface RequestInput {
  readonly kind: "request";
  readonly from: CanisterId;
  readonly callbackId: number;
  readonly methodName: string;
  readonly payload: Uint8Array;
  readonly cycles: bigint;
  readonly deadline: TimeNs;
}

export interface ResponseInput {
  readonly kind: "response";
  readonly from: CanisterId;
  readonly callbackId: number;
  readonly payload: ResponsePayload;
  readonly refund: bigint;
  /** Deadline of the call that it answers; not there for guaranteed responses. */
  readonly deadline?: TimeNs;
}

/** Messages waiting at a canister. Requests are FIFO per sender, and responses and ingress messages too; the scheduler takes of each in turn. */
export interface InputQueues {
  ingress: IngressInput[];
  responses: ResponseInput[];
  /** By sender; requests FIFO. */
  readonly requests: Map<PrincipalKey, RequestInput[]>;
  /** Messages to canisters of other subnets that no stream had room for yet, by receiver; FIFO, never empty. */
  readonly outputs: Map<PrincipalKey, OutboundMessage[]>;
}
