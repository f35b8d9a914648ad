/**
 * The examples for test runners, run as a user would: the tarball of `npm run pack` and the runners from the registry in an empty
 * project, the examples in it as they are.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));
const BUILT = "canisters/fixtures/built";
const MODULES = ["counter", "caller", "callee", "weather"].map((name) => `${BUILT}/${name}.eop.wasm.gz`);
const OURS = "ic-orrery";

interface Example {
  readonly folder: string;
  /** Relative to the project; null: the runtime's own. */
  readonly runner: string | null;
  readonly flags: readonly string[];
  readonly arguments: readonly string[];
  /** What it prints when all went well. */
  readonly passed: RegExp;
}

const EXAMPLES: readonly Example[] = [
  {
    folder: "test-with-node",
    runner: null,
    flags: ["--test"],
    arguments: [],
    passed: /^(ℹ|#) pass 8\n(ℹ|#) fail 0$/m,
  },
  {
    folder: "test-with-vitest",
    runner: "node_modules/vitest/vitest.mjs",
    flags: [],
    arguments: ["run"],
    passed: /Tests .*3 passed.*\(3\)/,
  },
  {
    folder: "test-with-jest",
    runner: "node_modules/jest/bin/jest.js",
    flags: ["--experimental-vm-modules"],
    arguments: ["--rootDir", "."],
    passed: /^Tests: +2 passed, 2 total$/m,
  },
];

const project = mkdtempSync(join(tmpdir(), "orrery-examples-"));

/** What the examples say they need, but for the package itself. */
function needs(): readonly string[] {
  const all = new Map<string, string>();
  for (const { folder } of EXAMPLES) {
    const manifest = JSON.parse(
      readFileSync(join(REPOSITORY, "examples", folder, "package.json"), "utf8"),
    ) as { readonly devDependencies: Readonly<Record<string, string>> };
    for (const [name, range] of Object.entries(manifest.devDependencies)) all.set(name, range);
  }
  assert.ok(all.delete(OURS));
  return [...all].map(([name, range]) => `${name}@${range}`);
}

before(() => {
  const pack = spawnSync(process.execPath, ["scripts/pack.ts", join(project, "dist")], {
    cwd: REPOSITORY,
    encoding: "utf8",
  });
  assert.equal(pack.status, 0, pack.stdout + pack.stderr);
  writeFileSync(join(project, "package.json"), '{ "name": "empty", "private": true, "type": "module" }\n');
  const flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  execFileSync("npm", ["install", ...flags, pack.stdout.trim(), ...needs()], { cwd: project });
  mkdirSync(join(project, BUILT), { recursive: true });
  for (const path of MODULES) cpSync(join(REPOSITORY, path), join(project, path));
  for (const { folder } of EXAMPLES) {
    const from = join(REPOSITORY, "examples", folder);
    cpSync(from, join(project, "examples", folder), {
      recursive: true,
      filter: (path) => !path.includes("node_modules"),
    });
  }
});

after(() => rmSync(project, { recursive: true, force: true }));

for (const { folder, runner, flags, arguments: more, passed } of EXAMPLES) {
  test(`${folder} passes`, () => {
    const program = runner === null ? [] : [join(project, runner)];
    // Of a test run of its own: this one is not to be its parent.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const run = spawnSync(process.execPath, [...flags, ...program, ...more], {
      cwd: join(project, "examples", folder),
      encoding: "utf8",
      env: { ...env, NO_COLOR: "1", CI: "1" },
    });
    const said = run.stdout + run.stderr;
    assert.equal(run.status, 0, said);
    assert.match(said, passed);
  });
}
