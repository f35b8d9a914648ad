/** Durable form of messages: in the queues of canisters, and on their way to other subnets. */
import type { CanisterId, Principal, UserId } from "@orrery/base";
import type {
  CallerInfo,
  IngressInput,
  InputQueues,
  OutboundMessage,
  RejectReason,
  RejectSignal,
  RequestInput,
  ResponseInput,
  ResponsePayload,
  Stream,
  StreamMessage,
} from "../types.ts";
import {
  bigInteger,
  branded,
  bytes,
  type Codec,
  integer,
  list,
  literal,
  nullable,
  optional,
  record,
  text,
  textMap,
  union,
} from "./codec.ts";
import { rejectCode } from "./work.ts";

const canisterId = branded<CanisterId>();
const userId = branded<UserId>();

export const callerInfo: Codec<CallerInfo> = record<CallerInfo>({
  info: bytes,
  signer: branded<Principal>(),
});

const responsePayload = union<ResponsePayload>({
  reply: { data: bytes },
  reject: { code: rejectCode, message: text },
});

const ingressInput = {
  requestId: bytes,
  sender: userId,
  methodName: text,
  arg: bytes,
  expiry: bigInteger,
  senderInfo: nullable(callerInfo),
};

const requestInput = {
  from: canisterId,
  callbackId: integer,
  methodName: text,
  payload: bytes,
  cycles: bigInteger,
  deadline: bigInteger,
};

const ingressInputCodec = union<IngressInput>({ ingress: ingressInput });
const requestInputCodec = union<RequestInput>({ request: requestInput });

const responseInput = union<ResponseInput>({
  response: {
    from: canisterId,
    callbackId: integer,
    payload: responsePayload,
    refund: bigInteger,
    deadline: optional(bigInteger) as Codec<bigint>,
  },
});

const outboundMessage = {
  request: {
    callee: canisterId,
    input: requestInputCodec,
    expires: optional(bigInteger) as Codec<bigint>,
  },
  response: { to: canisterId, input: responseInput },
};
export const outputs: Codec<InputQueues["outputs"]> = textMap(list(union<OutboundMessage>(outboundMessage)));

export const queues: Codec<InputQueues> = record<InputQueues>({
  ingress: list(ingressInputCodec),
  responses: list(responseInput),
  requests: textMap(list(requestInputCodec)),
  outputs,
});

export const stream: Codec<Stream> = record<Stream>({
  begin: bigInteger,
  messages: list(
    union<StreamMessage>({ ...outboundMessage, refund: { to: canisterId, cycles: bigInteger } }),
  ),
  messageBytes: integer,
  signalsEnd: bigInteger,
  rejectSignals: list(
    record<RejectSignal>({
      reason: literal<RejectReason>(
        "canister_migrating",
        "canister_not_found",
        "canister_stopped",
        "canister_stopping",
        "queue_full",
        "out_of_memory",
        "unknown",
      ),
      index: bigInteger,
    }),
  ),
});

/** A call that waits for the management canister. */
export const managementInput: Codec<RequestInput | IngressInput> = union<RequestInput | IngressInput>({
  request: requestInput,
  ingress: ingressInput,
});
