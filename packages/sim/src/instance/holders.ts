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

  leave(): void {
    if (--this.#count === 0) this.#onGone();
  }
}
