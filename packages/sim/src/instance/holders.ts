/** A network and its forks, as far as they share what somebody has to give back at their end. */
export class Holders {
  readonly #onGone: () => void;
  #count = 0;

  /** `onGone`: called once, when the last has left. */
  constructor(onGone: () => void) {
    this.#onGone = onGone;
  }

  join(): void {
    this.#count++;
  }

  /** Whether it was the last. */
  leave(): boolean {
    const isLast = --this.#count === 0;
    if (isLast) this.#onGone();
    return isLast;
  }
}
