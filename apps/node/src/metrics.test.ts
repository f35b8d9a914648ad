/** Figures of a node as Prometheus reads them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createNodeMetrics } from "./metrics.ts";

test("every figure has its help, its type and its value", () => {
  const metrics = createNodeMetrics();
  metrics.round({ instructions: 5_000_000_000n, durationMs: 1_500, answers: 3 });
  metrics.round({ instructions: 1n, durationMs: 500, answers: 0 });
  const text = metrics.render({ publishedHeight: 7, poolMessages: 2, watchers: 1 });
  for (const line of [
    "orrery_published_height 7",
    "orrery_ingress_pool_messages 2",
    "orrery_waiting_clients 1",
    "orrery_rounds_total 2",
    "orrery_answers_total 3",
    "orrery_executed_instructions_total 5000000001",
    "orrery_round_execution_seconds_total 2",
  ]) {
    assert.ok(text.includes(`${line}\n`), line);
    const name = line.slice(0, line.indexOf(" "));
    assert.match(text, new RegExp(`# HELP ${name} .+\n# TYPE ${name} (counter|gauge)\n`));
  }
});
