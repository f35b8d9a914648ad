/** The supervisor thread of a canister pool: starts workers and replaces those that die, whatever they died of. */
import { MessageChannel, type MessagePort, Worker, workerData } from "node:worker_threads";
import { OrreryError } from "@orrery/base";
import { ENGINE_STACK_MB } from "@orrery/wasm/stack";
import { describeError } from "../port-channel.ts";
import { yieldToOthers } from "../priority.ts";
import {
  boardOf,
  raise,
  type SupervisorCall,
  type SupervisorReport,
  type SupervisorStart,
  type WorkerStart,
} from "./protocol.ts";

/** Workers in a row that end before they took a job: then something is wrong with them all. */
const FAILED_STARTS_MAX = 5;

const start = workerData as SupervisorStart;
const { control, ...shared } = start;
// What it starts inherits that: loading a worker's code keeps nobody waiting.
yieldToOthers();
const board = boardOf(start.board);
const workers = new Map<number, Worker>();
let closing = false;
let failedStarts = 0;

function report(message: SupervisorReport, transfer: MessagePort[] = []): void {
  control.postMessage(message, transfer);
  raise(board);
}

function spawn(index: number, jobs: MessagePort): void {
  const data: WorkerStart = { ...shared, index, jobs };
  const worker = new Worker(new URL(shared.workerFile), {
    name: `canister-${index}`,
    workerData: data,
    transferList: [jobs],
    resourceLimits: { stackSizeMb: ENGINE_STACK_MB, maxOldGenerationSizeMb: shared.heapMb },
  });
  workers.set(index, worker);
  let failure: unknown = null;
  worker.on("online", () => {
    failedStarts = 0;
  });
  worker.on("error", (error) => {
    failure = error;
  });
  worker.on("exit", () => {
    if (closing) return;
    failedStarts++;
    if (failedStarts > FAILED_STARTS_MAX) {
      const error = failure ?? new OrreryError("internal", "canister workers end as soon as they start");
      report({ kind: "failed", error: describeError(error) });
      return;
    }
    const { port1, port2 } = new MessageChannel();
    spawn(index, port2);
    report({ kind: "worker", worker: index, port: port1 }, [port1]);
  });
}

async function close(): Promise<void> {
  closing = true;
  await Promise.all([...workers.values()].map((worker) => worker.terminate()));
  control.close();
}

control.on("message", (call: SupervisorCall) => {
  switch (call.kind) {
    case "spawn":
      spawn(call.worker, call.jobs);
      break;
    case "kill":
      void workers.get(call.worker)?.terminate();
      break;
    case "close":
      void close();
  }
});
