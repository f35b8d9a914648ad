/**
 * What is in deploy/ against the code: flags that the command takes, ports and times that fit each other, metrics that a node shows, and the
 * script that starts the version that a node is to run.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { exitCodeOf } from "../apps/cli/src/nodes/exit-codes.ts";
import { run } from "../apps/cli/src/run.ts";
import { newRoundFigures, renderMetrics } from "../apps/node/src/metrics.ts";
import { STOP_MS_MAX, TERMINATE_MS_MAX } from "../apps/node/src/stopping.ts";
import { createRequestCounters } from "../packages/http/src/metrics.ts";
import { REPOSITORY_ROOT } from "./repository.ts";

const folder = mkdtempSync(join(tmpdir(), "orrery-deploy-"));
after(() => rmSync(folder, { recursive: true }));
const read = (path: string): string => readFileSync(join(REPOSITORY_ROOT, path), "utf8");

/** The first group of what a file says. */
function said(content: string, pattern: RegExp): string {
  const [, found] = pattern.exec(content) ?? [];
  assert.ok(found !== undefined, `${pattern} is not there`);
  return found;
}

const container = read("deploy/Containerfile");
const compose = read("deploy/compose.yaml");
const unit = read("deploy/orrery-node.service");
const words = (pattern: RegExp): readonly string[] => JSON.parse(said(container, pattern)) as string[];
const command: readonly string[] = words(/^CMD (\[.*\])$/m);
const check: readonly string[] = words(/^HEALTHCHECK .* CMD (\[.*\])$/m);
const service: readonly string[] = said(unit, /^ExecStart=(.*)$/m).split(" ");

/** Why the command does not do it, where there is no network: a code, `usage` for what it does not know. */
async function refusal(argv: readonly string[]): Promise<unknown> {
  let err = "";
  const io = {
    ...{ cwd: folder, out: () => {}, style: (_: string, line: string) => line },
    err: (line: string) => {
      err += line;
    },
  };
  const code = await run(argv, io);
  assert.equal(code, 1, `${argv.join(" ")}: ${err}`);
  return err;
}

test("the command takes every flag of the image, its check and the unit", async () => {
  const [, , script, , ...options] = service;
  assert.equal(script, "/opt/orrery/run-node.ts");
  const all = [command, check.slice(1), ["node", "run", "--state-dir", "state", ...options]];
  for (const argv of all) {
    const local = argv.map((word) => (word.startsWith("/var/lib/") ? join(folder, "none") : word));
    assert.match(
      `${await refusal(local.filter((word) => word !== "--json"))}`,
      /holds no network of several nodes/,
    );
  }
});

test("ports and times fit each other", () => {
  const [port, peers] = said(container, /^EXPOSE (.*)$/m).split(" ");
  const given = (option: string): string => command[command.indexOf(option) + 1] ?? "";
  assert.equal(given("--port"), port);
  assert.equal(given("--peer-bind").split(":")[1], peers);
  const published = [...compose.matchAll(/ports: \["\d+:(\d+)"\]/g)].map(([, inside]) => inside);
  assert.deepEqual(published, [port, port, port, port]);
  const longest = (STOP_MS_MAX + TERMINATE_MS_MAX) / 1_000;
  for (const seconds of [said(compose, /stop_grace_period: (\d+)s/), said(unit, /^TimeoutStopSec=(\d+)$/m)])
    assert.ok(Number(seconds) > longest, `${seconds} s are fewer than ${longest}`);
  // A second signal ends a node at once: one comes from the script.
  assert.equal(said(unit, /^KillMode=(.*)$/m), "mixed");
});

test("the unit starts a node again for another version and after failures, and leaves one that this does not mend", () => {
  assert.equal(said(unit, /^Restart=(.*)$/m), "on-failure");
  const left = Number(said(unit, /^RestartPreventExitStatus=(\d+)$/m));
  const codes = [
    "state_diverges",
    "replica_version_unrecorded",
    "replica_version_differs",
    "node_removed",
    "port_taken",
  ];
  assert.deepEqual(codes.map(exitCodeOf), [left, left, 12, 0, null]);
});

test("every metric that the dashboard and the guide name is one that a node shows", () => {
  const versions = { running: "1.0.0", wanted: null };
  const figures = {
    ...newRoundFigures(),
    subnetId: "a",
    publishedHeight: 1,
    poolMessages: 0,
    watchers: 0,
    versions,
  };
  const http = createRequestCounters(() => ({}) as never);
  const shown = new Set(
    [...`${renderMetrics([figures])}${http.render()}`.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name),
  );
  const dashboard = JSON.parse(read("deploy/dashboard.json")) as {
    readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
  };
  const queries = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  const named = `${queries.join(" ")} ${read("docs/operators.md")}`.match(/\borrery_[a-z_]+\b/g) ?? [];
  assert.ok(named.length >= queries.length);
  for (const name of named) assert.ok(shown.has(name), name);
  // What the guide calls worth an alarm can be seen.
  for (const alarm of ["orrery_state_diverged", "orrery_upgrade_pending"])
    assert.ok(
      queries.some((query) => query.includes(alarm)),
      alarm,
    );
});

/** A folder of versions, each of which says how it was started and which signals come. */
function versionsOf(...names: readonly string[]): string {
  const root = mkdtempSync(join(folder, "versions-"));
  for (const name of names) {
    const bin = join(root, name, "node_modules/.bin");
    mkdirSync(bin, { recursive: true });
    const script = `trap 'echo stopped; exit 12' TERM\necho ${name} "$@" pid $$\nwhile :; do sleep 0.05; done\n`;
    writeFileSync(join(bin, "orrery"), `#!/bin/sh\n${script}`);
    chmodSync(join(bin, "orrery"), 0o755);
  }
  writeFileSync(join(root, "first"), `${names[0] ?? "0.1.0"}\n`);
  return root;
}

interface Started {
  readonly child: ChildProcess;
  /** What it said so far. */
  readonly said: { out: string; err: string };
  /** It said something. */
  readonly begun: Promise<unknown>;
  readonly ended: Promise<unknown>;
}

function start(root: string, ...argv: readonly string[]): Started {
  const env = { ...process.env, ORRERY_VERSIONS: root };
  const child = spawn(process.execPath, [join(REPOSITORY_ROOT, "deploy/run-node.ts"), ...argv], { env });
  const texts = { out: "", err: "" };
  const begun = Promise.race([once(child.stdout, "data"), once(child.stderr, "data")]);
  child.stdout.on("data", (text: Buffer) => {
    texts.out += text.toString();
  });
  child.stderr.on("data", (text: Buffer) => {
    texts.err += text.toString();
  });
  return { child, said: texts, begun, ended: once(child, "close") };
}

const onPosix = { skip: process.platform === "win32" };

test(
  "the script starts the version that the node is to run, hands a signal on, and ends as it does",
  onPosix,
  async () => {
    const root = versionsOf("0.1.0", "0.2.0");
    const state = mkdtempSync(join(folder, "state-"));
    const runs = async (version: string): Promise<void> => {
      const { child, said: texts, begun, ended } = start(root, state, "--port", "8000");
      await begun;
      child.kill("SIGTERM");
      assert.deepEqual(await ended, [12, null]);
      const [first = "", last] = texts.out.split("\n");
      assert.ok(first.startsWith(`${version} node run --state-dir ${state} --port 8000 pid `), first);
      assert.equal(last, "stopped");
    };
    await runs("0.1.0");
    mkdirSync(join(state, "node-0"));
    writeFileSync(join(state, "node-0", "node.wanted"), "0.2.0\n");
    await runs("0.2.0");
  },
);

test("what a terminal says to all of its programs the node hears once, of the script", onPosix, async () => {
  const { child, said: texts, begun, ended } = start(versionsOf("0.1.0"), "state");
  await begun;
  const groupOf = (pid: number): string =>
    spawnSync("ps", ["-o", "pgid=", "-p", `${pid}`], { encoding: "utf8" }).stdout.trim();
  const [, node = "0"] = /pid (\d+)/.exec(texts.out) ?? [];
  assert.notEqual(groupOf(Number(node)), groupOf(child.pid ?? 0));
  child.kill("SIGTERM");
  assert.deepEqual(await ended, [12, null]);
});

test("the script says which version is not installed, and that none is named", onPosix, async () => {
  const missing = start(versionsOf(), "state");
  await missing.begun;
  assert.match(
    missing.said.err,
    /version 0\.1\.0 of Orrery is to run and is not installed: npm install --prefix/,
  );
  missing.child.kill("SIGKILL");
  const nothing = start(mkdtempSync(join(folder, "none-")), "state");
  assert.deepEqual(await nothing.ended, [1, null]);
  assert.match(
    nothing.said.err,
    /^no version of Orrery is named: write one that is installed into \S+first, .*\n$/,
  );
});
