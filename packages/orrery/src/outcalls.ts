/**
 * HTTPS outcalls of an in-process network: what waits, as users see it; what they answer, as a node would have got it; and, where
 * they ask for that, requests that are really made.
 */
import { principalToText } from "@orrery/base";
import { type FetchedOutcall, outcallResponseBytesMax } from "@orrery/execution";
import { createHttpsOutcalls, type OutcallAdapter } from "@orrery/host/outcalls";
import type { Outcall } from "@orrery/state";
import type { Member } from "./inline-network.ts";
import type { OutcallAnswer, OutcallRequest, RealOutcalls } from "./types.ts";

/** Outcalls without an answer, the oldest first. */
export function waitingOutcalls(member: Member): readonly OutcallRequest[] {
  const { subnet } = member.replica;
  const subnetId = principalToText(subnet.subnetId);
  const answered = new Set(member.responses.map(({ outcall }) => outcall));
  return member.replica
    .outcalls()
    .filter(({ id }) => !answered.has(id))
    .map((outcall) => {
      const { id, url, method, headers, body } = outcall;
      const maxResponseBytes = outcallResponseBytesMax(subnet, outcall);
      return { subnetId, id, url, method, headers, body, maxResponseBytes };
    });
}

/** A user's answer, held to the limits that a node holds a server to. */
export function fetchedOf(member: Member, outcall: Outcall, answer: OutcallAnswer): FetchedOutcall {
  if ("rejectCode" in answer) {
    const { rejectCode: code, message } = answer;
    return { kind: "failure", code, message, downloadedBytes: 0, elapsedMs: 0 };
  }
  const { status, headers = [], body = new Uint8Array(0) } = answer;
  const downloadedBytes = headers.reduce(
    (sum, { name, value }) => sum + name.length + value.length,
    body.length,
  );
  const max = outcallResponseBytesMax(member.replica.subnet, outcall);
  if (downloadedBytes > max) {
    const message = `Http body exceeds size limit of ${max} bytes.`;
    return { kind: "failure", code: 1, message, downloadedBytes: max, elapsedMs: 0 };
  }
  return { kind: "response", status, headers, body, downloadedBytes, elapsedMs: 0 };
}

/** Makes outcalls and gives each its answer. */
export class RealWorld {
  readonly #adapter: OutcallAdapter;
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #answer: (request: OutcallRequest, fetched: FetchedOutcall) => void;

  constructor(options: RealOutcalls, answer: (request: OutcallRequest, fetched: FetchedOutcall) => void) {
    this.#adapter = createHttpsOutcalls(options);
    this.#answer = answer;
  }

  /** Makes those that are not being made. */
  begin(requests: readonly OutcallRequest[]): void {
    for (const request of requests) {
      const key = `${request.subnetId} ${request.id}`;
      if (this.#underWay.has(key)) continue;
      const made = this.#adapter.fetch(request).then((fetched) => {
        this.#underWay.delete(key);
        this.#answer(request, fetched);
      });
      this.#underWay.set(key, made);
    }
  }

  /** Resolves when one was answered; null when none is under way. */
  next(): Promise<void> | null {
    return this.#underWay.size === 0 ? null : Promise.race(this.#underWay.values());
  }
}
