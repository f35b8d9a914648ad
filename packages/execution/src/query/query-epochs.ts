/**
 * Query statistics in the state (interface spec, `canister_status`, "query_stats"): what blocks tell of queries is kept apart for an
 * epoch of so many blocks and counts for the canisters in the last block of it, as the replica aggregates what its nodes tell. Of
 * canisters that are gone by then nothing is left.
 */
import { type PrincipalKey, principalKey, type QueryStats } from "@orrery/base";
import { type QuerySums, type ReplicatedState, touch } from "@orrery/state";

const NOTHING: QuerySums = { calls: 0n, instructions: 0n, requestBytes: 0n, responseBytes: 0n };

function added(a: QuerySums, b: QuerySums): QuerySums {
  return {
    calls: a.calls + b.calls,
    instructions: a.instructions + b.instructions,
    requestBytes: a.requestBytes + b.requestBytes,
    responseBytes: a.responseBytes + b.responseBytes,
  };
}

/** Takes what the block at the state's height tells; `epochBlocks`: 1 counts every block's at once. */
export function addQueryStats(
  state: ReplicatedState,
  stats: readonly QueryStats[],
  epochBlocks: number,
): void {
  const sums = new Map(state.epochQueries);
  for (const { canisterId, ...told } of stats) {
    const key: PrincipalKey = principalKey(canisterId);
    if (state.canisters.has(key)) sums.set(key, added(sums.get(key) ?? NOTHING, told));
  }
  if ((state.height + 1) % epochBlocks !== 0) {
    if (sums.size > 0) state.epochQueries = sums;
    return;
  }
  delete state.epochQueries;
  for (const key of [...sums.keys()].sort()) {
    const canister = state.canisters.get(key);
    if (canister === undefined) continue;
    canister.queryStats = added(canister.queryStats, sums.get(key) ?? NOTHING);
    touch(state, canister);
  }
}
