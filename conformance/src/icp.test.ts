/**
 * The `icp` command on a connected network, as a developer uses it: the stanza that `orrery start` prints makes the network the
 * project's `local` one; deploy, call, query, upgrade with data kept, status, logs, metadata. Linux on x64 only: there the
 * command comes as an optional dependency.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { fixturePath, type Network, startNetwork } from "./harness.ts";

const ICP = fileURLToPath(new URL("../../node_modules/@icp-sdk/icp-cli-linux-x64/bin/icp", import.meta.url));
const AVAILABLE = process.platform === "linux" && process.arch === "x64";

/** A first deployment of a small canister on a cold network takes no longer. */
const FIRST_DEPLOY_MS_MAX = 5_000;

const project = mkdtempSync(join(tmpdir(), "orrery-icp-"));
let network: Network;

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function icp(...argv: readonly string[]): Promise<Outcome> {
  const env = {
    ...process.env,
    DO_NOT_TRACK: "1",
    ICP_TELEMETRY_DISABLED: "1",
    CI: "1",
    ICP_HOME: join(project, "home"),
    NO_COLOR: "1",
  };
  const child = spawn(ICP, argv, { cwd: project, env, stdio: ["ignore", "pipe", "pipe"] });
  const written = { out: "", err: "" };
  for (const stream of ["out", "err"] as const) {
    child[stream === "out" ? "stdout" : "stderr"].setEncoding("utf8").on("data", (text: string) => {
      written[stream] += text;
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...written };
}

async function succeed(...argv: readonly string[]): Promise<string> {
  const outcome = await icp(...argv);
  assert.equal(outcome.code, 0, `icp ${argv.join(" ")}\n${outcome.out}${outcome.err}\n${network.log()}`);
  return outcome.out;
}

function writeProject(fixture: string): void {
  const canister = [
    "canisters:",
    "  - name: counter",
    "    build:",
    "      steps:",
    "        - type: pre-built",
    `          path: ${fixturePath(fixture)}`,
  ];
  writeFileSync(join(project, "icp.yaml"), `${network.document.icp_yaml}${canister.join("\n")}\n`);
}

before(async () => {
  if (!AVAILABLE) return;
  assert.ok(existsSync(ICP), "the icp command is an optional dependency: run npm ci");
  network = await startNetwork();
  writeProject("counter.eop");
});
after(async () => {
  if (AVAILABLE) await network.end("SIGTERM");
  rmSync(project, { recursive: true, force: true });
});

if (AVAILABLE) {
  test("icp: deploy, use and upgrade a canister", async (context) => {
    await context.test("ping", async () => {
      assert.match(await succeed("network", "ping"), /healthy/);
    });
    await context.test("deploy", async () => {
      const startedMs = performance.now();
      await succeed("deploy", "-y");
      const elapsedMs = performance.now() - startedMs;
      context.diagnostic(`first deploy: ${elapsedMs.toFixed(0)} ms`);
      assert.ok(elapsedMs <= FIRST_DEPLOY_MS_MAX, `first deploy took ${elapsedMs.toFixed(0)} ms`);
    });
    await context.test("call and query", async () => {
      assert.match(await succeed("canister", "call", "counter", "inc", "()"), /\(1 : nat\)/);
      assert.match(await succeed("canister", "call", "counter", "add", "(41 : nat)"), /\(42 : nat\)/);
      assert.match(await succeed("canister", "call", "--query", "counter", "get", "()"), /\(42 : nat\)/);
    });
    await context.test("upgrade keeps the data", async () => {
      await succeed("deploy", "-y");
      assert.match(await succeed("canister", "call", "--query", "counter", "get", "()"), /\(42 : nat\)/);
    });
    await context.test("status", async () => {
      const status = JSON.parse(await succeed("canister", "status", "counter", "--json"));
      assert.match(JSON.stringify(status), /running/i);
      assert.match(JSON.stringify(status), /[0-9a-f]{64}/);
    });
    await context.test("logs", async () => {
      await succeed("canister", "logs", "counter");
    });
    await context.test("metadata", async () => {
      assert.match(
        await succeed("canister", "metadata", "counter", "candid:service"),
        /inc: \(\) -> \(nat\)/,
      );
    });
    await context.test("stop, start, delete", async () => {
      await succeed("canister", "stop", "counter");
      const refused = await icp("canister", "call", "counter", "inc", "()");
      assert.notEqual(refused.code, 0);
      assert.match(refused.err, /stopped/);
      await succeed("canister", "start", "counter");
      assert.match(await succeed("canister", "call", "counter", "inc", "()"), /\(43 : nat\)/);
      await succeed("canister", "stop", "counter");
      await succeed("canister", "delete", "counter");
    });
  });
}
