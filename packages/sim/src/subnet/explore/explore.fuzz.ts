/**
 * Explores what a subnet of four can come to: `node packages/sim/src/subnet/explore/explore.fuzz.ts [byzantine|choosy|twins] [SLOTS] [STORMS|all] [FIRST]`,
 * FIRST for one of the three first heights. Ends with 1 at the first state in which something is wrong, and says which choices led there.
 */
import { byzantine, choosy, type Depth, exploreFrom, FIRST_LEADERS, twins } from "./menus.ts";

const MENUS = { byzantine, choosy, twins };

const [name = "byzantine", slots = "3", storms = "all", first] = process.argv.slice(2);
const menu = MENUS[name as keyof typeof MENUS];
const stormsMax = storms === "all" ? Number.POSITIVE_INFINITY : Number(storms);
const depth: Depth = { slots: Number(slots), stormsMax };
for (const leaders of first === undefined
  ? FIRST_LEADERS
  : FIRST_LEADERS.slice(Number(first), Number(first) + 1)) {
  const started = { atMs: performance.now(), cpu: process.cpuUsage() };
  const said = (): string => {
    const { user, system } = process.cpuUsage(started.cpu);
    const [seconds, cpu] = [(performance.now() - started.atMs) / 1_000, (user + system) / 1_000_000];
    return `${seconds.toFixed(0)} s, ${cpu.toFixed(0)} s of processor time`;
  };
  const { violation, states, transitions, statesBySlot, localStates, steps, heights } = exploreFrom({
    ...menu(depth, leaders),
    onSlot: (slot, before, found) =>
      console.error(`slot ${slot + 1}: ${before} states before its choices, ${found} in the end, ${said()}`),
  });
  console.log(
    `${name}, first makers ${leaders}: ${states} states, ${transitions} transitions, ${statesBySlot.join("+")} at slots' ends, ` +
      `${localStates} states of members, ${steps} inputs, heights to ${heights.notarized} (final ${heights.finalized}), ${said()}`,
  );
  if (violation === null) continue;
  console.error(violation.what);
  for (const step of violation.path) console.error(`  ${step}`);
  process.exit(1);
}
