/**
 * HTTPS outcalls of a network in one place: what waits, and what an answer comes to. One answer stands for all nodes; with one for
 * each, so many have to agree after the caller's transform as the subnet's consensus asks for.
 */
import { equalBytes, OrreryError, type OutcallResponse, principalToText } from "@orrery/base";
import {
  type FetchedOutcall,
  outcallContentHash,
  outcallDivergence,
  outcallResponseBytesMax,
  outcallVerdict,
} from "@orrery/execution";
import type { Outcall } from "@orrery/state";
import { kindFacts } from "./places.ts";
import type { Replica } from "./replica.ts";
import type { OutcallAnswer, PendingOutcall } from "./types.ts";

/** Outcalls without an answer, the oldest first. */
export function pendingOutcalls({ place, info, state, responses }: Replica): readonly PendingOutcall[] {
  const answered = new Set(responses.map(({ outcall }) => outcall));
  return [...state.outcalls.values()]
    .filter(({ id }) => !answered.has(id))
    .sort((a, b) => a.id - b.id)
    .map((outcall) => {
      const { id, url, method, headers, body, maxResponseBytes } = outcall;
      const downloadBytesMax = outcallResponseBytesMax(info, outcall);
      return { subnetId: place.id, id, url, method, headers, body, maxResponseBytes, downloadBytesMax };
    });
}

/** Answers an outcall for the next round. `outcall_unknown`, `outcall_answers`. */
export function answerPending(replica: Replica, id: number, answers: readonly OutcallAnswer[]): void {
  const outcall = replica.state.outcalls.get(id);
  if (outcall === undefined || replica.responses.some((one) => one.outcall === id)) {
    throw new OrreryError(
      "outcall_unknown",
      `no outcall ${id} of subnet ${principalToText(replica.place.id)} waits for an answer: see the pending ones`,
      { data: { id } },
    );
  }
  const { size } = kindFacts(replica.place.kind);
  if (answers.length !== 1 && answers.length !== size) {
    throw new OrreryError(
      "outcall_answers",
      `an outcall of this subnet takes one answer or ${size}, one for each node, not ${answers.length}`,
      { data: { given: answers.length, nodes: size } },
    );
  }
  const responses = answers.map((answer) => responseOf(replica, outcall, answer));
  replica.responses.push(agreed(outcall, responses, size));
}

function responseOf(replica: Replica, outcall: Outcall, answer: OutcallAnswer): OutcallResponse {
  if (answer.kind === "response")
    return replica.view.answerOutcall(outcall, fetchedOf(replica, outcall, answer));
  const { code, message, downloadedBytes = 0, elapsedMs = 0 } = answer;
  if (code === 1 || code === 2) {
    return replica.view.answerOutcall(outcall, {
      kind: "failure",
      code,
      message,
      downloadedBytes,
      elapsedMs,
    });
  }
  if (code === 6) {
    throw new OrreryError(
      "outcall_answers",
      "reject code 6 says that an outcome is not known: take one of 1 to 5",
    );
  }
  return { outcall: outcall.id, spent: 0n, content: { kind: "reject", code, message } };
}

/** An answer, held to the limits that a node holds a server to. */
function fetchedOf(
  { info }: Replica,
  outcall: Outcall,
  answer: Extract<OutcallAnswer, { kind: "response" }>,
): FetchedOutcall {
  const { status, headers, body, elapsedMs = 0 } = answer;
  const size = headers.reduce((sum, { name, value }) => sum + name.length + value.length, body.length);
  const downloadedBytes = answer.downloadedBytes ?? size;
  const max = outcallResponseBytesMax(info, outcall);
  if (downloadedBytes > max) {
    const message = `Http body exceeds size limit of ${max} bytes.`;
    return { kind: "failure", code: 1, message, downloadedBytes: max, elapsedMs };
  }
  return { kind: "response", status, headers, body, downloadedBytes, elapsedMs };
}

/** What a subnet of `size` nodes agrees on, or that it does not. */
function agreed(outcall: Outcall, responses: readonly OutcallResponse[], size: number): OutcallResponse {
  const [first] = responses as readonly [OutcallResponse, ...OutcallResponse[]];
  if (responses.length === 1) return first;
  const hashes = responses.map(({ content }) => outcallContentHash(content));
  const verdict = outcallVerdict(hashes, size);
  if (verdict.kind === "agreed")
    return responses[hashes.findIndex((hash) => equalBytes(hash, verdict.hash))] as OutcallResponse;
  return { outcall: outcall.id, spent: 0n, content: outcallDivergence(outcall, hashes) };
}
