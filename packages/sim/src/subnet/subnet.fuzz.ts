/**
 * Simulated subnets for as long as one likes: `node packages/sim/src/subnet/subnet.fuzz.ts [FIRST_SEED] [SEEDS]`. Size, faults and
 * misbehaviour are drawn from the seed. Ends with 1 at the first seed that is not safe and alive, and says how to run it again.
 */
import { drawnRun } from "./drawn.ts";
import { runSubnet } from "./run.ts";

const PROGRESS_EVERY = 10;

const [first = "1", count = "100"] = process.argv.slice(2);
if (![first, count].every((number) => /^[1-9]\d*$/.test(number))) {
  console.error(`FIRST_SEED and SEEDS are numbers from 1 on, not ${first} and ${count}`);
  process.exit(2);
}
let [rounds, events, syncs, healings, virtual] = [0, 0, 0, 0, 0];
let [intervals, changes] = [0, 0];
const startedMs = performance.now();
for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
  const run = drawnRun(seed);
  const result = runSubnet(run);
  rounds += result.rounds;
  events += result.events;
  syncs += result.syncs;
  healings += result.healings;
  intervals += result.intervals;
  changes += result.changes;
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
  `${count} seeds, ${rounds} rounds, ${events} events, ${intervals} intervals, ${changes} registry versions in force, ${syncs} states fetched, ${healings} broken ones healed: all safe, all alive again; ` +
    `${(virtual / seconds).toFixed(0)} times as fast as the clock`,
);
