/** Figures of a node as Prometheus reads them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { countRound, newRoundFigures, renderMetrics } from "./metrics.ts";

test("every figure has its help, its type once, and a value for each subnet", () => {
  const busy = newRoundFigures();
  countRound(busy, { instructions: 5_000_000_000n, durationMs: 1_500, answers: 3 });
  countRound(busy, { instructions: 1n, durationMs: 500, answers: 0 });
  const text = renderMetrics([
    { subnetId: "aaa", publishedHeight: 7, poolMessages: 2, watchers: 1, isDiverged: true, ...busy },
    {
      subnetId: "bbb",
      publishedHeight: 0,
      poolMessages: 0,
      watchers: 0,
      ...newRoundFigures(),
    },
  ]);
  for (const [name, value] of [
    ["orrery_published_height", "7"],
    ["orrery_ingress_pool_messages", "2"],
    ["orrery_waiting_clients", "1"],
    ["orrery_state_diverged", "1"],
    ["orrery_rounds_total", "2"],
    ["orrery_answers_total", "3"],
    ["orrery_executed_instructions_total", "5000000001"],
    ["orrery_round_execution_seconds_total", "2"],
  ]) {
    const lines = `# HELP ${name} .+\n# TYPE ${name} (counter|gauge)\n${name}{subnet="aaa"} ${value}\n${name}{subnet="bbb"} 0\n`;
    assert.match(text, new RegExp(lines.replaceAll("{", "\\{").replaceAll("}", "\\}")));
  }
});
