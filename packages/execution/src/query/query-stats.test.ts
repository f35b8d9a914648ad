/** What queries take is counted on a view, ordered by a block and shown by `canister_status`, the same to everybody. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import {
  type CanisterId,
  canisterIdFromIndex,
  compareBytes,
  MANAGEMENT_CANISTER,
  principalKey,
  QUERY_STATS_PER_BLOCK_MAX,
} from "@orrery/base";
import { decodeCanister, decodeSystem, encodeCanister, encodeSystem, fullStateHash } from "@orrery/state";
import { idArg, TestSubnet } from "../testing/subnet.testkit.ts";
import { COUNTER, rejection, replied, Watched } from "../testing/watched.testkit.ts";
import { QueryStatsCounter } from "./query-stats.ts";

const Status = IDL.Record({
  query_stats: IDL.Record({
    num_calls_total: IDL.Nat,
    num_instructions_total: IDL.Nat,
    request_payload_bytes_total: IDL.Nat,
    response_payload_bytes_total: IDL.Nat,
  }),
});

/** Calls, instructions, bytes in, bytes out. */
function shown(status: Uint8Array): readonly bigint[] {
  const [decoded] = IDL.decode([Status], status) as unknown as [{ query_stats: Record<string, bigint> }];
  const { query_stats: stats } = decoded;
  return ["num_calls_total", "num_instructions_total", "request_payload_bytes_total"]
    .concat("response_payload_bytes_total")
    .map((name) => stats[name] as bigint);
}

describe("query statistics", () => {
  test("reach every reader of the status through a block", () => {
    const watched = new Watched(() => {}, { limits: { queryStatsEpochBlocks: 1 } });
    const { subnet } = watched;
    const id = subnet.installed(COUNTER);
    replied(watched.query(id, "get", new Uint8Array(7)));
    replied(watched.query(id, "get", new Uint8Array(3)));
    rejection(watched.query(id, "trap", new Uint8Array(5)));
    rejection(watched.query(canisterIdFromIndex(99n), "get"));
    const stats = watched.view.takeQueryStats();
    assert.equal(stats.length, 1);
    const [{ canisterId, calls, instructions, requestBytes, responseBytes }] = stats as [(typeof stats)[0]];
    assert.deepEqual(canisterId, id);
    assert.deepEqual([calls, requestBytes, responseBytes], [3n, 15n, 8n]);
    assert.ok(instructions > 0n);
    assert.deepEqual(watched.view.takeQueryStats(), []);
    subnet.round([], 1n, { queryStats: structuredClone(stats) });
    subnet.round([], 1n, { queryStats: structuredClone(stats) });
    const expected = [6n, 2n * instructions, 30n, 16n];
    assert.deepEqual(shown(subnet.reply({ method: "canister_status", arg: idArg(id) })), expected);
    const asQuery = replied(watched.query(MANAGEMENT_CANISTER, "canister_status", idArg(id)));
    assert.deepEqual(shown(asQuery), expected);
    const canister = subnet.canister(id);
    assert.deepEqual(
      decodeCanister(encodeCanister(canister), canister.memory).queryStats,
      canister.queryStats,
    );
  });

  test("of a canister that is gone are dropped, and ordering them changes nothing certified", () => {
    const watched = new Watched(() => {}, { limits: { queryStatsEpochBlocks: 1 } });
    const { subnet } = watched;
    const id = subnet.installed(COUNTER);
    const counts = { calls: 1n, instructions: 2n, requestBytes: 3n, responseBytes: 4n };
    const { delta } = subnet.round([], 1n, {
      queryStats: [id, canisterIdFromIndex(99n)]
        .sort(compareBytes)
        .map((canisterId) => ({ canisterId, ...counts })),
    });
    assert.deepEqual(
      delta.canisters.map(({ meta }) => principalKey(meta.id)),
      [principalKey(id)],
    );
    assert.ok(
      delta.tree.every(({ path }) => path[1] === undefined || principalKey(path[1]) !== principalKey(id)),
    );
  });

  test("of an epoch are shown in its last block, the same after a restart in the middle", () => {
    const counts = { calls: 1n, instructions: 2n, requestBytes: 3n, responseBytes: 4n };
    const run = (restartAt: number | null) => {
      const subnet = new TestSubnet({ limits: { queryStatsEpochBlocks: 5 } });
      const id = subnet.installed(COUNTER);
      while (subnet.state.height % 5 !== 4) subnet.round();
      const seen: bigint[] = [];
      for (let i = 0; i < 10; i++) {
        const queryStats = [id, canisterIdFromIndex(99n)]
          .sort(compareBytes)
          .map((canisterId) => ({ canisterId, ...counts }));
        subnet.round([], 1n, { queryStats });
        seen.push(subnet.canister(id).queryStats.calls);
        if (i !== restartAt) continue;
        const system = decodeSystem(encodeSystem(subnet.state));
        assert.equal(system.epochQueries?.size, 1);
        if (system.epochQueries !== undefined) subnet.state.epochQueries = system.epochQueries;
        subnet.reload(subnet.runner);
      }
      assert.deepEqual(seen, [0n, 0n, 0n, 0n, 5n, 5n, 5n, 5n, 5n, 10n]);
      assert.equal(subnet.state.epochQueries, undefined);
      return {
        hash: fullStateHash(subnet.state, subnet.arena),
        status: shown(subnet.reply({ method: "canister_status", arg: idArg(id) })),
      };
    };
    assert.deepEqual(run(null), run(7));
    assert.deepEqual(run(null).status, [10n, 20n, 30n, 40n]);
  });

  test("are taken as many at a time as a block may hold, by id", () => {
    const counter = new QueryStatsCounter();
    for (let i = QUERY_STATS_PER_BLOCK_MAX + 4; i >= 0; i--) {
      counter.count(
        { canisterId: canisterIdFromIndex(BigInt(i)) as CanisterId, arg: new Uint8Array(1) },
        1n,
        null,
      );
    }
    const first = counter.take();
    assert.equal(first.length, QUERY_STATS_PER_BLOCK_MAX);
    const ids = first.map(({ canisterId }) => canisterId);
    assert.deepEqual(ids, [...ids].sort(compareBytes));
    assert.equal(counter.take().length, 5);
    assert.deepEqual(counter.take(), []);
  });
});
