/**
 * Tests the checkers: every planted bug runs through the battery, after a run without one. `node packages/sim/src/subnet/planted/planted.fuzz.ts
 * [PART_OF_A_NAME]`. Prints how each was noticed and after how many rounds; ends with 1 when fewer than 95 % are.
 */
import { loadPlanted } from "./load.testkit.ts";
import { PLANTS } from "./plants.testkit.ts";
import { battery } from "./try.testkit.ts";

const CAUGHT_MIN = 0.95;

const [part = ""] = process.argv.slice(2);
const sound = battery();
console.log(`nothing planted: ${sound.caught ?? "nothing noticed"} in ${sound.rounds} rounds`);
const chosen = PLANTS.map((plant, number) => ({ ...plant, number })).filter(({ what }) =>
  what.includes(part),
);
const took: number[] = [];
for (const { what, number } of chosen) {
  const { caught, rounds } = (await loadPlanted(number)).battery();
  console.log(
    `${caught === null ? "MISSED" : "caught"} ${what} (${rounds} rounds): ${caught ?? "nothing noticed"}`,
  );
  if (caught !== null) took.push(rounds);
}
took.sort((a, b) => a - b);
const share = took.length / chosen.length;
const median = took[Math.floor(took.length / 2)] ?? 0;
console.log(
  `${took.length} of ${chosen.length} planted bugs noticed (${(100 * share).toFixed(0)} %), median ${median} rounds`,
);
process.exitCode = sound.caught === null && share >= CAUGHT_MIN ? 0 : 1;
