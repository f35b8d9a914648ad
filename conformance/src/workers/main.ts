/**
 * `node conformance/src/workers/main.ts [FIRST] [SEEDS] [ROUNDS]`: chaos on one subnet and over streams between two, with many seeds, at 1, 2
 * and 4 worker threads. Ends with 1 at the first round that comes to another hash.
 */
import { sameAtEveryWorkerCount } from "@orrery/host/worker-counts";
import { chaosRecording } from "../chaos/chaos.testkit.ts";
import { streams } from "./workloads.testkit.ts";

const [first = 1, seeds = 20, rounds = 60] = process.argv.slice(2).map(Number);
let played = 0;
for (let seed = first; seed < first + seeds; seed++) {
  for (const recording of [chaosRecording({ seed, rounds }).recording, ...streams(seed)]) {
    await sameAtEveryWorkerCount(recording);
    played += recording.hashes.length;
  }
  console.log(`seed ${seed}: ${played} rounds so far, the same at every number of workers`);
}
