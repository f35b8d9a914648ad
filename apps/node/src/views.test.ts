/** Views as main sees them: what is asked while a view begins, and when it dies. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Height } from "@orrery/base";
import type { About, ViewCall, ViewPost } from "./protocol.ts";
import { type StartedView, Views } from "./views.ts";

/** Views of a network of one subnet whose threads write down what they are sent; the newest begins at `heights`. */
function scene(): {
  readonly views: Views;
  readonly sent: string[];
  readonly heights: Height[];
  readonly die: () => void;
} {
  const sent: string[] = [];
  const heights: Height[] = [];
  let end: (error: unknown) => void = () => {};
  const start = (): StartedView => {
    const ended = new Promise<unknown>((resolve) => {
      end = resolve;
    });
    const channel = {
      post(message: ViewPost): void {
        if (message.kind === "publish") sent.push(`publish ${message.height}`);
      },
      async call(call: About<ViewCall>): Promise<unknown> {
        sent.push(call.kind);
        return await new Promise(() => {});
      },
    };
    return { channel: channel as unknown as StartedView["channel"], ended };
  };
  const views = new Views({
    start,
    attach: async (_view, port) => {
      port.close();
      return new Map([[0, heights.at(-1) as Height]]);
    },
    onDeath: () => {},
    onFailure: (error) => {
      throw error;
    },
    nowMs: () => 0,
  });
  return { views, sent, heights, die: () => end(new Error("it died")) };
}

const ASK = { kind: "take_query_stats", subnet: 0 } as About<ViewCall>;

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

test("nothing is asked before the height is published with which a view begins", async () => {
  const { views, sent, heights } = scene();
  views.publish(0, 4);
  heights.push(5);
  await views.open();
  void views.call(ASK);
  await settle();
  assert.deepEqual(sent, []);
  views.publish(0, 5);
  await settle();
  assert.deepEqual(sent, ["publish 5", "take_query_stats"]);
  void views.call(ASK);
  views.publish(0, 6);
  await settle();
  assert.deepEqual(sent.slice(2), ["take_query_stats", "publish 6"]);
});

test("what a view that died was asked is asked again, once its successor shows something", async () => {
  const { views, sent, heights, die } = scene();
  views.publish(0, 1);
  heights.push(1);
  await views.open();
  void views.call(ASK);
  await settle();
  assert.deepEqual(sent.splice(0), ["publish 1", "take_query_stats"]);
  heights.push(3);
  die();
  await settle();
  views.publish(0, 2);
  await settle();
  assert.deepEqual(sent, []);
  views.publish(0, 3);
  await settle();
  assert.deepEqual(sent, ["publish 3", "take_query_stats"]);
});
