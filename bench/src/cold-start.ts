/**
 * Cold start: from spawning `orrery start` in an empty directory to the first answered status and to readiness, beside the time that
 * the bare runtime takes to start and answer one request.
 * Run: node bench/src/cold-start.ts [runs]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findFreePort } from "@orrery/host";
import { percentile } from "./lib/load.ts";

const RUNS = Number(process.argv[2] ?? 5);
const COMMAND = fileURLToPath(new URL("../../apps/cli/src/main.ts", import.meta.url));
const POLL_MS = 10;
const BARE =
  "require('node:http').createServer((q,r)=>r.end('ok')).listen(Number(process.argv[1]),'127.0.0.1')";

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ port, host: "127.0.0.1", path: "/api/v2/status", agent: false }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode === 200));
    });
    request.on("error", () => resolve(false));
  });
}

async function firstAnswer(port: number, start: number): Promise<number> {
  while (!(await answers(port))) {
    if (performance.now() - start > 60_000) throw new Error("no answer within a minute");
    // A client that polls without pause takes a core from what it waits for.
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return performance.now() - start;
}

async function bareStart(port: number): Promise<number> {
  const start = performance.now();
  const child = spawn(process.execPath, ["-e", BARE, String(port)]);
  const ms = await firstAnswer(port, start);
  child.kill("SIGKILL");
  await once(child, "exit");
  return ms;
}

async function networkStart(port: number): Promise<{ status: number; ready: number; rssMb: number }> {
  const stateDir = mkdtempSync(join(tmpdir(), "orrery-cold-"));
  const start = performance.now();
  const argv = [COMMAND, "start", "--json", "--port", String(port), "--state-dir", stateDir];
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
  const printed = once(child.stdout, "data").then(() => performance.now() - start);
  const status = await firstAnswer(port, start);
  const ready = await printed;
  const memory = /VmRSS:\s+(\d+) kB/.exec(
    process.platform === "linux" ? readFileSync(`/proc/${child.pid}/status`, "utf8") : "",
  );
  child.kill("SIGTERM");
  await once(child, "exit");
  rmSync(stateDir, { recursive: true, force: true });
  return { status, ready, rssMb: Number(memory?.[1] ?? 0) / 1024 };
}

const median = (values: number[]): number =>
  percentile(
    values.sort((a, b) => a - b),
    0.5,
  );
const results: { status: number; ready: number; rssMb: number }[] = [];
const limits: number[] = [];
for (let i = 0; i < RUNS; i++) {
  const port = await findFreePort("127.0.0.1", 20_000 + 100 * i);
  limits.push(await bareStart(port));
  results.push(await networkStart(await findFreePort("127.0.0.1", port + 1)));
}
const bare = median(limits);
const status = median(results.map((one) => one.status));
const ready = median(results.map((one) => one.ready));
console.log(`bare runtime, first answer      ${bare.toFixed(0).padStart(6)} ms`);
console.log(
  `network, first answered status  ${status.toFixed(0).padStart(6)} ms   ${(status / bare).toFixed(1)} × (target: 1000 ms)`,
);
console.log(
  `network, ready for calls        ${ready.toFixed(0).padStart(6)} ms   ${(ready / bare).toFixed(1)} ×`,
);
console.log(
  `resident memory when ready      ${median(results.map((one) => one.rssMb))
    .toFixed(0)
    .padStart(6)} MiB`,
);
