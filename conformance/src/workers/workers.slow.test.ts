/** Every kind of workload comes to the same hashes at 1, 2 and 4 worker threads, in every round, as on the calling thread. */
import { describe, test } from "node:test";
import { sameAtEveryWorkerCount, WORKER_COUNTS } from "@orrery/host/worker-counts";
import { WORKLOADS } from "./workloads.testkit.ts";

for (const { name, play } of WORKLOADS)
  describe(name, () => {
    const recordings = play();
    for (const workers of WORKER_COUNTS)
      test(`${workers} workers, ${recordings.map(({ hashes }) => hashes.length).join(" and ")} rounds`, async () => {
        for (const recording of recordings) await sameAtEveryWorkerCount(recording, { counts: [workers] });
      });
  });
