/** One timer that is set again and again. */
export class Alarm {
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(ring: () => void) {
    this.#ring = ring;
  }

  get isSet(): boolean {
    return this.#timer !== null;
  }

  /** In place of an earlier time; null: not at all. */
  set(afterMs: number | null): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (afterMs === null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#ring();
    }, afterMs);
  }
}
