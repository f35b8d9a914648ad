/** Answers wait here for a state that is certified and not too old. */
import type { Clock, Height } from "@orrery/base";
import type { Publications } from "./publications.ts";
import { FRESHNESS_NS } from "./rules.ts";

/** How long an answer waits for what other nodes may have shown: a block at rest, and as long again. */
const CAUGHT_UP_MS_MAX = 2_000;

export class Freshness {
  readonly #newest: Pick<Publications, "height" | "time">;
  readonly #clock: Clock;
  #waiters = new Set<() => void>();
  #stopped = false;

  constructor(newest: Pick<Publications, "height" | "time">, clock: Clock) {
    this.#newest = newest;
    this.#clock = clock;
  }

  /** Null when the newest publication is fresh. */
  wait(): Promise<void> | null {
    return this.#isFresh() ? null : this.#untilFresh();
  }

  /**
   * Until what another node may have shown is shown here, and no longer than `waitMs`. `delivered`: the newest block that is known here to be
   * final; another node may be one ahead without a word of it here.
   */
  catchUp(delivered: Height, waitMs: number = CAUGHT_UP_MS_MAX): Promise<void> {
    const height = Math.max(delivered, (this.#newest.height ?? 0) + 1);
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = (): void => {
      this.#waiters.delete(look);
      clearTimeout(timer);
      resolve();
    };
    const look = (): void => {
      if (this.#stopped || (this.#newest.height ?? 0) >= height) end();
      else this.#waiters.add(look);
    };
    const timer = setTimeout(end, waitMs);
    look();
    return promise;
  }

  published(): void {
    const waiters = this.#waiters;
    this.#waiters = new Set();
    for (const resolve of waiters) resolve();
  }

  /** Nobody waits any more. */
  stop(): void {
    this.#stopped = true;
    this.published();
  }

  #isFresh(): boolean {
    const { height, time } = this.#newest;
    return height !== null && this.#clock.now() - time <= FRESHNESS_NS;
  }

  async #untilFresh(): Promise<void> {
    do {
      await new Promise<void>((resolve) => {
        this.#waiters.add(resolve);
      });
    } while (!this.#stopped && !this.#isFresh());
  }
}
