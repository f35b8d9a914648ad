/**
 * Runs the test scripts of the WebAssembly specification: every module and assertion on the plain engine, on the oracle, and
 * through this package (validation, instrumentation, engine) in both forms. Verdicts must agree, results bit for bit with the
 * oracle's and, where the script says so, with the script; instruction counts with the oracle's. A module that canisters may
 * not have is refused, and counted by its reason.
 *
 *     node packages/wasm/src/spec-suite.fuzz.ts FOLDER_OR_SCRIPT…
 *
 * The scripts are those of the specification's repository (`test/core`); nothing of them is kept here.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseScript } from "./oracle/script.testing.ts";
import { ScriptRun, type Tally } from "./oracle/suite.testing.ts";

function scripts(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => {
      const inner = join(path, name);
      return statSync(inner).isDirectory() || name.endsWith(".wast") ? scripts(inner) : [];
    });
}

const paths = process.argv.slice(2);
if (paths.length === 0) {
  console.error("usage: node packages/wasm/src/spec-suite.fuzz.ts FOLDER_OR_SCRIPT…");
  process.exit(2);
}
const tally: Tally = { passed: new Map(), refused: new Map(), skipped: new Map(), failures: [] };
for (const path of paths.flatMap(scripts)) {
  const before = tally.failures.length;
  const startedMs = performance.now();
  try {
    new ScriptRun(path, tally).run(parseScript(readFileSync(path, "utf8")));
  } catch (error) {
    tally.failures.push(`${path}: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
  }
  const seconds = (performance.now() - startedMs) / 1000;
  if (seconds > 5) console.error(`${path}: ${seconds.toFixed(1)} s`);
  for (const failure of tally.failures.slice(before, before + 20)) console.error(`✖ ${failure}`);
}
for (const [title, counts] of [
  ["agreed", tally.passed],
  ["refused by rule", tally.refused],
  ["not run", tally.skipped],
] as const) {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  console.log(`${title}: ${total}`);
  for (const [reason, count] of [...counts].sort(([, a], [, b]) => b - a))
    console.log(`${String(count).padStart(7)}  ${reason}`);
}
console.log(`failed: ${tally.failures.length}`);
process.exitCode = tally.failures.length === 0 && tally.passed.size > 0 ? 0 : 1;
