/** Updates at a node that is behind: what another node has shown already counts here as soon as it is shown. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { UserError } from "@orrery/http";
import { inspect } from "./inspection.ts";
import type { ViewCall } from "./protocol.ts";
import { Freshness } from "./replica/freshness.ts";

const CALL = { kind: "inspect" } as Extract<ViewCall, { readonly kind: "inspect" }>;
const REFUSED = { code: 301 } as unknown as UserError;
const FAR_MS = 60_000;

interface Node {
  readonly threads: { view<T>(): Promise<T>; viewCalls(): number };
  readonly freshness: Freshness;
  show(height: number): void;
}

/** Shows height 4, and knows the canister from a height on. */
function nodeThatKnowsFrom(height: number): Node {
  const newest = { height: 4, time: 0n };
  const freshness = new Freshness(newest, { now: () => 0n });
  return {
    threads: {
      view: <T>() => Promise.resolve((newest.height >= height ? null : REFUSED) as T),
      viewCalls: () => 0,
    },
    freshness,
    show(shown: number): void {
      newest.height = shown;
      freshness.published();
    },
  };
}

test("who is refused at a node that is behind is judged again once it is not", async () => {
  for (const [delivered, shown] of [
    [6, [5, 6]],
    [4, [5]],
  ] as const) {
    const { threads, freshness, show } = nodeThatKnowsFrom(shown.at(-1) ?? 0);
    const judged = inspect({ threads, caughtUp: () => freshness.catchUp(delivered, FAR_MS) }, CALL);
    for (const height of shown) {
      await Promise.resolve();
      show(height);
    }
    assert.equal(await judged, null);
  }
});

test("what nobody knows is refused after a while, at a stop, and at a node alone at once", async () => {
  const { threads, freshness } = nodeThatKnowsFrom(100);
  assert.equal(await inspect({ threads, caughtUp: () => freshness.catchUp(4, 1) }, CALL), REFUSED);
  assert.equal(await inspect({ threads }, CALL), REFUSED);
  const judged = inspect({ threads, caughtUp: () => freshness.catchUp(4, FAR_MS) }, CALL);
  await Promise.resolve();
  freshness.stop();
  assert.equal(await judged, REFUSED);
});

test("who is taken waits for nothing", async () => {
  const { threads } = nodeThatKnowsFrom(0);
  assert.equal(await inspect({ threads, caughtUp: () => assert.fail("it waits") }, CALL), null);
});
