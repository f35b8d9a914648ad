/**
 * What the queries of one thread took, by canister, until a block orders the sums (interface spec, `canister_status`,
 * "query_stats"). Every call of a composite query counts for its own callee. Bounded: by the canisters that exist.
 */
import {
  type CanisterId,
  compareBytes,
  type PrincipalKey,
  principalKey,
  QUERY_STATS_PER_BLOCK_MAX,
  type QueryStats,
  utf8,
} from "@orrery/base";
import type { ResponseGiven } from "../types.ts";

interface Sums {
  readonly canisterId: CanisterId;
  calls: bigint;
  instructions: bigint;
  requestBytes: bigint;
  responseBytes: bigint;
}

export class QueryStatsCounter {
  readonly #sums = new Map<PrincipalKey, Sums>();

  /** `response` is null when the canister gave none. */
  count(
    call: { readonly canisterId: CanisterId; readonly arg: Uint8Array },
    instructions: bigint,
    response: ResponseGiven | null,
  ): void {
    const key = principalKey(call.canisterId);
    let sums = this.#sums.get(key);
    if (sums === undefined) {
      sums = {
        canisterId: call.canisterId.slice() as CanisterId,
        calls: 0n,
        instructions: 0n,
        requestBytes: 0n,
        responseBytes: 0n,
      };
      this.#sums.set(key, sums);
    }
    sums.calls++;
    sums.instructions += instructions;
    sums.requestBytes += BigInt(call.arg.length);
    if (response !== null)
      sums.responseBytes += BigInt(
        response.kind === "reply" ? response.data.length : utf8(response.message).length,
      );
  }

  /** For one block, by ascending id, as many as it may hold; what was taken is not counted again. */
  take(): QueryStats[] {
    const taken = [...this.#sums.values()].slice(0, QUERY_STATS_PER_BLOCK_MAX);
    for (const { canisterId } of taken) this.#sums.delete(principalKey(canisterId));
    return taken.sort((a, b) => compareBytes(a.canisterId, b.canisterId));
  }
}
