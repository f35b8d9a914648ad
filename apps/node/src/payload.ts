/**
 * What this node puts into its blocks: waiting ingress messages, and now and then the statistics of the queries that its view
 * answered (interface spec, `canister_status`, "query_stats"). The view is asked beside publications, never waited for.
 */
import type { BlockPayload, Height, QueryStats, TimeNs } from "@orrery/base";
import type { PayloadBuilder } from "@orrery/consensus";

/** Between questions for statistics, block time: each touches the records of the canisters that were queried. */
export const QUERY_STATS_INTERVAL_NS = 1_000_000_000n;

export interface NodePayloadOptions {
  readonly pool: PayloadBuilder;
  /** What queries took since it was last asked. */
  readonly takeQueryStats: () => Promise<readonly QueryStats[]>;
  readonly onFailure: (error: unknown) => void;
}

export class NodePayload implements PayloadBuilder {
  readonly #options: NodePayloadOptions;
  #stats: readonly QueryStats[] = [];
  #askedAt: TimeNs;
  #asking = false;

  constructor(options: NodePayloadOptions & { readonly time: TimeNs }) {
    this.#options = options;
    this.#askedAt = options.time;
  }

  /** The view moved on; `time` is the chain's. */
  published(time: TimeNs): void {
    if (this.#asking || this.#stats.length > 0 || time - this.#askedAt < QUERY_STATS_INTERVAL_NS) return;
    this.#askedAt = time;
    this.#asking = true;
    this.#options.takeQueryStats().then((stats) => {
      this.#stats = stats;
      this.#asking = false;
    }, this.#options.onFailure);
  }

  buildPayload(context: { readonly height: Height; readonly time: TimeNs }): BlockPayload {
    const payload = this.#options.pool.buildPayload(context);
    if (this.#stats.length === 0) return payload;
    const queryStats = this.#stats;
    this.#stats = [];
    return { ...payload, queryStats };
  }
}
