/**
 * The same batches at every number of worker threads: each round of a recording must come to the same root hash and the same hash
 * of the whole state as on the calling thread (docs/ARCHITECTURE.md, "Threads of a node").
 */
import assert from "node:assert/strict";
import type { Executor } from "@orrery/execution";
import { type Recording, type ReplayParts, replay } from "@orrery/execution/testing";
import { installFastHashes } from "../fast-crypto.ts";
import { PooledExecutor, type WorkerExecutorOptions } from "./executor.ts";

/** Every round's state is hashed whole. */
installFastHashes();

export const WORKER_COUNTS: readonly number[] = [1, 2, 4];

/** Little enough that most messages of a workload are left to workers. */
const PROBE_INSTRUCTIONS = 1_000n;
const SLICE = 2_000_000n;

type PoolSettings = Pick<WorkerExecutorOptions, "workersMax"> &
  Partial<Pick<WorkerExecutorOptions, "probeInstructions" | "workerFile" | "heapMb">>;

/** An executor over the parts of a replay, with slices as its limits say. */
export function pooledOver(
  { state, arena, runner, limits }: ReplayParts,
  settings: PoolSettings,
): PooledExecutor {
  const { instructionsPerInstallSlice = SLICE, instructionsPerSlice = SLICE } = limits;
  return new PooledExecutor({
    probeInstructions: PROBE_INSTRUCTIONS,
    ...settings,
    state,
    arena,
    runner,
    sliceOf: ({ kind }) => (kind === "install" ? instructionsPerInstallSlice : instructionsPerSlice),
  });
}

export interface WorkerCountsOptions {
  readonly counts?: readonly number[];
  readonly probeInstructions?: bigint;
  /** Puts another executor around that of the pool: for tests of this check. */
  readonly around?: (executor: PooledExecutor) => Executor;
}

/**
 * Plays the recording's batches at each number of workers; throws at the first round that comes to other hashes, and when a pool was
 * asked for nothing, as nothing would have been compared then.
 */
export async function sameAtEveryWorkerCount(
  recording: Recording,
  options: WorkerCountsOptions = {},
): Promise<void> {
  const { counts = WORKER_COUNTS, around = (executor) => executor, ...settings } = options;
  assert.ok(recording.batches.length > 0, "a recording without rounds");
  for (const workersMax of counts) {
    let executor: PooledExecutor | null = null;
    try {
      replay(recording, {
        executor: (parts) => {
          executor = pooledOver(parts, { ...settings, workersMax });
          return around(executor);
        },
      });
      assert.ok(used(executor) > 0, "no worker was given anything");
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`${workersMax} workers, ${message}`, { cause: error });
    } finally {
      await (executor as PooledExecutor | null)?.close();
    }
  }
}

function used(executor: PooledExecutor | null): number {
  return executor?.workers ?? 0;
}
