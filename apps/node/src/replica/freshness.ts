/** Answers wait here for a state that is certified and not too old. */
import type { Clock } from "@orrery/base";
import type { Publications } from "./publications.ts";
import { FRESHNESS_NS } from "./rules.ts";

export class Freshness {
  readonly #newest: Pick<Publications, "height" | "time">;
  readonly #clock: Clock;
  #waiters: (() => void)[] = [];
  #stopped = false;

  constructor(newest: Pick<Publications, "height" | "time">, clock: Clock) {
    this.#newest = newest;
    this.#clock = clock;
  }

  /** Null when the newest publication is fresh. */
  wait(): Promise<void> | null {
    return this.#isFresh() ? null : this.#untilFresh();
  }

  published(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
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
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    } while (!this.#stopped && !this.#isFresh());
  }
}
