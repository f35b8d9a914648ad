/**
 * How a node ends: in order, step by step, and in a bounded time. A node that is killed loses nothing that was answered, and starts a little
 * slower; so no step is worth more than that time, whatever a thread, a peer or a disk does meanwhile.
 */
import type { Logger } from "@orrery/base";

/** All steps together; below what those who stop a service give it. */
export const STOP_MS_MAX = 40_000;
/** Of threads in a call of the system that does not return. */
export const TERMINATE_MS_MAX = 5_000;

export interface Stopping {
  /** One after the other; when one is late the others are left out. One that fails lets the stop fail, after the threads are gone. */
  readonly steps: readonly (readonly [name: string, run: () => Promise<unknown>])[];
  readonly terminate: () => Promise<void>;
  /** Nothing of the node writes any more. */
  readonly release: () => void;
  readonly logger: Logger;
}

/** False when the time was over before. */
async function within(work: Promise<unknown>, ms: number): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  const timer = setTimeout(() => late.resolve(false), ms);
  return await Promise.race([work.then(() => true), late.promise]).finally(() => clearTimeout(timer));
}

async function inOrder({ steps, logger }: Stopping): Promise<void> {
  const endMs = performance.now() + STOP_MS_MAX;
  for (const [step, run] of steps) {
    if (await within(run(), Math.max(0, endMs - performance.now()))) continue;
    logger.log("warn", "the stop takes too long: the node ends as if it were killed", { step });
    return;
  }
}

/** Where threads do not end either it goes on without `release`: the end of the process does that. */
export async function stopInOrder(stopping: Stopping): Promise<void> {
  try {
    await inOrder(stopping);
  } finally {
    if (await within(stopping.terminate(), TERMINATE_MS_MAX)) stopping.release();
    else stopping.logger.log("warn", "threads of the node do not end: its process has to");
  }
}
