/**
 * Explores what a subnet of four can come to: `node packages/sim/src/subnet/explore/explore.fuzz.ts [byzantine|twins] [SLOTS] [STORMS]`. Ends
 * with 1 at the first state in which something is wrong, and says which choices led there.
 */
import { byzantine, type Depth, exploreFrom, FIRST_LEADERS, twins } from "./menus.ts";

const MENUS = { byzantine, twins };

const [name = "byzantine", slots = "3", storms = "1"] = process.argv.slice(2);
const menu = MENUS[name as keyof typeof MENUS];
const depth: Depth = { slots: Number(slots), stormsMax: Number(storms) };
for (const leaders of FIRST_LEADERS) {
  const startedMs = performance.now();
  const { violation, states, transitions, statesBySlot, localStates, steps, heights } = exploreFrom(
    menu(depth, leaders),
  );
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(0);
  console.log(
    `${name}, first makers ${leaders}: ${states} states, ${transitions} transitions, ${statesBySlot.join("+")} at slots' ends, ` +
      `${localStates} states of members, ${steps} inputs, heights to ${heights.notarized} (final ${heights.finalized}), ${seconds} s`,
  );
  if (violation === null) continue;
  console.error(violation.what);
  for (const step of violation.path) console.error(`  ${step}`);
  process.exit(1);
}
