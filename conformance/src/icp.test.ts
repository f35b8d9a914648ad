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
import { fixtureModule, fixturePath, type Network, startNetwork } from "./harness.ts";
import { ICP_AVAILABLE, nameWithoutIcp } from "./programs/icp-project.ts";

const ICP = fileURLToPath(new URL("../../node_modules/@icp-sdk/icp-cli-linux-x64/bin/icp", import.meta.url));
const AVAILABLE = ICP_AVAILABLE;

/** Somebody who gets a token. */
const RECEIVER = "rrkah-fqaaa-aaaaa-aaaaq-cai";

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

/** A canister of the project: a module that needs no build. */
function preBuilt(name: string, path: string): string {
  return [
    `  - name: ${name}`,
    "    build:",
    "      steps:",
    "        - type: pre-built",
    `          path: ${path}`,
  ].join("\n");
}

/** `registry` is larger than a message: its module goes up in chunks. */
function writeProject(): void {
  writeFileSync(join(project, "registry.wasm"), fixtureModule("registry"));
  const canisters = [preBuilt("counter", fixturePath("counter.eop")), preBuilt("registry", "registry.wasm")];
  writeFileSync(
    join(project, "icp.yaml"),
    `${network.document.icp_yaml}canisters:\n${canisters.join("\n")}\n`,
  );
}

before(async () => {
  if (!AVAILABLE) return;
  assert.ok(existsSync(ICP), "the icp command is an optional dependency: run npm ci");
  network = await startNetwork();
  writeProject();
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
      await succeed("deploy", "-y", "counter");
      // Told, not judged: it is as quick as what else the machine does lets it be.
      context.diagnostic(`first deploy: ${(performance.now() - startedMs).toFixed(0)} ms`);
    });
    await context.test("call and query", async () => {
      assert.match(await succeed("canister", "call", "counter", "inc", "()"), /\(1 : nat\)/);
      assert.match(await succeed("canister", "call", "counter", "add", "(41 : nat)"), /\(42 : nat\)/);
      assert.match(await succeed("canister", "call", "--query", "counter", "get", "()"), /\(42 : nat\)/);
    });
    await context.test("upgrade keeps the data", async () => {
      await succeed("deploy", "-y", "counter");
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
    await context.test("a module in chunks", async () => {
      await succeed("deploy", "-y", "registry");
      await succeed("canister", "call", "registry", "put", '("star", "Sirius")');
      assert.match(
        await succeed("canister", "call", "--query", "registry", "get", '("star")'),
        /opt "Sirius"/,
      );
    });
    await context.test("settings", async () => {
      await succeed("canister", "settings", "update", "counter", "--memory-allocation", "1GiB");
      assert.match(
        await succeed("canister", "settings", "show", "counter"),
        /Memory allocation: 1_073_741_824/,
      );
    });
    await context.test("tokens and cycles", async () => {
      assert.match(await succeed("token", "balance"), /Balance: [\d_.]+ ICP/);
      assert.match(await succeed("token", "transfer", "1", RECEIVER), /Transferred 1\.0+ ICP/);
      assert.match(await succeed("cycles", "mint", "--icp", "1"), /Minted [\d_]+ cycles/);
      assert.match(await succeed("cycles", "balance"), /Balance: [\d_]+ cycles/);
      await succeed("canister", "top-up", "--amount", "1t", "counter");
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
nameWithoutIcp("icp on a connected network");
