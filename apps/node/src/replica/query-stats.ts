/** Statistics of the queries that this node answered, for a block that it makes: asked of the view beside publications, never waited for. */
import type { QueryStats, TimeNs } from "@orrery/base";

/** Between questions, block time. */
const INTERVAL_NS: TimeNs = 1_000_000_000n;

export class OwnQueryStats {
  readonly #ask: () => Promise<readonly QueryStats[]>;
  readonly #onFailure: (error: unknown) => void;
  #stats: readonly QueryStats[] = [];
  #askedAt: TimeNs;
  #asking = false;

  constructor(options: {
    readonly ask: () => Promise<readonly QueryStats[]>;
    readonly onFailure: (error: unknown) => void;
    readonly time: TimeNs;
  }) {
    this.#ask = options.ask;
    this.#onFailure = options.onFailure;
    this.#askedAt = options.time;
  }

  take(): readonly QueryStats[] {
    const stats = this.#stats;
    this.#stats = [];
    return stats;
  }

  /** The view moved on; `time` is the chain's. */
  published(time: TimeNs): void {
    if (this.#asking || this.#stats.length > 0 || time - this.#askedAt < INTERVAL_NS) return;
    this.#askedAt = time;
    this.#asking = true;
    this.#ask().then((stats) => {
      this.#stats = stats;
      this.#asking = false;
    }, this.#onFailure);
  }
}
