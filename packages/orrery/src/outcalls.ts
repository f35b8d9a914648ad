/** HTTPS outcalls of an in-process network that are really made. */
import type { FetchedOutcall } from "@orrery/execution";
import { createHttpsOutcalls, type OutcallAdapter } from "@orrery/host/outcalls";
import type { OutcallAnswer as Answer } from "@orrery/sim/instance";
import type { OutcallRequest, RealOutcalls } from "./types.ts";

/** What a request really brought. */
function fetchedAnswer(fetched: FetchedOutcall): Answer {
  if (fetched.kind === "response") return fetched;
  return { ...fetched, kind: "reject" };
}

/** Makes outcalls and gives each its answer. */
export class RealWorld {
  readonly #adapter: OutcallAdapter;
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #answer: (request: OutcallRequest, answer: Answer) => void;

  constructor(options: RealOutcalls, answer: (request: OutcallRequest, answer: Answer) => void) {
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
        this.#answer(request, fetchedAnswer(fetched));
      });
      this.#underWay.set(key, made);
    }
  }

  /** Resolves when one was answered; null when none is under way. */
  next(): Promise<void> | null {
    return this.#underWay.size === 0 ? null : Promise.race(this.#underWay.values());
  }

  close(): void {
    this.#adapter.close();
  }
}
