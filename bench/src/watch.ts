/**
 * From a save to live: how long `orrery deploy --watch` takes from the moment a small Motoko actor's source is written until the network answers
 * with the new code, its state kept. The goal is two seconds. Between saves is as long as somebody needs to type a line.
 * Run: node bench/src/watch.ts [saves]
 */
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Command, launch, succeeded } from "@orrery/host/command";
import { percentile } from "./lib/load.ts";

const SAVES = Number(process.argv[2] ?? 8);
const GOAL_MS = 2_000;
const TYPING_MS = 4_000;
const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const COMMAND = join(REPOSITORY, "apps/cli/src/main.ts");
const scratch = mkdtempSync(join(tmpdir(), "orrery-watch-"));
const root = join(scratch, "notes");
const main = join(root, "src/backend/main.mo");

const orrery = (cwd: string, ...argv: readonly string[]): Command =>
  launch({ cwd }, process.execPath, COMMAND, ...argv);

await succeeded(orrery(scratch, "new", "notes"));
symlinkSync(join(REPOSITORY, "node_modules"), join(root, "node_modules"), "junction");
const network = orrery(root, "start", "--port", "0");
await network.said(/The network is running/);
const watching = orrery(root, "deploy", "--watch");
try {
  await watching.said(/Watching/);
  const times: number[] = [];
  for (let save = 1; save <= SAVES; save++) {
    const source = readFileSync(main, "utf8").replace(
      /pushFront\(entries, text.*\);/,
      `pushFront(entries, text # "${save}");`,
    );
    await setTimeout(TYPING_MS);
    const startMs = performance.now();
    writeFileSync(main, source);
    await watching.said(/Live after/);
    times.push(performance.now() - startMs);
  }
  times.sort((a, b) => a - b);
  const ms = (fraction: number): string => `${percentile(times, fraction).toFixed(0)} ms`;
  console.log(
    `from a save to live, ${SAVES} saves: median ${ms(0.5)}, slowest ${ms(1)} (goal: ${GOAL_MS} ms)`,
  );
} finally {
  for (const { child, ended } of [watching, network]) {
    child.kill("SIGTERM");
    await ended;
  }
  rmSync(scratch, { recursive: true, force: true });
}
