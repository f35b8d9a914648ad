/** Canister calls and what comes of them, between the protocol's shapes and the core's. */
import {
  type CanisterId,
  type Principal,
  principalFromBytes,
  type SubnetId,
  type UserId,
} from "@orrery/base";
import type { CallResult, CanisterCall, EffectivePrincipal, MessageId, Reject } from "@orrery/sim/instance";
import type { Encodable, Json } from "./json.ts";
import { badIngressMessage } from "./pic-errors.ts";
import { bytes, optional, type Reader, record, ShapeError, string, variant, wrapped } from "./shapes.ts";

const REQUEST_ID_BYTES = 32;

/** Names of reject codes, from 1. */
const REJECT_CODES = [
  "SysFatal",
  "SysTransient",
  "DestinationInvalid",
  "CanisterReject",
  "CanisterError",
  "SysUnknown",
] as const;

export function base64(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
}

export const principal: Reader<Principal> = (value, at) => {
  const read = bytes(value, at);
  if (read.length > 29) throw new ShapeError(`\`${at}\` has ${read.length} bytes, a principal at most 29`);
  return principalFromBytes(read);
};

/** `{"canister_id": …}`, as most reads take it. */
export const aboutCanister: Reader<CanisterId> = wrapped("canister_id", principal);
/** `{"subnet_id": …}`. */
export const aboutSubnet: Reader<SubnetId> = wrapped("subnet_id", principal);
/** Bare, as PicJS sends it, or `{"principal_id": …}`, as the Rust client does. */
export const caller: Reader<UserId> = (value, at) =>
  typeof value === "string" ? principal(value, at) : wrapped("principal_id", principal)(value, at);

const effectiveVariant = variant({ SubnetId: principal, CanisterId: principal });

const effectivePrincipal: Reader<EffectivePrincipal> = (value, at) => {
  if (value === "None" || value === null) return { kind: "none" };
  const read = effectiveVariant(value, at);
  if (read.kind === "SubnetId") return { kind: "subnet", id: read.value };
  return { kind: "canister", id: read.value };
};

const callFields = record({
  sender: principal,
  canister_id: principal,
  effective_principal: effectivePrincipal,
  method: string,
  payload: bytes,
  sender_info: optional(record({ info: bytes, signer: principal })),
});

/** `RawCanisterCall`. */
export const canisterCall: Reader<CanisterCall> = (value, at) => {
  const { sender, canister_id, effective_principal, method, payload, sender_info } = callFields(value, at);
  return {
    sender,
    canisterId: canister_id,
    method,
    arg: payload,
    effective: effective_principal,
    senderInfo: sender_info,
  };
};

const messageFields = record({ effective_principal: effectivePrincipal, message_id: messageBytes });

function messageBytes(value: Json, at: string): Uint8Array {
  // PicJS before its version 0.13 sends what it got as an array of numbers.
  const read = Array.isArray(value)
    ? Uint8Array.from((value as readonly Json[]).map(Number))
    : bytes(value, at);
  if (read.length !== REQUEST_ID_BYTES) {
    throw new ShapeError(`\`${at}\` has ${read.length} bytes, a message id ${REQUEST_ID_BYTES}`);
  }
  return read;
}

/** `RawMessageId`; `hostOf` tells the subnet of a canister id. */
export function messageId(hostOf: (id: CanisterId) => SubnetId | null): Reader<MessageId> {
  return (value, at) => {
    const { effective_principal: effective, message_id: requestId } = messageFields(value, at);
    if (effective.kind === "subnet") return { subnetId: effective.id, requestId };
    const host = effective.kind === "canister" ? hostOf(effective.id) : null;
    if (host !== null) return { subnetId: host, requestId };
    throw badIngressMessage("The effective principal of the message names no subnet of this instance.");
  };
}

export function messageIdJson({ subnetId: id, requestId }: MessageId): Encodable {
  return { effective_principal: { SubnetId: base64(id) }, message_id: base64(requestId) };
}

function rejectJson({ code, message, errorName, certified }: Reject): Encodable {
  return {
    reject_code: REJECT_CODES[code - 1] ?? "SysUnknown",
    reject_message: message,
    error_code: errorName,
    certified,
  };
}

/** Whether the code is one of the six. */
export function isRejectCode(code: bigint): boolean {
  return code >= 1n && code <= REJECT_CODES.length;
}

export function resultJson(result: CallResult): Encodable {
  return result.ok ? { Ok: base64(result.value) } : { Err: rejectJson(result.error) };
}

export function failedJson(reject: Reject): Encodable {
  return { Err: rejectJson(reject) };
}
