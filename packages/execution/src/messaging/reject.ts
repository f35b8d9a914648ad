/**
 * How failures are told (interface spec, "Reject codes"; texts as the replica words them). A user sees code and text apart; a
 * canister whose callee failed in execution sees the code as a prefix of the text. Rejects made in routing have no prefix.
 */
import { type CanisterId, principalToText, utf8, utf8DecodeLossy } from "@orrery/base";
import type { CanisterMeta, IngressStatus, RejectCode, ResponsePayload } from "@orrery/state";
import { ErrorCode, errorCodeText, rejectCodeOf, type UserError, userError } from "../error-codes.ts";
import { REJECT_TEXT_BYTES_MAX } from "../limits.ts";
import { formatExecutionError } from "../system-api/failure.ts";

/** Of a text that is too long, three quarters of the room show its head and one quarter its tail. */
export function boundedText(text: string): string {
  if (text.length * 3 <= REJECT_TEXT_BYTES_MAX) return text;
  const bytes = utf8(text);
  if (bytes.length <= REJECT_TEXT_BYTES_MAX) return text;
  const ellipsis = "...";
  const head = Math.floor((REJECT_TEXT_BYTES_MAX * 3) / 4);
  const tail = REJECT_TEXT_BYTES_MAX - head - ellipsis.length;
  const headText = utf8DecodeLossy(bytes.subarray(0, characterStart(bytes, head)));
  const tailText = utf8DecodeLossy(bytes.subarray(characterStart(bytes, bytes.length - tail + 3)));
  return `${headText}${ellipsis}${tailText}`;
}

/** The start of the character that byte `at` belongs to. */
function characterStart(bytes: Uint8Array, at: number): number {
  let start = at;
  while (start > 0 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start--;
  return start;
}

/** What a calling canister is told about an error in its callee's execution. */
export function rejectFromError(error: UserError): ResponsePayload {
  return {
    kind: "reject",
    code: rejectCodeOf(error.code),
    message: boundedText(`${errorCodeText(error.code)}: ${error.message}`),
  };
}

/** The request status that tells an error to a user. */
export function statusFromError(error: UserError): IngressStatus {
  return {
    kind: "rejected",
    code: rejectCodeOf(error.code),
    message: boundedText(error.message),
    errorCode: errorCodeText(error.code),
  };
}

/** A reject that the canister itself gave by `msg_reject`. */
export function statusFromCanisterReject(message: string): IngressStatus {
  return {
    kind: "rejected",
    code: 4,
    message: boundedText(message),
    errorCode: errorCodeText(ErrorCode.CanisterRejectedMessage),
  };
}

export function routingReject(code: RejectCode, message: string): ResponsePayload {
  return { kind: "reject", code, message: boundedText(message) };
}

/** What a calling canister is told when there is no response; users hear more (`didNotReply`). */
export const NO_RESPONSE: ResponsePayload = { kind: "reject", code: 5, message: "No response" };

export function didNotReply(canister: CanisterId): UserError {
  return userError(
    ErrorCode.CanisterDidNotReply,
    `Canister ${principalToText(canister)} did not reply to the call`,
  );
}

export function notFound(canister: CanisterId): UserError {
  return userError(ErrorCode.CanisterNotFound, `Canister ${principalToText(canister)} not found`);
}

export function stopped(canister: CanisterId): UserError {
  return userError(ErrorCode.CanisterStopped, `Canister ${principalToText(canister)} is stopped`);
}

export function stopping(canister: CanisterId): UserError {
  return userError(ErrorCode.CanisterStopping, `Canister ${principalToText(canister)} is stopping`);
}

/** What a canister that does not take calls any more says to one that was queued before. */
export function notRunning({ id, status }: Pick<CanisterMeta, "id" | "status">): UserError {
  const code = status.kind === "stopped" ? ErrorCode.CanisterStopped : ErrorCode.CanisterStopping;
  return userError(code, `Canister ${principalToText(id)} is not running`);
}

/** Wraps what went wrong inside a canister, with the advice that the replica adds. */
export function executionError(
  canister: CanisterId,
  options: { readonly code: ErrorCode; readonly what: string; readonly help?: string },
): UserError {
  const text = `Error from Canister ${principalToText(canister)}: ${options.what}`;
  return userError(options.code, options.help === undefined ? text : `${text}.\n${options.help}`);
}

export function noModule(canister: CanisterId): UserError {
  return formatExecutionError(canister, { kind: "wasm_module_not_found" });
}

export function methodNotFound(
  canister: CanisterId,
  kind: "update" | "query" | "composite_query",
  name: string,
): UserError {
  return formatExecutionError(canister, { kind: "method_not_found", method: kind, name });
}
