/**
 * Simulated subnets with real keys: `node packages/sim/src/subnet/real-keys.fuzz.ts [FIRST_SEED] [SEEDS]`. Four members and a spare, BLS
 * signatures and key generation as they are, faults and misbehaviour drawn from the seed; each seed crosses at least two intervals.
 * Ends with 1 at the first seed that is not safe and alive, and says how to run it again.
 */
import { seededRandom } from "../random.ts";
import { CALM, type FaultPlan, MISBEHAVIOURS, STORMY } from "./faults.ts";
import { loadRealKeys } from "./real-keys.ts";
import { runSubnet, type SubnetRun } from "./run.ts";
import type { KeySource } from "./world-nodes.ts";

const PROGRESS_EVERY = 5;
const INTERVALS_MIN = 2;

function drawn(seed: number, keys: KeySource): SubnetRun {
  const random = seededRandom(seed, 2);
  const kind = MISBEHAVIOURS[random.below(MISBEHAVIOURS.length)] as (typeof MISBEHAVIOURS)[number];
  const faults: FaultPlan = {
    ...(random.chance(0.5) ? STORMY : CALM),
    byzantine: random.chance(0.5) ? [kind] : [],
    changePerSecond: random.next() * 0.5,
  };
  // Room for the five dealings that both sets of keys take, one a block.
  return {
    seed,
    nodes: 4,
    spares: 1,
    seconds: 4,
    messagesPerSecond: 1,
    catchUpInterval: 8 + random.below(2),
    faults,
    keys,
  };
}

const [first = "1", count = "20"] = process.argv.slice(2);
const keys = await loadRealKeys();
let [rounds, intervals, undealt, changes] = [0, 0, 0, 0];
const startedMs = performance.now();
for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
  const run = drawn(seed, keys);
  const result = runSubnet(run);
  rounds += result.rounds;
  intervals += result.intervals;
  undealt += result.undealt;
  changes += result.changes;
  const few = result.intervals < INTERVALS_MIN ? [`only ${result.intervals} intervals`] : [];
  if (result.verdict !== "ok" || few.length > 0) {
    console.error(`seed ${seed}: ${result.verdict}, ${run.faults.byzantine.join(", ") || "all honest"}`);
    for (const violation of [...result.violations, ...few]) console.error(`  ${violation}`);
    console.error(`again: node packages/sim/src/subnet/real-keys.fuzz.ts ${seed} 1`);
    process.exit(1);
  }
  if ((seed - Number(first) + 1) % PROGRESS_EVERY === 0)
    process.stderr.write(`${seed - Number(first) + 1} seeds, ${rounds} rounds, ${intervals} intervals\n`);
}
const seconds = (performance.now() - startedMs) / 1_000;
console.log(
  `${count} seeds, ${rounds} rounds, ${intervals} intervals, ${undealt} of them without new keys, ${changes} registry versions in ` +
    `force: all safe, all alive again; ${(seconds / Number(count)).toFixed(1)} s a seed`,
);
