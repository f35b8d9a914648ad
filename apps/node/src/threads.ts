/**
 * The worker threads of a node and the channels to them. The view starts last: it has nothing to do before execution does, and on
 * few cores it would take their start from the others.
 */
import { type MessagePort, Worker } from "node:worker_threads";
import { type Height, OrreryError } from "@orrery/base";
import { type Channel, createChannel } from "@orrery/host";
import { ENGINE_STACK_MB } from "@orrery/wasm/stack";
import {
  type About,
  type BySubnet,
  type ExecutionCall,
  type ExecutionPost,
  type ExecutionReport,
  type StorageCall,
  type StoragePost,
  type StorageReport,
  type SubnetIndex,
  VIEW_NAMES,
  type ViewCall,
  type ViewIndex,
  type ViewPost,
  type WorkerStart,
} from "./protocol.ts";
import type { SubnetThreads } from "./rounds.ts";
import type { StateCall } from "./state/state-calls.ts";
import { StateThread } from "./state/state-thread.ts";
import { transferred } from "./transferred.ts";
import type { StartedView, Views } from "./views.ts";

/** Machine code and page slabs are outside the JavaScript heap; this bounds records and trees. */
const EXECUTION_HEAP_MB = 4_096;

export interface Threads {
  readonly storage: Channel<StoragePost, StorageReport, StorageCall>;
  readonly execution: Channel<ExecutionPost, ExecutionReport, ExecutionCall>;
  readonly state: StateThread;
  startView(view: ViewIndex): StartedView;
  /** Has a view follow the state, by a port. */
  attachView(view: ViewIndex, port: MessagePort): Promise<BySubnet<Height>>;
  terminate(): Promise<void>;
}

/** The threads once all of them run. */
export type JoinedThreads = Pick<Threads, "storage" | "execution" | "state"> & { readonly views: Views };

/** What the rounds of one subnet see of them. */
export function threadsOf(threads: JoinedThreads, subnet: SubnetIndex): SubnetThreads {
  const { storage, execution, state, views } = threads;
  return {
    append: (record) => storage.post({ kind: "append", subnet, record }, transferred(record.bytes)),
    execute: (batch) => execution.post({ kind: "batch", subnet, batch }),
    publish: (height, signature) => views.publish(subnet, height, signature ?? null),
    keep: (sequence, records) => storage.post({ kind: "keep", subnet, sequence, records }),
    blocks: (from) => storage.call<readonly Uint8Array[]>({ kind: "blocks", subnet, from }),
    state: (call) => state.call({ ...call, subnet }),
    purge: (below) => storage.post({ kind: "purge", subnet, below }),
    view: (call) => views.call({ ...call, subnet }),
    viewCalls: () => views.pending,
  };
}

export interface Listeners {
  onStorage(report: StorageReport): void;
  onExecution(report: ExecutionReport): void;
  onFailure(thread: string, error: unknown): void;
}

interface Spawned {
  readonly worker: Worker;
  /** What the thread died of, once it is gone. */
  readonly ended: Promise<unknown>;
}

function endedWithout(name: string): OrreryError {
  return new OrreryError(
    "thread_ended",
    `the ${name} thread ended and did not say why: start the node again, nothing that was answered is lost`,
  );
}

export function startThreads(start: WorkerStart, listeners: Listeners): Threads {
  const workers = new Set<Worker>();
  let terminating = false;
  const spawn = (name: string, file: URL, wasm: boolean): Spawned => {
    const worker = new Worker(file, {
      name,
      workerData: start,
      resourceLimits: wasm ? { stackSizeMb: ENGINE_STACK_MB, maxOldGenerationSizeMb: EXECUTION_HEAP_MB } : {},
    });
    workers.add(worker);
    let failure: unknown = null;
    // What the thread could not report itself: running out of memory, say.
    worker.on("error", (error) => {
      failure = error;
    });
    const ended = new Promise<unknown>((resolve) => {
      worker.on("exit", () => {
        workers.delete(worker);
        if (!terminating) resolve(failure ?? endedWithout(name));
      });
    });
    return { worker, ended };
  };
  /** A thread that the node cannot do without. */
  const needed = (name: string, file: URL, wasm: boolean) => {
    const { worker, ended } = spawn(name, file, wasm);
    const onFailure = (error: unknown): void => listeners.onFailure(name, error);
    void ended.then(onFailure);
    return { worker, onFailure };
  };
  const storage = needed("storage", new URL("./storage-worker.ts", import.meta.url), false);
  const execution = needed("execution", new URL("./execution-worker.ts", import.meta.url), true);
  const toExecution = createChannel<ExecutionPost, ExecutionReport, ExecutionCall>(execution.worker, {
    onPost: (report: ExecutionReport) => listeners.onExecution(report),
    onFailure: execution.onFailure,
  });
  return {
    storage: createChannel(storage.worker, {
      onPost: (report: StorageReport) => listeners.onStorage(report),
      onFailure: storage.onFailure,
    }),
    execution: toExecution,
    state: new StateThread(() => {
      const { worker, ended } = spawn("state", new URL("./state/state-worker.ts", import.meta.url), true);
      const said = Promise.withResolvers<unknown>();
      const channel = createChannel<never, never, About<StateCall>>(worker, {
        onPost: () => {},
        onFailure: said.resolve,
      });
      return { worker, channel, ended: Promise.race([said.promise, ended]) };
    }),
    startView(view): StartedView {
      const { worker, ended } = spawn(VIEW_NAMES[view], new URL("./view-worker.ts", import.meta.url), true);
      const said = Promise.withResolvers<unknown>();
      const channel = createChannel<ViewPost, never, About<ViewCall>>(worker, {
        onPost: () => {},
        onFailure: said.resolve,
      });
      return { channel, ended: ended.then((error) => Promise.race([said.promise, Promise.resolve(error)])) };
    },
    attachView: (view, port) => toExecution.call<BySubnet<Height>>({ kind: "attach", view, port }, [port]),
    async terminate(): Promise<void> {
      terminating = true;
      await Promise.all([...workers].map((worker) => worker.terminate()));
    },
  };
}
