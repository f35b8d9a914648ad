/**
 * Statistics of the queries that this node answered, for blocks that it makes: asked of the view beside publications, never waited for. They are
 * offered to each block until one that has them is final, since not every block that is made becomes so.
 */
import { type BlockPayload, QUERY_STATS_PER_BLOCK_MAX, type QueryStats, type TimeNs } from "@orrery/base";

/** Between questions, block time. */
const INTERVAL_NS: TimeNs = 1_000_000_000n;

export class OwnQueryStats {
  readonly #ask: () => Promise<readonly QueryStats[]>;
  readonly #onFailure: (error: unknown) => void;
  #stats: readonly QueryStats[] = [];
  /** The part of them that goes into a block: the same list until it is final, by which it is known. */
  #offer: readonly QueryStats[] = [];
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

  /** For a block that stands on these, none of which has it. */
  offer(past: readonly BlockPayload[]): readonly QueryStats[] {
    return past.some(({ queryStats }) => queryStats === this.#offer) ? [] : this.#offer;
  }

  /** The block is final. */
  ordered({ queryStats }: BlockPayload): void {
    if (queryStats === this.#offer) this.#next();
  }

  #next(): void {
    this.#offer = this.#stats.slice(0, QUERY_STATS_PER_BLOCK_MAX);
    this.#stats = this.#stats.slice(QUERY_STATS_PER_BLOCK_MAX);
  }

  /** The view moved on; `time` is the chain's. */
  published(time: TimeNs): void {
    if (this.#asking || this.#offer.length > 0 || time - this.#askedAt < INTERVAL_NS) return;
    this.#askedAt = time;
    this.#asking = true;
    this.#ask().then((stats) => {
      this.#stats = stats;
      this.#asking = false;
      this.#next();
    }, this.#onFailure);
  }
}
