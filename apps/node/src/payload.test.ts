/** Statistics of queries are asked for at most once in an interval and go into one block. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, OrreryError, type OutcallResponse, type QueryStats } from "@orrery/base";
import { NodePayload, QUERY_STATS_INTERVAL_NS } from "./payload.ts";

const START = 1_000n;
const STATS: QueryStats = {
  canisterId: new Uint8Array(10) as CanisterId,
  calls: 1n,
  instructions: 2n,
  requestBytes: 3n,
  responseBytes: 4n,
};

function payload(
  answers: (readonly QueryStats[] | Error)[],
  waiting?: readonly OutcallResponse[],
  holdsLong = false,
): {
  readonly payload: NodePayload;
  readonly failures: unknown[];
  build(): unknown;
} {
  const failures: unknown[] = [];
  const responses = [...(waiting ?? [])];
  const made = new NodePayload({
    pool: { buildPayload: ({ height }) => ({ ingress: [Uint8Array.of(height)] }) },
    takeSlices: (height) => (height === 7 ? [] : [Uint8Array.of(height)]),
    takeResponses: () => responses.splice(0),
    async takeQueryStats(): Promise<readonly QueryStats[]> {
      const answer = answers.shift();
      if (!Array.isArray(answer)) throw answer ?? new Error("asked too often");
      return answer as readonly QueryStats[];
    },
    onFailure: (error) => failures.push(error),
    holdsLong: () => holdsLong,
    time: START,
  });
  return { payload: made, failures, build: () => made.buildPayload({ height: 7, time: START }) };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("statistics are in one block, messages in every one", async () => {
  const { payload: made, failures, build } = payload([[STATS], []]);
  made.published(START + QUERY_STATS_INTERVAL_NS - 1n);
  await settled();
  assert.deepEqual(build(), { ingress: [Uint8Array.of(7)] });
  const asked = START + QUERY_STATS_INTERVAL_NS;
  made.published(asked);
  made.published(asked + QUERY_STATS_INTERVAL_NS);
  await settled();
  // What is not in a block yet is not asked for over again.
  made.published(asked + 2n * QUERY_STATS_INTERVAL_NS);
  await settled();
  assert.deepEqual(build(), { ingress: [Uint8Array.of(7)], queryStats: [STATS] });
  assert.deepEqual(build(), { ingress: [Uint8Array.of(7)] });
  made.published(asked + 2n * QUERY_STATS_INTERVAL_NS);
  await settled();
  assert.deepEqual(build(), { ingress: [Uint8Array.of(7)] });
  assert.deepEqual(failures, []);
});

test("slices are beside the messages", () => {
  const { payload: made } = payload([]);
  assert.deepEqual(made.buildPayload({ height: 8, time: START }), {
    ingress: [Uint8Array.of(8)],
    xnet: [Uint8Array.of(8)],
  });
});

test("a block says that it holds executions over rounds", () => {
  const { payload: made } = payload([], [], true);
  assert.deepEqual(made.buildPayload({ height: 7, time: START }), {
    ingress: [Uint8Array.of(7)],
    holdsLong: true,
  });
});

test("a view that cannot answer is the node's failure", async () => {
  const error = new OrreryError("internal", "gone");
  const { payload: made, failures } = payload([error]);
  made.published(START + QUERY_STATS_INTERVAL_NS);
  await settled();
  assert.deepEqual(failures, [error]);
});

test("answers to outcalls are in one block", () => {
  const response: OutcallResponse = {
    outcall: 3,
    spent: 0n,
    content: { kind: "reply", data: Uint8Array.of(1) },
  };
  const { build } = payload([], [response]);
  assert.deepEqual(build(), { ingress: [Uint8Array.of(7)], responses: [response] });
  assert.deepEqual(build(), { ingress: [Uint8Array.of(7)] });
});
