/**
 * Starts a node with the version of Orrery that it is to run (docs/operators.md, "Upgrades"): `node run-node.ts STATE_DIR [OPTION]…`. Versions are
 * installed beside each other, where this script is, each with `npm install --prefix VERSION ic-orrery@VERSION`; the file `first` there names the
 * one to begin with.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = process.env["ORRERY_VERSIONS"] ?? import.meta.dirname;
/** Of a node whose version is to be another one. */
const EXIT_CODE = 12;
/** Before the service manager tries again. */
const MISSING_MS = 30_000;

const [stateDir = "state", ...options] = process.argv.slice(2);
const nodes = existsSync(stateDir) ? readdirSync(stateDir).filter((name) => /^node-\d+$/.test(name)) : [];
const named = [join(ROOT, "first"), ...nodes.map((name) => join(stateDir, name, "node.wanted"))];
const naming = named.findLast((path) => existsSync(path));
const version = naming === undefined ? null : readFileSync(naming, "utf8").trim();
const program = join(ROOT, version ?? "", "node_modules/.bin/orrery");
if (version === null) {
  process.stderr.write(
    `no version of Orrery is named: write one that is installed into ${join(ROOT, "first")}, such as 0.1.0\n`,
  );
  process.exitCode = 1;
} else if (existsSync(program)) {
  let node: ChildProcess | null = null;
  // Before there is a node, which must not be left alone.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => node?.kill(signal));
  // In a group of its own: what a terminal says to all would reach it twice, and a second signal ends a node at once.
  node = spawn(program, ["node", "run", "--state-dir", stateDir, ...options], {
    stdio: "inherit",
    detached: true,
  });
  node.once("exit", (code) => process.exit(code ?? 1));
} else {
  process.stderr.write(
    `version ${version} of Orrery is to run and is not installed: npm install --prefix ${ROOT}/${version} ic-orrery@${version}\n`,
  );
  setTimeout(() => process.exit(EXIT_CODE), MISSING_MS);
}
