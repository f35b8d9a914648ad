/** A management call as its handlers see it, and what they answer. */
import {
  type CanisterId,
  err,
  ok,
  type Principal,
  principalKey,
  principalToText,
  type Result,
} from "@orrery/base";
import type { CanisterState, HistoryOrigin, RejectCode } from "@orrery/state";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import type { Round } from "../scheduler/round.ts";
import { advised } from "./advice.ts";
import { type CandidRecord, decodeRecord, readPrincipal, required } from "./candid-decode.ts";
import { authorize } from "./effective-id.ts";
import { invalidPayload } from "./methods.ts";

export type ManagementOrigin =
  | { readonly kind: "ingress"; readonly requestId: Uint8Array }
  | { readonly kind: "call"; readonly from: CanisterId; readonly callbackId: number };

export interface ManagementCall {
  readonly method: string;
  readonly arg: Uint8Array;
  readonly sender: Principal;
  /** Attached cycles; 0n for ingress. */
  readonly cycles: bigint;
  readonly origin: ManagementOrigin;
}

export type ManagementAnswer =
  /** `keeps`: attached cycles that do not go back. */
  | {
      readonly kind: "reply";
      readonly data: Uint8Array;
      readonly keeps?: bigint;
      readonly instructions?: bigint;
    }
  | { readonly kind: "error"; readonly error: UserError; readonly instructions?: bigint }
  /** To a canister: the text goes as it is. */
  | {
      readonly kind: "reject";
      readonly code: RejectCode;
      readonly message: string;
      readonly instructions?: bigint;
    }
  /** Answered later by somebody else, attached cycles included. */
  | { readonly kind: "pending"; readonly instructions?: bigint };

export type Handler = (round: Round, call: ManagementCall) => ManagementAnswer;

export function failure(error: UserError, instructions = 0n): ManagementAnswer {
  return { kind: "error", error: advised(error), instructions };
}

/** Decodes the argument record or answers IC0408. */
export function decodeArg<T>(call: ManagementCall, read: (record: CandidRecord) => T): Result<T, UserError> {
  const decoded = decodeRecord(call.arg, read);
  return decoded.ok ? decoded : err(invalidPayload(decoded.error));
}

export function findCanister(round: Round, id: Principal): Result<CanisterState, UserError> {
  const canister = round.state.canisters.get(principalKey(id));
  if (canister !== undefined) return ok(canister);
  // Unlike routing, the management canister ends the sentence.
  return err(userError(ErrorCode.CanisterNotFound, `Canister ${principalToText(id)} not found.`));
}

/** Decodes `canister_id` and finds the canister, which the sender must be allowed to control (or read). */
export function controlled<T>(
  round: Round,
  call: ManagementCall,
  read: (record: CandidRecord) => T,
): Result<{ readonly canister: CanisterState; readonly args: T }, UserError> {
  const decoded = decodeArg(call, (record) => ({
    id: required(record, "canister_id", readPrincipal),
    args: read(record),
  }));
  if (!decoded.ok) return decoded;
  const canister = findCanister(round, decoded.value.id);
  if (!canister.ok) return canister;
  const refusal = authorize(round.state.subnet, canister.value.meta, {
    sender: call.sender,
    methodName: call.method,
  });
  return refusal === null ? ok({ canister: canister.value, args: decoded.value.args }) : err(refusal);
}

/** Who is recorded in the history; the version is what the caller said of itself. */
export function historyOrigin(call: ManagementCall, senderVersion: bigint | null): HistoryOrigin {
  if (call.origin.kind === "ingress") return { kind: "user", userId: call.sender };
  return { kind: "canister", canisterId: call.origin.from, canisterVersion: senderVersion };
}
