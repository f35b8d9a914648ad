/**
 * Work that is done one piece after the other, in turn between those who ask: whoever asks for much waits behind itself, and others
 * wait for one piece of it at most. Its length is bounded by how many requests the HTTPS interface has in flight.
 */
export class Lane {
  /** Waiting pieces by who asked, in the order of turns; no list is empty. */
  readonly #waiting = new Map<string, (() => Promise<void>)[]>();
  #busy = false;

  /** Does `piece` when it is its owner's turn. */
  run<T>(owner: string, piece: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const queue = this.#waiting.get(owner) ?? [];
      this.#waiting.set(owner, queue);
      queue.push(() => piece().then(resolve, reject));
      if (!this.#busy) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#busy = true;
    for (let next = this.#next(); next !== null; next = this.#next()) await next();
    this.#busy = false;
  }

  #next(): (() => Promise<void>) | null {
    for (const [owner, queue] of this.#waiting) {
      const piece = queue.shift();
      this.#waiting.delete(owner);
      // Behind everybody else who waits.
      if (queue.length > 0) this.#waiting.set(owner, queue);
      if (piece !== undefined) return piece;
    }
    return null;
  }
}
