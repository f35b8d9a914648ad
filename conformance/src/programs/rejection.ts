/** How the published client reports a rejected call (interface spec, "Reject codes", "Request status"): the parts tests compare. */
import assert from "node:assert/strict";
import {
  AgentError,
  CertifiedRejectErrorCode,
  UncertifiedRejectErrorCode,
  UncertifiedRejectUpdateErrorCode,
} from "@icp-sdk/core/agent";

export interface Rejection {
  /** Where the answer came from: a certificate, a signed query answer, or the refusal to take an update. */
  readonly by: "certificate" | "query" | "refusal";
  readonly code: number;
  readonly errorCode: string | undefined;
  readonly message: string;
}

/** What a call was rejected with; fails when it was answered, or failed in another way. */
export async function rejectionOf(call: Promise<unknown>): Promise<Rejection> {
  const outcome = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!("error" in outcome)) assert.fail(`expected a rejection, got a reply: ${String(outcome.value)}`);
  const { error } = outcome;
  if (!(error instanceof AgentError)) throw error;
  const { code } = error.cause;
  const parts = (by: Rejection["by"], reject: CertifiedRejectErrorCode | UncertifiedRejectErrorCode) => ({
    by,
    code: Number(reject.rejectCode),
    errorCode: reject.rejectErrorCode,
    message: reject.rejectMessage,
  });
  if (code instanceof CertifiedRejectErrorCode) return parts("certificate", code);
  if (code instanceof UncertifiedRejectErrorCode) return parts("query", code);
  if (code instanceof UncertifiedRejectUpdateErrorCode)
    return parts("refusal", code as unknown as CertifiedRejectErrorCode);
  throw error;
}
