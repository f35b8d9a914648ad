/** Timers for tests: time passes when it is told to. */
import type { Timers } from "./connections.ts";

export class TestTimers implements Timers {
  #nowMs = 1_000;
  readonly #calls = new Set<{ readonly atMs: number; readonly call: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, call: () => void): () => void {
    const entry = { atMs: this.#nowMs + ms, call };
    this.#calls.add(entry);
    return () => this.#calls.delete(entry);
  }

  advance(ms: number): void {
    const end = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#calls].filter(({ atMs }) => atMs <= end).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#calls.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.call();
    }
    this.#nowMs = end;
  }

  /** The process stands still for so long, and then calls what is due. */
  stall(ms: number): void {
    this.#nowMs += ms;
    const due = [...this.#calls].filter(({ atMs }) => atMs <= this.#nowMs).sort((a, b) => a.atMs - b.atMs);
    for (const entry of due) if (this.#calls.delete(entry)) entry.call();
  }
}
