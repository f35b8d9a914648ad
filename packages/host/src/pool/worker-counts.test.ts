/**
 * The check of worker counts itself: executors that differ in what they may (the order of their work, where it runs) pass, and those
 * that let a thread's timing, a wrong page or another count through are noticed.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CanisterId } from "@orrery/base";
import type { Executor, Job, JobResult, LocalJobs, Partition } from "@orrery/execution";
import { record, replay, SMALL, SPINNER, u32 } from "@orrery/execution/testing";
import type { PooledExecutor } from "./executor.ts";
import { pooledOver, sameAtEveryWorkerCount } from "./worker-counts.testkit.ts";

const CYCLES = 10n ** 15n;

/** Long and short messages of several canisters, more of each than there are workers. */
const recording = record(SMALL, (subnet) => {
  const ids = [0, 1, 2].map((i) => subnet.installed(SPINNER, { arg: u32(1_000 * i), cycles: CYCLES }));
  for (const turns of [20_000, 150_000, 400])
    subnet.round(
      ids.map((canisterId) => subnet.envelope({ canisterId, method: "spin", arg: u32(turns) }).bytes),
    );
  for (let i = 0; i < 40 && subnet.results.at(-1)?.moreWork === true; i++) subnet.round();
});

type Done = Partition["done"];

/** Puts something between a pool and the round: how partitions are ordered, and what is told to them. */
function between(
  inner: PooledExecutor,
  plant: {
    readonly order?: (partitions: readonly Partition[]) => readonly Partition[];
    readonly done?: (job: Job, result: JobResult | null) => JobResult | null;
    readonly adopt?: (result: JobResult) => JobResult;
  },
): Executor {
  const { order = (all) => all, done, adopt } = plant;
  return {
    run(partitions: readonly Partition[], local: LocalJobs): void {
      const planted = order(partitions).map((partition): Partition => {
        const told: Done = (job, result) => partition.done(job, done?.(job, result) ?? result);
        return {
          next: () => partition.next(),
          done: done === undefined ? (...a) => partition.done(...a) : told,
        };
      });
      inner.run(planted, {
        run: (job) => local.run(job),
        probe: (job, limit) => local.probe(job, limit),
        adopt: (job, result) => local.adopt(job, adopt?.(result) ?? result),
      });
    },
  };
}

/** The first byte of the first page that a worker changed is another one. */
function wrongPage(result: JobResult): JobResult {
  const bytes = result.outcome.change?.heap.bytes;
  if (bytes !== undefined && bytes.length > 0) bytes[0] = (bytes[0] ?? 0) ^ 1;
  return result;
}

test("the order in which partitions run is nobody's business", async () => {
  await sameAtEveryWorkerCount(recording, {
    counts: [2],
    around: (inner) => between(inner, { order: (partitions) => partitions.toReversed() }),
  });
});

test("a page with another byte is noticed", async () => {
  await assert.rejects(
    sameAtEveryWorkerCount(recording, {
      counts: [2],
      around: (inner) => between(inner, { adopt: wrongPage }),
    }),
    /^Error: 2 workers, round \d+/,
  );
});

test("an instruction too many is noticed", async () => {
  const more = (result: JobResult): JobResult => ({
    ...result,
    outcome: { ...result.outcome, instructions: result.outcome.instructions + 1n },
  });
  await assert.rejects(
    sameAtEveryWorkerCount(recording, {
      counts: [1],
      around: (inner) => between(inner, { adopt: more }),
    }),
    /^Error: 1 workers, round \d+/,
  );
});

test("results that go to another canister's message are noticed", async () => {
  let held: JobResult | null = null;
  const swap = (result: JobResult): JobResult => {
    const other = held ?? result;
    held = result;
    return other;
  };
  await assert.rejects(
    sameAtEveryWorkerCount(recording, {
      counts: [4],
      around: (inner) => between(inner, { adopt: swap }),
    }),
    /^Error: 4 workers, round \d+/,
  );
});

/** As if it did not wait for workers: what has not come back when a round asks is put off, however much it was granted. */
function impatient(inner: PooledExecutor): Executor {
  const put = new Set<Job["work"]>();
  return {
    run(partitions: readonly Partition[], local: LocalJobs): void {
      const planted = partitions.map((partition): Partition => {
        let open = true;
        return {
          next(): Job | null {
            const job = open ? partition.next() : null;
            if (job === null || put.has(job.work) || job.work.kind !== "message") return job;
            put.add(job.work);
            open = false;
            partition.done(job, null);
            return null;
          },
          done: (job, result) => partition.done(job, result),
        };
      });
      inner.run(planted, local);
    },
  };
}

test("an executor that does not wait for its workers is noticed", async () => {
  await assert.rejects(
    sameAtEveryWorkerCount(recording, { counts: [2], around: impatient }),
    /^Error: 2 workers, round \d+/,
  );
});

test("a workload that gives workers nothing is no workload", async () => {
  const idle = record({}, (subnet) => {
    const canisterId: CanisterId = subnet.installed(SPINNER, { arg: u32(1), cycles: CYCLES });
    subnet.round([subnet.envelope({ canisterId, method: "spin", arg: u32(1) }).bytes]);
  });
  await assert.rejects(
    sameAtEveryWorkerCount(idle, { counts: [1], probeInstructions: 10n ** 9n }),
    /no worker was given anything/,
  );
  replay(idle, { executor: (parts) => pooledOver(parts, { workersMax: 1 }) });
});
