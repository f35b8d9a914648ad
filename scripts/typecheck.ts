/**
 * `npm run typecheck`: the type checker over every project. The root project covers all files, tests included, with Node's types; the pure floors
 * have a project each in which no host global exists, so that `setTimeout` or `Buffer` does not even type-check there.
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { REPOSITORY_ROOT } from "./repository.ts";

const projects = [
  "tsconfig.json",
  ...readdirSync(`${REPOSITORY_ROOT}/packages`)
    .map((name) => `packages/${name}/tsconfig.json`)
    .filter((path) => existsSync(`${REPOSITORY_ROOT}/${path}`)),
];

/** Checks one project; prints its errors when it has any. */
function checkProject(project: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const compiler = `${REPOSITORY_ROOT}/node_modules/typescript/bin/tsc`;
  const child = spawn(process.execPath, [compiler, "--noEmit", "-p", project], {
    cwd: REPOSITORY_ROOT,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.on("close", (code) => {
    if (code !== 0) console.log(`${project}\n${output}`);
    resolve(code === 0);
  });
  return promise;
}

const queue = [...projects];
let failures = 0;
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let project = queue.shift(); project !== undefined; project = queue.shift()) {
      if (!(await checkProject(project))) failures++;
    }
  }),
);
console.log(`typecheck: ${projects.length} projects, ${failures} with errors`);
if (failures > 0) process.exitCode = 1;
