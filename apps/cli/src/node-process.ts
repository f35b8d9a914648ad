/**
 * A node in this process, from its start to the signal that ends it. A thread that fails, or a signal, ends the start too: nothing else
 * would. Whoever runs it decides what becomes of the log and what is told when the node answers.
 */
import { type Clock, OrreryError } from "@orrery/base";
import type { NodeHandle, NodeOptions } from "@orrery/node";

const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface NodeProcessOptions {
  readonly node: Omit<NodeOptions, "logger" | "clock" | "rng" | "onFatal">;
  /** The machine's by default. */
  readonly clock?: Clock;
  /** Ends the node as a signal does. */
  readonly ending?: Promise<void>;
  readonly level: "info" | "warn";
  /** A line of the log, its end included. */
  write(line: string): void;
  /** The node answers. */
  ready(handle: NodeHandle): Promise<void> | void;
  /** A signal to stop has come. */
  stopping(): void;
}

/** Resolves at the first signal to stop; a second one ends the process at once. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let received = false;
    for (const signal of STOP_SIGNALS) {
      process.on(signal, () => {
        if (received) process.exit(1);
        received = true;
        resolve();
      });
    }
  });
}

/**
 * Resolves when the node has stopped after a signal; rejects with what ended it otherwise. A node that has fetched the state of others starts
 * again with it, under the port that it had.
 */
export async function runNodeProcess(options: NodeProcessOptions): Promise<void> {
  const stopping = Promise.race([stopSignal(), ...(options.ending === undefined ? [] : [options.ending])]);
  let { node } = options;
  if (node.member !== undefined) {
    const { Healings } = await import("@orrery/node");
    node = { ...node, member: { ...node.member, healings: new Healings() } };
  }
  for (;;) {
    const port = await runOnce({ ...options, node }, stopping);
    if (port === null) return;
    node = { ...node, port, clean: false };
  }
}

function isStateFetched(error: unknown): boolean {
  return error instanceof OrreryError && error.code === "state_fetched";
}

/** Null after a signal; the port of a node that is to start again. */
async function runOnce(options: NodeProcessOptions, stopping: Promise<void>): Promise<number | null> {
  const [{ startNode }, { createStreamLogger, systemClock, systemRng }] = await Promise.all([
    import("@orrery/node"),
    import("@orrery/host"),
  ]);
  const fatal = Promise.withResolvers<never>();
  fatal.promise.catch(() => {});
  const logger = createStreamLogger({ level: options.level, write: (line) => options.write(line) });
  const interrupted = stopping.then((): never => {
    throw new OrreryError(
      "start_interrupted",
      "the start was interrupted; what it had written is consistent",
    );
  });
  interrupted.catch(() => {});
  const started = startNode({
    ...options.node,
    logger,
    clock: options.clock ?? systemClock,
    rng: systemRng,
    onFatal: (error) => fatal.reject(error),
  });
  // One that fails while it starts has left nothing running.
  const failed = started.then(() => fatal.promise);
  failed.catch(() => {});
  let handle: NodeHandle;
  try {
    handle = await Promise.race([started, interrupted]);
  } catch (error) {
    if (isStateFetched(error)) return options.node.port;
    throw error;
  }
  try {
    await Promise.race([options.ready(handle), failed, interrupted]);
    await Promise.race([stopping, failed]);
  } catch (error) {
    await handle.stop().catch(() => {});
    if (isStateFetched(error)) return handle.port;
    throw error;
  }
  options.stopping();
  // A thread that fails now will not answer the others; the process ends with what is durable.
  await Promise.race([handle.stop(), fatal.promise]);
  return null;
}
