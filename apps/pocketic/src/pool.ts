/**
 * The threads that instances live on. One hosts several, so that creating an instance costs no thread; another starts beside the first
 * instance of the newest, so that instances of tests that run side by side do too. A thread handles what it is told in order, so that
 * each instance does one thing at a time.
 */
import { Worker } from "node:worker_threads";
import { ENGINE_STACK_MB } from "@orrery/wasm/stack";
import type { FromThread, ThreadCall } from "./protocol.ts";

/** A thread ends at once wherever canisters are. */
const END_MS_MAX = 5_000;

export interface Thread {
  /** Whether its modules are loaded. */
  readonly isReady: boolean;
  /** Instances that live on it. */
  readonly instances: number;
  /** Calls that it has not answered. */
  readonly busy: number;
  call<T>(call: ThreadCall, transfer?: readonly ArrayBuffer[]): Promise<T>;
  /** Says that one instance more or fewer lives on it. */
  hold(): void;
  release(): void;
  /** Ends it at once; what it was asked is rejected with the reason. */
  end(reason: string): Promise<void>;
}

export interface Pool {
  /** Starts a thread when there is none, so that the first instance does not wait for its modules. */
  prepare(): void;
  /** The thread for a new instance. */
  pick(): Thread;
  end(): Promise<void>;
}

interface Waiter {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

function startThread(name: string, onEnd: () => void): Thread {
  const worker = new Worker(new URL("./instance-worker.ts", import.meta.url), {
    name,
    resourceLimits: { stackSizeMb: ENGINE_STACK_MB },
  });
  const waiting = new Map<number, Waiter>();
  let instances = 0;
  let next = 0;
  let isReady = false;
  let ended: Error | null = null;

  function fail(error: Error): void {
    if (ended !== null) return;
    ended = error;
    onEnd();
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  }

  worker.on("message", (frame: FromThread) => {
    if (!("id" in frame)) {
      isReady = true;
      return;
    }
    const waiter = waiting.get(frame.id);
    waiting.delete(frame.id);
    if ("value" in frame) waiter?.resolve(frame.value);
    else waiter?.reject(new Error(frame.error));
  });
  worker.on("error", (error) =>
    fail(new Error(`the thread of the instance failed: ${(error as Error).message}`)),
  );
  worker.on("exit", (code) => fail(new Error(`the thread of the instance ended (${code})`)));

  return {
    get isReady(): boolean {
      return isReady;
    },
    get instances(): number {
      return instances;
    },
    get busy(): number {
      return waiting.size;
    },
    call<T>(call: ThreadCall, transfer: readonly ArrayBuffer[] = []): Promise<T> {
      if (ended !== null) return Promise.reject(ended);
      const id = next++;
      return new Promise<T>((resolve, reject) => {
        waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
        worker.postMessage({ id, call }, [...transfer]);
      });
    },
    hold(): void {
      instances++;
    },
    release(): void {
      instances--;
    },
    async end(reason): Promise<void> {
      fail(new Error(reason));
      // One that hangs in the system's code cannot be ended; the process does not wait for it.
      await Promise.race([worker.terminate(), new Promise((resolve) => setTimeout(resolve, END_MS_MAX))]);
    },
  };
}

/** Work first, then instances that may bring some. */
function load({ busy, instances }: Thread): number {
  return busy * 10_000 + instances;
}

export function createPool(threadsMax: number): Pool {
  const threads: Thread[] = [];
  let started = 0;

  function add(): Thread {
    const thread = startThread(`instances ${started++}`, () => {
      const place = threads.indexOf(thread);
      if (place >= 0) threads.splice(place, 1);
    });
    threads.push(thread);
    return thread;
  }

  return {
    prepare(): void {
      if (threads.length === 0) add();
    },
    pick(): Thread {
      // What comes later finds a thread of its own, as long as there may be more.
      if (threads.every(({ instances }) => instances > 0) && threads.length < threadsMax) add();
      const ready = threads.filter((thread) => thread.isReady);
      const idle = (ready.length > 0 ? ready : threads).filter(({ busy }) => busy === 0);
      const candidates = idle.length > 0 ? idle : threads;
      return candidates.reduce((best, one) => (load(one) < load(best) ? one : best));
    },
    async end(): Promise<void> {
      await Promise.all([...threads].map((thread) => thread.end("the server ends")));
    },
  };
}
