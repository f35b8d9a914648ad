/** How much one thread may send to another ahead of what that has taken: so much, and then as much as it takes. */
export class Credit {
  #left: number;
  #isClosed = false;
  #wake: (() => void) | null = null;

  constructor(left: number) {
    this.#left = left;
  }

  /** The other side is gone. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** One more was taken. */
  returned(): void {
    this.#left++;
    this.#wake?.();
  }

  /** Whoever waits need not wait any more. */
  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }

  /** One more was sent. Resolves when there may be another one, or nobody is there for it; one waits at a time. */
  async spent(): Promise<void> {
    this.#left--;
    while (this.#left <= 0 && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
