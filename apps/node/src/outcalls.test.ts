import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, type OutcallResponse, RESPONSES_PER_BLOCK_MAX } from "@orrery/base";
import type { FetchedOutcall } from "@orrery/execution";
import type { OutcallRequest } from "@orrery/host/outcalls";
import { Outcalls } from "./outcalls.ts";
import type { StartedOutcall } from "./protocol.ts";

function started(id: number): StartedOutcall {
  return {
    outcall: {
      id,
      from: Uint8Array.of(1) as CanisterId,
      callbackId: id,
      refund: 0n,
      time: 0n,
      url: `https://example.com/${id}`,
      method: "GET",
      headers: [],
      body: null,
      maxResponseBytes: null,
      transform: null,
      replicated: true,
      allowance: null,
    },
    maxResponseBytes: 1_000 + id,
  };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function world(bytes = 1): {
  readonly outcalls: Outcalls;
  readonly asked: OutcallRequest[];
  readonly failures: unknown[];
  finish(url: string): void;
  ready(): number;
} {
  const asked: OutcallRequest[] = [];
  const waiting = new Map<string, (fetched: FetchedOutcall) => void>();
  const failures: unknown[] = [];
  let ready = 0;
  const outcalls = new Outcalls({
    adapter: {
      fetch(request): Promise<FetchedOutcall> {
        asked.push(request);
        return new Promise((resolve) => waiting.set(request.url, resolve));
      },
      close: () => {},
    },
    answer: async (outcall): Promise<OutcallResponse> => {
      if (outcall.id === 13) throw new Error("the view is gone");
      return { outcall: outcall.id, spent: 0n, content: { kind: "reply", data: new Uint8Array(bytes) } };
    },
    onReady: () => ready++,
    onFailure: (error) => failures.push(error),
  });
  return {
    outcalls,
    asked,
    failures,
    ready: () => ready,
    finish: (url) =>
      waiting.get(url)?.({
        kind: "response",
        status: 200,
        headers: [],
        body: new Uint8Array(0),
        downloadedBytes: 0,
        elapsedMs: 1,
      }),
  };
}

test("outcalls are made when they begin and wait for a block once answered, by number", async () => {
  const { outcalls, asked, finish, ready } = world();
  outcalls.begin([started(2), started(1)]);
  assert.deepEqual(
    asked.map(({ url, maxResponseBytes }) => [url, maxResponseBytes]),
    [
      ["https://example.com/2", 1_002],
      ["https://example.com/1", 1_001],
    ],
  );
  assert.deepEqual([outcalls.waiting(), outcalls.underWay], [0, 2]);
  finish("https://example.com/2");
  finish("https://example.com/1");
  await settled();
  assert.deepEqual([outcalls.waiting(), ready()], [2, 2]);
  assert.deepEqual(
    outcalls.take().map(({ outcall }) => outcall),
    [1, 2],
  );
  assert.deepEqual(outcalls.take(), []);
});

test("what the state does not wait for any more is dropped at every stage", async () => {
  const { outcalls, finish } = world();
  outcalls.begin([started(1), started(2), started(3)]);
  finish("https://example.com/1");
  await settled();
  outcalls.end([1, 2]);
  finish("https://example.com/2");
  finish("https://example.com/3");
  await settled();
  assert.deepEqual(
    outcalls.take().map(({ outcall }) => outcall),
    [3],
  );
});

test("outcalls of a height are made once it is published, but for those that ended before", async () => {
  const { outcalls, asked } = world();
  outcalls.expect(7, [started(1), started(2)]);
  outcalls.expect(8, [started(3)]);
  outcalls.end([2]);
  assert.deepEqual(asked, []);
  outcalls.published(7);
  outcalls.published(7);
  assert.deepEqual(
    asked.map(({ url }) => url),
    ["https://example.com/1"],
  );
  outcalls.published(8);
  assert.deepEqual([asked.length, outcalls.underWay], [2, 2]);
});

test("a block takes what fits it, and the rest waits", async () => {
  const { outcalls, finish } = world(1_500_000);
  outcalls.begin([started(1), started(2)]);
  finish("https://example.com/1");
  finish("https://example.com/2");
  await settled();
  assert.equal(outcalls.take().length, 1);
  assert.equal(outcalls.waiting(), 1);
  const many = world();
  const all = Array.from({ length: RESPONSES_PER_BLOCK_MAX + 14 }, (_, i) => started(i + 14));
  many.outcalls.begin(all);
  for (const { outcall } of all) many.finish(outcall.url);
  await settled();
  assert.equal(many.outcalls.take().length, RESPONSES_PER_BLOCK_MAX);
  assert.equal(many.outcalls.take().length, 14);
});

test("nothing comes after the stop, and a view that fails is told", async () => {
  const { outcalls, finish, failures } = world();
  outcalls.begin([started(1), started(13)]);
  finish("https://example.com/13");
  await settled();
  assert.equal(failures.length, 1);
  outcalls.begin([started(13)]);
  outcalls.stop();
  finish("https://example.com/13");
  finish("https://example.com/1");
  await settled();
  assert.deepEqual([outcalls.waiting(), failures.length], [0, 1]);
});
