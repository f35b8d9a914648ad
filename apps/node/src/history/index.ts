/** A network's past, run again from its state directory beside whatever node runs it: the entry `@orrery/node/history`. */
import { Worker } from "node:worker_threads";
import { OrreryError } from "@orrery/base";
import { ENGINE_STACK_MB } from "@orrery/wasm/stack";
import type { HistoryProgress, NetworkAnswer, NetworkAsk } from "./types.ts";
import type { HistoryReport, HistoryStart } from "./worker.ts";

export type {
  Checked,
  HistoryAnswer,
  HistoryAsk,
  HistoryProgress,
  Kept,
  NetworkAsk,
  PastMessage,
  PastOutcome,
  ProfileAnswer,
  RecentAnswer,
  TraceAnswer,
} from "./types.ts";

/**
 * Nothing is changed, and nobody waits. Codes: `message_not_found`, `rounds_gone`, `target_invalid`, and those of opening a state
 * directory.
 */
export function askHistory<A extends NetworkAsk>(options: {
  readonly stateDir: string;
  readonly ask: A;
  readonly onProgress?: (progress: HistoryProgress) => void;
}): Promise<Extract<NetworkAnswer, { kind: A["kind"] }>> {
  const { stateDir, ask, onProgress } = options;
  const start: HistoryStart = { stateDir, ask };
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    name: "history",
    workerData: start,
    resourceLimits: { stackSizeMb: ENGINE_STACK_MB },
  });
  return new Promise((resolve, reject) => {
    worker.on("message", (report: HistoryReport) => {
      if (report.kind === "progress") onProgress?.(report.progress);
      else if (report.kind === "failed") reject(new OrreryError(report.code, report.message));
      else resolve(report.answer as Extract<NetworkAnswer, { kind: A["kind"] }>);
    });
    worker.once("error", reject);
    worker.once("exit", () =>
      reject(
        new OrreryError("thread_ended", "the thread that runs the past ended and did not say why: try again"),
      ),
    );
  });
}
