/**
 * `npm run check` and, with `--all`, `npm test`: the quick checks side by side, then one run of the test runner, last, so that its summary
 * closes the output. `check` runs the unit tests (of `packages/` and `scripts/`, but not `*.slow.test.ts`), `--all` every test. Further arguments
 * pick the test files whose path contains one of them. Tests that the machine cannot run (no Chromium, no `icp` for it) are named at the end.
 *
 * A file for each processor runs at a time, and beside them one of those that run networks of node processes, which wait for most of their time and are
 * disturbed by each other more than by anything else. Code that was compiled is kept for the processes that follow.
 */
import { spawn } from "node:child_process";
import { availableParallelism, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { finished } from "node:stream/promises";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { openRepository, REPOSITORY_ROOT } from "./repository.ts";

/** A test that takes longer hangs. */
const TEST_TIMEOUT_MS = 600_000;
/** All of them. */
const RUN_TIMEOUT_MS = 3_600_000;
/** Before each file. */
const PRELOADED = ["same-values.ts", "file-limit.ts"];
/** Files that run networks of several processes, the longest first: one at a time, beside the others. */
const NETWORKS = [
  "conformance/src/upgrade.test.ts",
  "conformance/src/nodes-drill/drill.test.ts",
  "conformance/src/nodes.test.ts",
  "conformance/src/membership.test.ts",
  "conformance/src/new-subnet.test.ts",
  "apps/cli/src/nodes/start-nodes.process.test.ts",
];
/** Where the runtime keeps what it compiled, and strips of types, as the commands do too: a process starts with half the work then. */
const COMPILED = join(tmpdir(), "node-compile-cache");
/** Set where everything is installed: a test that is skipped there is a failure. */
const SKIP_NOTHING = "ORRERY_SKIP_NOTHING";

interface Step {
  readonly name: string;
  /** Arguments of the runtime. */
  readonly args: readonly string[];
}

const QUICK_STEPS: readonly Step[] = [
  {
    name: "lint",
    args: ["node_modules/@biomejs/biome/bin/biome", "ci", "--error-on-warnings", "--colors=off", "."],
  },
  { name: "types", args: ["scripts/typecheck.ts"] },
  { name: "tidy", args: ["scripts/tidy.ts"] },
  {
    name: "dead code",
    args: ["node_modules/knip/bin/knip.js", "--treat-config-hints-as-errors", "--no-progress"],
  },
];

/** Runs a step; its output is held back and printed whole, so that steps side by side stay legible. */
function runQuick({ name, args }: Step): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const startedMs = performance.now();
  const child = spawn(process.execPath, args, { cwd: REPOSITORY_ROOT, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  child.on("close", (code) => {
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    console.log(`${code === 0 ? "✔" : "✖"} ${name} (${seconds} s)`);
    if (code !== 0) console.log(output.trimEnd());
    resolve(code === 0);
  });
  return promise;
}

function testFiles(isAll: boolean, picks: readonly string[]): string[] {
  const { paths } = openRepository(REPOSITORY_ROOT);
  const gone = NETWORKS.filter((path) => !paths.includes(path));
  if (gone.length > 0)
    throw new Error(`there is no ${gone.join(", ")}: NETWORKS in check.ts names test files`);
  return (
    paths
      .filter((path) => path.endsWith(".test.ts") && !path.includes("/fixtures/"))
      // Those of the examples are run as their users run them (`conformance/src/runner-examples.test.ts`).
      .filter((path) => !path.startsWith("examples/"))
      .filter((path) => isAll || (/^(packages|scripts)\//.test(path) && !path.endsWith(".slow.test.ts")))
      .filter((path) => picks.length === 0 || picks.some((pick) => path.includes(pick)))
  );
}

/** A test that this machine cannot run, and why. */
interface Skipped {
  readonly name: string;
  readonly file: string;
  readonly why: string;
}

type TestEvent = {
  readonly type: string;
  readonly data: { readonly nesting?: number; readonly message?: string };
};

interface Lane {
  readonly files: readonly string[];
  /** Files at a time. */
  readonly width: number;
  readonly onEvent: (event: TestEvent) => void;
}

interface Outcome {
  readonly failed: number;
  readonly skipped: readonly Skipped[];
  /** What the runner counts, by name. */
  readonly counts: ReadonlyMap<string, number>;
}

/** What a runner says of all files in the end. */
const COUNT = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/;

/** Each file in its own process. */
async function runLane({ files, width, onEvent }: Lane): Promise<Outcome> {
  const skipped: Skipped[] = [];
  const counts = new Map<string, number>();
  let failed = 0;
  if (files.length === 0) return { failed, skipped, counts };
  const events = run({
    files: files.map((path) => join(REPOSITORY_ROOT, path)),
    cwd: REPOSITORY_ROOT,
    timeout: TEST_TIMEOUT_MS,
    signal: AbortSignal.timeout(RUN_TIMEOUT_MS),
    execArgv: PRELOADED.flatMap((name) => ["--import", join(REPOSITORY_ROOT, "scripts", name)]),
    concurrency: width,
  });
  events.on("test:fail", () => {
    failed++;
  });
  events.on("test:pass", ({ name, file = "", skip }) => {
    if (skip === undefined || skip === false) return;
    const why = typeof skip === "string" ? skip : `not on ${process.platform}`;
    skipped.push({ name, file: relative(REPOSITORY_ROOT, file), why });
  });
  for await (const event of events as AsyncIterable<TestEvent>) {
    const { nesting, message = "" } = event.data;
    const [, name, count] =
      COUNT.exec(event.type === "test:diagnostic" && nesting === 0 ? message : "") ?? [];
    if (name === undefined) onEvent(event);
    else counts.set(name, Number(count));
  }
  return { failed, skipped, counts };
}

/** All files, with one summary; what networks came to stands behind the rest. */
async function runTests(
  files: readonly string[],
): Promise<{ readonly passed: boolean; readonly skipped: readonly Skipped[] }> {
  process.env["NODE_COMPILE_CACHE"] ??= COMPILED;
  const networks = NETWORKS.filter((path) => files.includes(path));
  const report = new spec();
  report.pipe(process.stdout, { end: false });
  const held: TestEvent[] = [];
  const lanes = await Promise.all([
    runLane({
      files: files.filter((path) => !networks.includes(path)),
      width: availableParallelism(),
      onEvent: (event) => report.write(event),
    }),
    runLane({ files: networks, width: 1, onEvent: (event) => held.push(event) }),
  ]);
  for (const event of held) report.write(event);
  for (const name of new Set(lanes.flatMap(({ counts }) => [...counts.keys()]))) {
    const each = lanes.map(({ counts }) => counts.get(name) ?? 0);
    const count = name === "duration_ms" ? Math.max(...each) : each.reduce((all, one) => all + one, 0);
    report.write({ type: "test:diagnostic", data: { nesting: 0, message: `${name} ${count}` } });
  }
  report.end();
  await finished(report);
  return {
    passed: lanes.every(({ failed }) => failed === 0),
    skipped: lanes.flatMap((lane) => lane.skipped),
  };
}

/** Names what was not tested here; false when this machine is one that tests everything. */
function reportSkipped(skipped: readonly Skipped[]): boolean {
  if (skipped.length === 0) return true;
  console.log(`\n${skipped.length} tests cannot run on this machine:`);
  for (const { name, file, why } of skipped) console.log(`- ${name} (${file}): ${why}`);
  const isAllowed = process.env[SKIP_NOTHING] === undefined;
  if (!isAllowed) console.log(`${SKIP_NOTHING} is set: install what is missing; nothing may be skipped.`);
  return isAllowed;
}

const [flags, picks] = [
  process.argv.slice(2),
  process.argv.slice(2).filter((word) => !word.startsWith("--")),
];
const queue = [...QUICK_STEPS];
let isGood = true;
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
      if (!(await runQuick(step))) isGood = false;
    }
  }),
);
const isAll = flags.includes("--all");
if (!isGood && !isAll) {
  console.log("The quick checks failed; no test was run.");
  process.exitCode = 1;
} else {
  // A merge wants to know of every failure at once, so that `--all` goes on; the failed step stands above.
  const files = testFiles(isAll, picks);
  if (files.length === 0) console.log(`No test file's path contains ${picks.join(" or ")}.`);
  const { passed, skipped } = await runTests(files);
  const isComplete = reportSkipped(skipped);
  process.exitCode = isGood && passed && isComplete && files.length > 0 ? 0 : 1;
}
