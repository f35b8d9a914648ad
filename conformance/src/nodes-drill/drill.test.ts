/**
 * A slice of the drill of nodes, by its command (`npm run drill:nodes`, which runs it as long as is wanted): two subnets of four nodes in eight processes, calls between
 * them, every kind of fault possible, one process that misbehaves in the end. Its judge and its proxy have tests of their own.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { DrillResult } from "./drill-options.ts";

const COMMAND: string = fileURLToPath(new URL("./main.ts", import.meta.url));
/** Of faults and recoveries. */
const MINUTES = 3;
const ARGUMENTS: Readonly<Record<string, string>> = {
  nodes: "4",
  applications: "1",
  minutes: `${MINUTES}`,
  // Draws a node that comes to another state, a wrong clock and a full disk first.
  seed: "142",
  clients: "3",
  "pause-ms": "200",
  // Other tests run beside this one.
  patience: "3",
  // A node that came to another state takes it from the next catch-up package.
  interval: "20",
};

/** What the command's standard output ends with: a document, and a line. */
function resultIn(out: string): DrillResult {
  return JSON.parse(out.slice(out.indexOf("\n{") + 1, out.lastIndexOf("\n}") + 2)) as DrillResult;
}

test("two subnets of four nodes under faults: what clients saw is one history, and all of them come back", async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), "nodes-drill-"));
  const argv = Object.entries(ARGUMENTS).flatMap(([name, value]) => [`--${name}`, value]);
  const child = spawn(process.execPath, [COMMAND, "--state-dir", stateDir, ...argv], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => {
    child.kill("SIGKILL");
    rmSync(stateDir, { recursive: true, force: true });
  });
  let said = "";
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
    said += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  const logs = (): string =>
    readdirSync(stateDir)
      .filter((name) => name.endsWith(".log"))
      .map((name) => `${name}: ${readFileSync(join(stateDir, name), "utf8").slice(-2_000)}`)
      .join("\n");
  assert.equal(code, 0, code === 0 ? "" : `${said}\n${logs()}`);
  const result = resultIn(out);
  t.diagnostic(JSON.stringify(result));
  assert.ok(result.answered > 10, said);
  assert.equal(result.givenUp, 0, said);
  assert.ok(result.relayed > 0, "calls between subnets were answered");
  assert.ok(Object.keys(result.faultsByKind).length >= 3, said);
  assert.ok((result.faultsByKind["diverge"] ?? 0) > 0, "one node came to another state");
  assert.ok(result.twisted > 0, "one process misbehaved");
});
