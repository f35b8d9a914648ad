/**
 * What this node puts into a subnet's blocks: waiting ingress messages, slices of other subnets' streams, answers to
 * HTTPS outcalls, and now and then the
 * statistics of the queries that its view answered (interface spec, `canister_status`, "query_stats"). The view is asked beside publications, never waited for.
 */
import type { BlockPayload, Height, OutcallResponse, QueryStats, TimeNs } from "@orrery/base";
import type { PayloadBuilder } from "@orrery/consensus";

/** Between questions for statistics, block time: each touches the records of the canisters that were queried. */
export const QUERY_STATS_INTERVAL_NS = 1_000_000_000n;

export interface NodePayloadOptions {
  readonly pool: PayloadBuilder;
  /** Slices for the block at the height, within the block's limits. */
  readonly takeSlices: (height: Height) => readonly Uint8Array[];
  /** What queries took since it was last asked. */
  readonly takeQueryStats: () => Promise<readonly QueryStats[]>;
  /** Answers to outcalls, within the block's limits. */
  readonly takeResponses: () => readonly OutcallResponse[];
  /** Whether executions over rounds get no slices in the block. */
  readonly holdsLong: () => boolean;
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
    const xnet = this.#options.takeSlices(context.height);
    const responses = this.#options.takeResponses();
    const queryStats = this.#stats;
    this.#stats = [];
    return {
      ...payload,
      ...(queryStats.length === 0 ? {} : { queryStats }),
      ...(xnet.length === 0 ? {} : { xnet }),
      ...(responses.length === 0 ? {} : { responses }),
      ...(this.#options.holdsLong() ? { holdsLong: true } : {}),
    };
  }
}
