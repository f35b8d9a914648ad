/**
 * HTTPS outcalls of one subnet on a node's main thread (interface spec, "http_request"): made once their round is published, answered
 * through the view, and then waiting for a block. After a restart those that the state still waits for are made again; the state
 * takes one answer for each, or none when its time is up.
 */
import {
  type Height,
  type OutcallResponse,
  RESPONSE_BYTES_PER_BLOCK_MAX,
  RESPONSES_PER_BLOCK_MAX,
  responseBytes,
} from "@orrery/base";
import type { FetchedOutcall } from "@orrery/execution";
import type { HttpsOutcallOptions, OutcallAdapter } from "@orrery/host/outcalls";
import type { Outcall } from "@orrery/state";
import type { StartedOutcall } from "./protocol.ts";

export interface OutcallsOptions {
  readonly adapter: OutcallAdapter;
  /** Transforms and prices what was fetched, on the newest published state. */
  readonly answer: (outcall: Outcall, fetched: FetchedOutcall) => Promise<OutcallResponse | null>;
  /** An answer waits for a block. */
  readonly onReady: () => void;
  readonly onFailure: (error: unknown) => void;
}

export class Outcalls {
  readonly #options: OutcallsOptions;
  /** Under way or waiting for a block, and not ended. */
  readonly #open = new Set<number>();
  readonly #ready = new Map<number, OutcallResponse>();
  /** Begun at heights that are not published yet. */
  readonly #expected = new Map<Height, readonly StartedOutcall[]>();
  #stopped = false;

  constructor(options: OutcallsOptions) {
    this.#options = options;
  }

  /** Answers that wait for a block. */
  waiting(): number {
    return this.#ready.size;
  }

  /** Made and not answered yet. */
  get underWay(): number {
    return this.#open.size - this.#ready.size;
  }

  /** These are begun once this height is published. */
  expect(height: Height, outcalls: readonly StartedOutcall[]): void {
    if (outcalls.length > 0) this.#expected.set(height, outcalls);
  }

  /** And the heights below. */
  published(height: Height): void {
    for (const [at, outcalls] of this.#expected) {
      if (at > height) continue;
      this.#expected.delete(at);
      this.begin(outcalls);
    }
  }

  /** The state waits for these at a published height. */
  begin(outcalls: readonly StartedOutcall[]): void {
    for (const started of outcalls) {
      if (this.#stopped) return;
      this.#open.add(started.outcall.id);
      this.#make(started).catch((error: unknown) => {
        // Threads that end with the node fail what they were asked.
        if (!this.#stopped) this.#options.onFailure(error);
      });
    }
  }

  /** The state does not wait for these any more, whether or not they have begun. */
  end(ids: readonly number[]): void {
    if (ids.length === 0) return;
    for (const id of ids) {
      this.#open.delete(id);
      this.#ready.delete(id);
    }
    const ended = new Set(ids);
    for (const [height, expected] of this.#expected) {
      this.#expected.set(
        height,
        expected.filter(({ outcall }) => !ended.has(outcall.id)),
      );
    }
  }

  /** For the next block, within its limits, by ascending number. */
  take(): readonly OutcallResponse[] {
    const taken: OutcallResponse[] = [];
    let bytes = 0;
    for (const response of [...this.#ready.values()].sort((a, b) => a.outcall - b.outcall)) {
      bytes += responseBytes(response);
      if (taken.length >= RESPONSES_PER_BLOCK_MAX || bytes > RESPONSE_BYTES_PER_BLOCK_MAX) break;
      taken.push(response);
    }
    for (const { outcall } of taken) this.#ready.delete(outcall);
    return taken;
  }

  stop(): void {
    this.#stopped = true;
  }

  async #make({ outcall, maxResponseBytes }: StartedOutcall): Promise<void> {
    const { adapter } = this.#options;
    const { url, method, headers, body } = outcall;
    const fetched = await adapter.fetch({ url, method, headers, body, maxResponseBytes });
    if (this.#stopped || !this.#open.has(outcall.id)) return;
    const response = await this.#options.answer(outcall, fetched);
    if (this.#stopped || response === null || !this.#open.has(outcall.id)) return;
    this.#ready.set(outcall.id, response);
    this.#options.onReady();
  }
}

/** The real adapter; its code is loaded when a canister first makes an outcall. */
export function lazyOutcalls(options: HttpsOutcallOptions): OutcallAdapter {
  let adapter: Promise<OutcallAdapter> | null = null;
  return {
    async fetch(request): Promise<FetchedOutcall> {
      adapter ??= import("@orrery/host/outcalls").then(({ createHttpsOutcalls }) =>
        createHttpsOutcalls(options),
      );
      return await (await adapter).fetch(request);
    },
    close(): void {
      void adapter?.then((made) => made.close());
    },
  };
}
