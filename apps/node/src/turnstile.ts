/**
 * Requests come in one turn of the event loop as many as there are clients, and each costs main its decoding, its hash and its signature:
 * so much of it is done in a turn, and the rest in the next ones, between which rounds go on (docs/ARCHITECTURE.md "Threads of a node").
 * Requests keep their order.
 */

/** Of main's time for each turn, beside the last request that begins in it. */
const TURN_MS_MAX = 4;

export interface TurnstileOptions {
  readonly nowMs: () => number;
  /** Runs what it is given in the next turn of the event loop. */
  readonly nextTurn: (action: () => void) => void;
}

export class Turnstile {
  readonly #options: TurnstileOptions;
  /** Those that came when the turn was used up. */
  readonly #waiting: (() => void)[] = [];
  #spentMs = 0;
  #isNextTurnAwaited = false;

  constructor(options: TurnstileOptions) {
    this.#options = options;
  }

  /** Runs `task` now, while the turn has time for it and nobody waits, or later; what it throws rejects the promise. */
  pass<T>(task: () => T | Promise<T>): T | Promise<T> {
    if (this.#waiting.length === 0 && this.#spentMs < TURN_MS_MAX) return this.#timed(task);
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push(() => {
        try {
          resolve(this.#timed(task));
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  #timed<T>(task: () => T): T {
    this.#awaitNextTurn();
    const start = this.#options.nowMs();
    try {
      return task();
    } finally {
      this.#spentMs += this.#options.nowMs() - start;
    }
  }

  #awaitNextTurn(): void {
    if (this.#isNextTurnAwaited) return;
    this.#isNextTurnAwaited = true;
    this.#options.nextTurn(() => {
      this.#isNextTurnAwaited = false;
      this.#spentMs = 0;
      while (this.#spentMs < TURN_MS_MAX) {
        const next = this.#waiting.shift();
        if (next === undefined) return;
        next();
      }
      this.#awaitNextTurn();
    });
  }
}
