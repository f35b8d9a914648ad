/** Figures of a node in the Prometheus text format, shown at `/metrics` after those of the HTTPS interface. Names end in their unit. */
import type { Height } from "@orrery/base";

export interface NodeMetrics {
  /** A round was executed. */
  round(report: {
    readonly instructions: bigint;
    readonly durationMs: number;
    readonly answers: number;
  }): void;
  render(now: {
    readonly publishedHeight: Height;
    readonly poolMessages: number;
    readonly watchers: number;
  }): string;
}

const SECONDS_PER_MS = 0.001;

function lines(type: "counter" | "gauge", name: string, help: string, value: number | bigint): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`;
}

export function createNodeMetrics(): NodeMetrics {
  let rounds = 0;
  let answers = 0;
  let instructions = 0n;
  let seconds = 0;
  return {
    round(report): void {
      rounds++;
      answers += report.answers;
      instructions += report.instructions;
      seconds += report.durationMs * SECONDS_PER_MS;
    },
    render: (now) =>
      [
        lines(
          "gauge",
          "orrery_published_height",
          "Height of the newest published state.",
          now.publishedHeight,
        ),
        lines("gauge", "orrery_ingress_pool_messages", "Messages waiting for a block.", now.poolMessages),
        lines("gauge", "orrery_waiting_clients", "Clients waiting for an answer.", now.watchers),
        lines("counter", "orrery_rounds_total", "Rounds executed since the start.", rounds),
        lines("counter", "orrery_answers_total", "Update calls answered since the start.", answers),
        lines(
          "counter",
          "orrery_executed_instructions_total",
          "Instructions executed in rounds.",
          instructions,
        ),
        lines("counter", "orrery_round_execution_seconds_total", "Time spent executing rounds.", seconds),
      ].join(""),
  };
}
