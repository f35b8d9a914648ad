/** Clients waiting for the answer of a request; resolved when a height that answered it is published. */
import { type RequestId, toHex } from "@orrery/base";
import type { AnswerWait } from "@orrery/http";

/** Waiting clients at once; the connection limit of the HTTP server keeps it far below. */
const WATCHERS_MAX = 100_000;

export class Watchers {
  readonly #waiting = new Map<string, Set<(answered: boolean) => void>>();
  #count = 0;

  get size(): number {
    return this.#count;
  }

  watch(requestId: RequestId, timeoutMs: number): AnswerWait {
    const key = toHex(requestId);
    if (this.#count >= WATCHERS_MAX) return { answered: Promise.resolve(false), cancel: () => {} };
    let cancel = (): void => {};
    const answered = new Promise<boolean>((resolve) => {
      const finish = (value: boolean): void => {
        clearTimeout(timer);
        const set = this.#waiting.get(key);
        if (set?.delete(finish) === true) this.#count--;
        if (set?.size === 0) this.#waiting.delete(key);
        resolve(value);
      };
      const timer = setTimeout(() => finish(false), timeoutMs);
      const set = this.#waiting.get(key) ?? new Set();
      set.add(finish);
      this.#waiting.set(key, set);
      this.#count++;
      cancel = () => finish(false);
    });
    return { answered, cancel };
  }

  /** The request ids are terminal in the published state. */
  resolve(keys: readonly string[]): void {
    if (this.#count === 0) return;
    for (const key of keys) for (const finish of [...(this.#waiting.get(key) ?? [])]) finish(true);
  }

  cancelAll(): void {
    for (const key of [...this.#waiting.keys()]) {
      for (const finish of [...(this.#waiting.get(key) ?? [])]) finish(false);
    }
  }
}
