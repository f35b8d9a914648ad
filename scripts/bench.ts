/**
 * `npm run bench`: runs every benchmark of `bench/src` (each file there is one; what they share lies in folders below), one after the other and
 * each in its own process, so that none measures the other's garbage. Arguments pick those whose name contains one of them.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { REPOSITORY_ROOT } from "./repository.ts";

const folder = join(REPOSITORY_ROOT, "bench/src");
const picks = process.argv.slice(2);
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
  .filter((name) => picks.length === 0 || picks.some((pick) => name.includes(pick)))
  .sort();

console.log(
  `Node.js ${process.version}, ${availableParallelism()} × ${cpus()[0]?.model ?? "unknown processor"}`,
);
for (const name of names) {
  console.log(`\n── ${name.replace(/\.ts$/, "")}`);
  const run = spawnSync(process.execPath, [join(folder, name)], { cwd: REPOSITORY_ROOT, stdio: "inherit" });
  if (run.status !== 0) process.exitCode = 1;
}
if (names.length === 0) {
  console.error(`no benchmark in bench/src matches ${picks.join(", ")}`);
  process.exitCode = 1;
}
