/**
 * The thread that all in-process networks of a program share: started for the first of them and kept for the next, so that making
 * another one costs milliseconds. It keeps no program alive, except for the answers that somebody waits for.
 */
import { MessageChannel, receiveMessageOnPort, type Transferable, Worker } from "node:worker_threads";
import { OrreryError } from "@orrery/base";
import { type Channel, createChannel } from "@orrery/host";
import type { Instance } from "@orrery/sim/instance";
import { ENGINE_STACK_MB } from "@orrery/wasm/stack";
import type {
  HttpAnswer,
  HttpCall,
  Invocable,
  NetworkAnswer,
  NetworkCall,
  NetworkStart,
  Opened,
  ThreadCall,
} from "./protocol.ts";

interface Thread {
  call<T>(message: ThreadCall, transfer?: readonly Transferable[]): Promise<T>;
}

/** One network on the thread. */
export interface RemoteNetwork {
  readonly opened: Opened;
  /** Sleeps until there is an answer; the errors of the network are thrown. */
  ask<T>(call: NetworkCall): T;
  /** The same without sleeping. */
  call<T>(call: NetworkCall): Promise<T>;
  invoke<M extends Invocable>(method: M, ...args: Parameters<Instance[M]>): Promise<ReturnType<Instance[M]>>;
  http(request: HttpCall): Promise<HttpAnswer>;
  /** Its port, at which it goes on by itself; 0 when it stopped to. */
  live(on: boolean): Promise<number>;
  fork(): Promise<RemoteNetwork>;
  close(): Promise<void>;
}

let shared: Thread | null = null;
let networks = 0;

function startThread(): Thread {
  const worker = new Worker(new URL("./network-worker.ts", import.meta.url), {
    name: "networks",
    resourceLimits: { stackSizeMb: ENGINE_STACK_MB },
  });
  let waiting = 0;
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  failed.catch(() => {});
  worker.once("error", (cause) => {
    shared = null;
    fail(
      new OrreryError("thread_failed", `the thread of the networks ended: ${(cause as Error).message}`, {
        cause,
      }),
    );
  });
  const channel: Channel<never, never, ThreadCall> = createChannel(worker, { onPost: () => {} });
  worker.unref();
  return {
    async call<T>(message: ThreadCall, transfer: readonly Transferable[] = []): Promise<T> {
      if (waiting++ === 0) worker.ref();
      try {
        return await Promise.race([channel.call<T>(message, transfer), failed]);
      } finally {
        if (--waiting === 0) worker.unref();
      }
    },
  };
}

function resultOf<T>(answer: NetworkAnswer): T {
  if (answer.ok) return answer.value as T;
  const { code, message, data } = answer.error;
  throw new OrreryError(code, message, { data });
}

async function settle(
  thread: Thread,
  how: { readonly start: NetworkStart } | { readonly of: number },
): Promise<RemoteNetwork> {
  const id = ++networks;
  const { port1: port, port2: sync } = new MessageChannel();
  const signal = new SharedArrayBuffer(4);
  const flag = new Int32Array(signal);
  const common = { id, sync, signal };
  const opened = await thread.call<Opened>(
    "start" in how ? { kind: "open", start: how.start, ...common } : { kind: "fork", of: how.of, ...common },
    [sync],
  );
  port.unref();
  let isClosed = false;

  async function call<T>(asked: NetworkCall): Promise<T> {
    return resultOf<T>(await thread.call<NetworkAnswer>({ kind: "ask", id, call: asked }));
  }

  return {
    opened,
    ask<T>(asked: NetworkCall): T {
      // Nobody would ever answer.
      if (isClosed) throw new OrreryError("instance_gone", "this network was stopped: make another one");
      Atomics.store(flag, 0, 0);
      port.postMessage(asked);
      Atomics.wait(flag, 0, 0);
      const { message } = receiveMessageOnPort(port) as { readonly message: NetworkAnswer };
      return resultOf<T>(message);
    },
    call,
    invoke: (method, ...args) => call({ kind: "invoke", method, args: args as never }),
    http: (request) => thread.call({ kind: "http", id, request }),
    live: (on) => thread.call({ kind: "live", id, on }),
    fork: () => settle(thread, { of: id }),
    async close(): Promise<void> {
      if (isClosed) return;
      isClosed = true;
      port.close();
      await thread.call({ kind: "close", id });
    },
  };
}

/** Makes a network on the shared thread. */
export function openNetwork(start: NetworkStart): Promise<RemoteNetwork> {
  shared ??= startThread();
  return settle(shared, { start });
}
