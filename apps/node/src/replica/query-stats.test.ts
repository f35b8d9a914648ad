import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, QUERY_STATS_PER_BLOCK_MAX, type QueryStats } from "@orrery/base";
import { OwnQueryStats } from "./query-stats.ts";

const SECOND = 1_000_000_000n;

function statistics(count: number): readonly QueryStats[] {
  return Array.from({ length: count }, (_, i) => ({
    canisterId: Uint8Array.of(i >> 8, i & 255) as Uint8Array as CanisterId,
    calls: 1n,
    instructions: 2n,
    requestBytes: 3n,
    responseBytes: 4n,
  }));
}

/** Asks of the view are answered with these, in turn. */
function own(answers: (readonly QueryStats[])[]): {
  stats: OwnQueryStats;
  ask: (at: bigint) => Promise<void>;
} {
  const stats = new OwnQueryStats({
    ask: async () => answers.shift() ?? [],
    onFailure: (error) => assert.fail(`${error}`),
    time: 0n,
  });
  return {
    stats,
    async ask(at) {
      stats.published(at);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test("statistics are offered until a block that has them is final, once in a chain", async () => {
  const { stats, ask } = own([statistics(2), statistics(1)]);
  assert.deepEqual(stats.offer([]), []);
  await ask(SECOND);
  const first = { ingress: [], queryStats: stats.offer([]) };
  assert.deepEqual(first.queryStats, statistics(2));
  // A block that stands on it has them already; one that stands on another does not.
  assert.deepEqual(stats.offer([{ ingress: [] }, first]), []);
  assert.equal(stats.offer([{ ingress: [], queryStats: statistics(2) }]), first.queryStats);
  stats.ordered({ ingress: [] });
  await ask(3n * SECOND);
  assert.equal(stats.offer([]), first.queryStats);
  stats.ordered(first);
  assert.deepEqual(stats.offer([]), []);
  await ask(5n * SECOND);
  assert.deepEqual(stats.offer([]), statistics(1));
});

test("what does not fit into one block goes into the next", async () => {
  const { stats, ask } = own([statistics(QUERY_STATS_PER_BLOCK_MAX + 3)]);
  await ask(SECOND);
  const queryStats = stats.offer([]);
  assert.equal(queryStats.length, QUERY_STATS_PER_BLOCK_MAX);
  stats.ordered({ ingress: [], queryStats });
  assert.equal(stats.offer([]).length, 3);
});
