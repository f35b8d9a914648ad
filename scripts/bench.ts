/**
 * `npm run bench`: runs every benchmark of `bench/src` (each file there is one; what they share lies in folders below), one after the other and
 * each in its own process, so that none measures the other's garbage. Arguments pick those whose name contains one of them.
 * `--against PATH` measures the same work on another PocketIC-protocol server.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { REPOSITORY_ROOT } from "./repository.ts";

const folder = join(REPOSITORY_ROOT, "bench/src");
const { values, positionals } = parseArgs({
  options: { against: { type: "string" } },
  allowPositionals: true,
});
const flags = values.against === undefined ? [] : ["--against", resolve(values.against)];
// What can be compared with others.
const picks = flags.length > 0 && positionals.length === 0 ? ["pocketic"] : positionals;
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
  .filter((name) => picks.length === 0 || picks.some((pick) => name.includes(pick)))
  .sort();

console.log(
  `Node.js ${process.version}, ${availableParallelism()} × ${cpus()[0]?.model ?? "unknown processor"}`,
);
for (const name of names) {
  console.log(`\n── ${name.replace(/\.ts$/, "")}`);
  const run = spawnSync(process.execPath, [join(folder, name), ...flags], {
    cwd: REPOSITORY_ROOT,
    stdio: "inherit",
  });
  if (run.status !== 0) process.exitCode = 1;
}
if (names.length === 0) {
  console.error(`no benchmark in bench/src matches ${picks.join(", ")}`);
  process.exitCode = 1;
}
