/**
 * The worker threads of a node and the channels to them. The view starts last: it has nothing to do before execution does, and on
 * few cores it would take their start from the others.
 */
import { Worker } from "node:worker_threads";
import type { OrreryError } from "@orrery/base";
import { type Channel, createChannel } from "@orrery/host";
import { ENGINE_STACK_MB } from "@orrery/wasm/stack";
import type {
  About,
  ExecutionCall,
  ExecutionPost,
  ExecutionReport,
  StorageCall,
  StoragePost,
  StorageReport,
  SubnetIndex,
  ViewCall,
  ViewPost,
  WorkerStart,
} from "./protocol.ts";
import type { SubnetThreads } from "./rounds.ts";

/** Machine code and page slabs are outside the JavaScript heap; this bounds records and trees. */
const EXECUTION_HEAP_MB = 4_096;

export interface Threads {
  readonly storage: Channel<StoragePost, StorageReport, StorageCall>;
  readonly execution: Channel<ExecutionPost, ExecutionReport, ExecutionCall>;
  startView(): Channel<ViewPost, never, About<ViewCall>>;
  terminate(): Promise<void>;
}

/** The threads once all of them run. */
export type JoinedThreads = Pick<Threads, "storage" | "execution"> & {
  readonly view: ReturnType<Threads["startView"]>;
};

/** What the rounds of one subnet see of them. */
export function threadsOf(threads: JoinedThreads, subnet: SubnetIndex): SubnetThreads {
  const { storage, execution, view } = threads;
  return {
    append: (record) => storage.post({ kind: "append", subnet, record }),
    execute: (batch) => execution.post({ kind: "batch", subnet, batch }),
    publish: (height) => view.post({ kind: "publish", subnet, height }),
    view: (call) => view.call({ ...call, subnet }),
    viewCalls: () => view.pending,
  };
}

export interface Listeners {
  onDurable(report: StorageReport): void;
  onExecuted(report: ExecutionReport): void;
  onFailure(thread: string, error: unknown): void;
}

export function startThreads(start: WorkerStart, listeners: Listeners): Threads {
  const workers: Worker[] = [];
  const spawn = (
    name: string,
    file: URL,
    wasm: boolean,
  ): { worker: Worker; onFailure(error: OrreryError): void } => {
    const worker = new Worker(file, {
      name,
      workerData: start,
      resourceLimits: wasm ? { stackSizeMb: ENGINE_STACK_MB, maxOldGenerationSizeMb: EXECUTION_HEAP_MB } : {},
    });
    workers.push(worker);
    const onFailure = (error: unknown): void => listeners.onFailure(name, error);
    // What the thread could not report itself: running out of memory, say.
    worker.on("error", onFailure);
    return { worker, onFailure };
  };
  const storage = spawn("storage", new URL("./storage-worker.ts", import.meta.url), false);
  const execution = spawn("execution", new URL("./execution-worker.ts", import.meta.url), true);
  return {
    storage: createChannel(storage.worker, {
      onPost: (report: StorageReport) => listeners.onDurable(report),
      onFailure: storage.onFailure,
    }),
    execution: createChannel(execution.worker, {
      onPost: (report: ExecutionReport) => listeners.onExecuted(report),
      onFailure: execution.onFailure,
    }),
    startView(): Channel<ViewPost, never, About<ViewCall>> {
      const view = spawn("view", new URL("./view-worker.ts", import.meta.url), true);
      return createChannel(view.worker, { onPost: () => {}, onFailure: view.onFailure });
    },
    async terminate(): Promise<void> {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
