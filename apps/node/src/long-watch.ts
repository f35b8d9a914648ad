/**
 * Tells the driver of rounds when executions over rounds that were reported to be behind have come past what their next slice grants
 * (docs/ARCHITECTURE.md "Rounds are driven by work"). Whoever was told that they are behind is told that they are not: also when they came
 * that far between the report and the look after it.
 */
import type { WorkerExecutor } from "@orrery/host/pool";

export type Readiness = "ready" | "behind";

export class LongWatch {
  readonly #executor: Pick<WorkerExecutor, "ready" | "untilNews">;
  readonly #onReady: () => void;
  /** What was said last. */
  #said: Readiness = "ready";
  #watching = false;

  constructor(executor: Pick<WorkerExecutor, "ready" | "untilNews">, onReady: () => void) {
    this.#executor = executor;
    this.#onReady = onReady;
  }

  /** For a report that is on its way. */
  say(): Readiness {
    this.#said = this.#executor.ready() ? "ready" : "behind";
    return this.#said;
  }

  /** After each report: resolves when nothing that was said is out of date. */
  async watch(): Promise<void> {
    if (this.#said === "ready" || this.#watching) return;
    this.#watching = true;
    while (!this.#executor.ready()) await this.#executor.untilNews();
    this.#watching = false;
    this.#correct();
  }

  /** Unless a report has said so meanwhile. */
  #correct(): void {
    if (this.#said === "ready") return;
    this.#said = "ready";
    this.#onReady();
  }
}
