/**
 * Simulated subnets for as long as one likes: `node packages/sim/src/subnet/subnet.fuzz.ts [FIRST_SEED] [SEEDS]`. Size, faults and
 * misbehaviour are drawn from the seed. Ends with 1 at the first seed that is not safe and alive, and says how to run it again.
 */
import { seededRandom } from "../random.ts";
import { type FaultPlan, MISBEHAVIOURS, STORMY } from "./faults.ts";
import { runSubnet, type SubnetRun } from "./run.ts";

const SIZES = [1, 4, 4, 4, 5, 7, 10, 13];
const SECONDS = 40;
const PROGRESS_EVERY = 10;

/** The run of a seed. */
function drawn(seed: number): SubnetRun {
  const random = seededRandom(seed, 1);
  const nodes = SIZES[random.below(SIZES.length)] as number;
  const faulty = Math.floor((nodes - 1) / 3);
  const kinds = MISBEHAVIOURS;
  const byzantine = Array.from(
    { length: random.below(faulty + 1) },
    () => kinds[random.below(kinds.length)] as (typeof kinds)[number],
  );
  const faults: FaultPlan = {
    ...STORMY,
    byzantine,
    loss: random.next() * 0.3,
    duplicate: random.next() * 0.1,
    crashPerSecond: random.next() * 0.08,
    partitionPerSecond: random.next() * 0.08,
  };
  return {
    seed,
    nodes,
    seconds: SECONDS,
    messagesPerSecond: 3,
    catchUpInterval: 5 + random.below(30),
    faults,
  };
}

const [first = "1", count = "100"] = process.argv.slice(2);
let [rounds, events, syncs, virtual] = [0, 0, 0, 0];
const startedMs = performance.now();
for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
  const run = drawn(seed);
  const result = runSubnet(run);
  rounds += result.rounds;
  events += result.events;
  syncs += result.syncs;
  virtual += result.seconds;
  if (result.verdict !== "ok") {
    const { nodes, faults } = run;
    console.error(
      `seed ${seed}: ${result.verdict}, ${nodes} nodes, ${faults.byzantine.join(", ") || "all honest"}`,
    );
    for (const violation of result.violations) console.error(`  ${violation}`);
    console.error(`again: node packages/sim/src/subnet/subnet.fuzz.ts ${seed} 1`);
    process.exit(1);
  }
  if ((seed - Number(first) + 1) % PROGRESS_EVERY === 0)
    process.stderr.write(`${seed - Number(first) + 1} seeds, ${rounds} rounds, ${syncs} states fetched\n`);
}
const seconds = (performance.now() - startedMs) / 1_000;
console.log(
  `${count} seeds, ${rounds} rounds, ${events} events, ${syncs} states fetched: all safe, all alive again; ` +
    `${(virtual / seconds).toFixed(0)} times as fast as the clock`,
);
