/** `npm run drill:kill -- [--kills N] [--seed S] [--state-dir D]`: the kill drill as a command. Ends with 1 at the first violation. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { killDrill } from "./kill-drill.ts";

const KILLS_DEFAULT = "200";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: KILLS_DEFAULT },
    seed: { type: "string", default: `${Date.now() % 1_000_000}` },
    "state-dir": { type: "string" },
  },
});
const kills = Number(values.kills);
const seed = Number(values.seed);
if (!Number.isSafeInteger(kills) || kills < 1 || !Number.isSafeInteger(seed)) {
  console.error("--kills and --seed take whole numbers");
  process.exit(2);
}
const stateDir = values["state-dir"] ?? mkdtempSync(join(tmpdir(), "kill-drill-"));
console.log(`seed ${seed}, state in ${stateDir}`);
const startedMs = performance.now();
try {
  const result = await killDrill({ stateDir, kills, seed, report: (line) => console.log(line) });
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
  console.log(JSON.stringify({ seed, seconds: Number(seconds), ...result }, null, 1));
  console.log(
    `${result.kills} kills, ${result.answered} requests answered, ${result.resent} sent again, ` +
      `${result.statusesChecked} answers asked for again: nothing lost, doubled or torn`,
  );
  if (values["state-dir"] === undefined) rmSync(stateDir, { recursive: true });
  process.exit(0);
} catch (error) {
  console.error(error);
  console.error(`the state directory is kept: ${stateDir}; the same choices again: --seed ${seed}`);
  process.exit(1);
}
