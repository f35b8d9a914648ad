/** The launcher as a process: what it announces, its admin interface, custom domains as they change, signals, and what it keeps over restarts. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { HttpAgent } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import { LATEST_NS } from "./clock.ts";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
/** The ICP ledger's, on every network. */
const LEDGER = "ryjl3-tyaaa-aaaaa-aaaba-cai";
const DAY_NS = 86_400_000_000_000n;
const ATTEMPTS_MAX = 400;
const PAUSE_MS = 25;

interface Status {
  readonly v: string;
  readonly gateway_port: number;
  readonly config_port: number;
  readonly instance_id: number;
  readonly supported_features: readonly string[];
}

interface Launched {
  readonly child: ChildProcess;
  readonly status: Status;
  readonly statusDir: string;
  end(signal: NodeJS.Signals): Promise<number | null>;
}

const scratch = mkdtempSync(join(tmpdir(), "orrery-launcher-test-"));
const stateDir = join(scratch, "network", "state");
after(() => rmSync(scratch, { recursive: true, force: true }));

let launches = 0;
async function launch(...more: readonly string[]): Promise<Launched> {
  launches++;
  const statusDir = join(scratch, `status-${launches}`);
  mkdirSync(statusDir);
  const argv = ["--interface-version=1.1.0", "--state-dir", stateDir, "--status-dir", statusDir, ...more];
  const child = spawn(process.execPath, [MAIN, ...argv], { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const ended = once(child, "exit") as Promise<[number | null]>;
  const path = join(statusDir, "status.json");
  const written = new Promise<void>((resolve) => {
    const watcher = watch(statusDir, () => {
      if (!existsSync(path)) return;
      watcher.close();
      resolve();
    });
  });
  await Promise.race([
    written,
    ended.then(([code]) => {
      throw new Error(`the launcher ended with ${code}:\n${errors}`);
    }),
  ]);
  return {
    child,
    statusDir,
    status: JSON.parse(readFileSync(path, "utf8")) as Status,
    async end(signal) {
      child.kill(signal);
      const [code] = await ended;
      return code;
    },
  };
}

describe("the network launcher", () => {
  let launched: Launched;
  const admin = (path: string): string => `http://127.0.0.1:${launched.status.config_port}${path}`;
  const instance = (path: string): string => admin(`/instances/${launched.status.instance_id}/${path}`);

  async function post(
    path: string,
    body: string,
  ): Promise<{ readonly status: number; readonly text: string }> {
    const headers = { "content-type": "application/json" };
    const response = await fetch(instance(path), { method: "POST", headers, body });
    return { status: response.status, text: await response.text() };
  }

  async function time(): Promise<bigint> {
    const text = await (await fetch(instance("read/get_time"))).text();
    return BigInt(/^\{"nanos_since_epoch":(\d+)\}$/.exec(text)?.[1] ?? "-1");
  }

  /** The gateway's status for a page of the host. */
  function statusFor(host: string): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      request({ port: launched.status.gateway_port, headers: { host } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .on("error", reject)
        .end();
    });
  }

  /** Asks until the gateway, which looks at its file once a second, answers so. */
  async function answersWith(host: string, expected: number): Promise<void> {
    let status: number | undefined;
    for (let i = 0; i < ATTEMPTS_MAX; i++) {
      status = await statusFor(host);
      if (status === expected) return;
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
    assert.equal(status, expected, `${host} still answers ${status} after ${ATTEMPTS_MAX} attempts`);
  }

  /** Another launcher on the same state, once the one before has ended, if it has not. */
  async function relaunch(...argv: readonly string[]): Promise<void> {
    await launched.end("SIGKILL");
    launched = await launch(...argv);
  }

  before(async () => {
    launched = await launch("--gateway-port=0", "--config-port", "0", "--domain=127.0.0.1");
  });
  after(async () => {
    await launched.end("SIGKILL");
  });

  test("announces its ports and what it does beyond the first version", () => {
    const { v, gateway_port, config_port, instance_id, supported_features } = launched.status;
    assert.deepEqual([v, instance_id, supported_features], ["1", 0, ["custom-domains"]]);
    assert.ok(gateway_port > 0 && config_port > 0 && gateway_port !== config_port);
  });

  test("admin: time moves on, to the nanosecond, and never back", async () => {
    const now = await time();
    assert.equal((await post("update/set_time", `{"nanos_since_epoch": ${now + DAY_NS}}`)).text, "null");
    assert.ok((await time()) >= now + DAY_NS);
    // What the network certifies has moved as well, and clients find out by how much.
    const agent = HttpAgent.createSync({ host: `http://127.0.0.1:${launched.status.gateway_port}` });
    await agent.fetchRootKey();
    await agent.syncTime({ canisterId: Principal.fromText(LEDGER) });
    assert.ok(agent.getTimeDiffMsecs() > 80_000_000, `${agent.getTimeDiffMsecs()} ms`);
    const past = await post("update/set_time", `{"nanos_since_epoch": ${now}}`);
    assert.equal(past.status, 400);
    assert.match(past.text, new RegExp(`SettingTimeIntoPast\\(\\(\\d+, ${now}\\)\\)`));
    for (const wrong of [
      "",
      "{",
      "[]",
      "null",
      "{}",
      '{"nanos_since_epoch": "1"}',
      '{"nanos_since_epoch": 1.5}',
    ]) {
      assert.equal((await post("update/set_time", wrong)).status, 400, wrong);
    }
    assert.match((await post("update/set_time", `{"nanos_since_epoch": ${2n ** 64n}}`)).text, /expected/);
    assert.equal((await post("update/tick", "{}")).text, "null");
  });

  test("admin: a time that no block could carry is refused before anything moves", async () => {
    const before = await time();
    for (const late of [2n ** 64n - 1n, LATEST_NS + 1n]) {
      const refused = await post("update/set_time", `{"nanos_since_epoch": ${late}}`);
      assert.equal(refused.status, 400);
      assert.match(refused.text, /later than .* the year 2500/);
    }
    assert.ok((await time()) - before < DAY_NS);
    const agent = HttpAgent.createSync({ host: `http://127.0.0.1:${launched.status.gateway_port}` });
    await agent.fetchRootKey();
    await agent.syncTime({ canisterId: Principal.fromText(LEDGER) });
    const { reply } = await agent.update(LEDGER, {
      methodName: "icrc1_symbol",
      arg: Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0),
    });
    assert.match(new TextDecoder().decode(reply), /ICP/);
  });

  test("admin: what else tools ask, and what belongs to instances that stand still", async () => {
    assert.equal((await fetch(admin("/status"))).status, 200);
    assert.deepEqual(await (await fetch(admin("/instances/"))).json(), ["Available"]);
    assert.equal(await (await fetch(instance("auto_progress"))).json(), true);
    const topology = (await (await fetch(instance("read/topology"))).json()) as Record<string, unknown>;
    assert.ok("default_effective_canister_id" in topology);
    const [gateway] = (await (await fetch(admin("/http_gateway"))).json()) as [{ readonly port: number }];
    assert.equal(gateway.port, launched.status.gateway_port);
    const api = await fetch(instance("api/v2/status"));
    assert.equal(api.headers.get("content-type"), "application/cbor");
    assert.match((await post("stop_progress", "{}")).text, /lives by the clock/);
    const unknown = await post("update/set_stable_memory", "{}");
    assert.equal(unknown.status, 404);
    assert.match(unknown.text, /bin\/pocket-ic/);
    assert.equal((await fetch(admin("/instances/1/read/get_time"))).status, 404);
  });

  test("admin: pages of other sites are kept out", async () => {
    const statusOf = async (origin: string): Promise<number> =>
      (await fetch(instance("read/get_time"), { headers: { origin } })).status;
    for (const origin of [
      ...["https://evil.example", "http://203.0.113.5", "http://203.0.113.5:8000", "http://[2001:db8::1]"],
      ...["http://127.evil.example", "http://localhost.evil.example", "null"],
    ])
      assert.equal(await statusOf(origin), 403, origin);
    for (const origin of ["localhost:3000", "app.localhost", "127.0.0.1:8000", "127.9.0.1", "[::1]:8000"])
      assert.equal(await statusOf(`http://${origin}`), 200, origin);
    const rebound = await new Promise<number | undefined>((resolve, reject) => {
      const asked = request(instance("read/get_time"), { headers: { host: "evil.example" } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      asked.on("error", reject).end();
    });
    assert.equal(rebound, 403);
    assert.equal((await post("update/set_time", " ".repeat(4_194_305))).status, 413);
  });

  test("custom domains count as soon as their file says so, and no longer", async () => {
    const file = join(launched.statusDir, "custom-domains.txt");
    // The ledger has no pages, and a host that is nobody's is a bad request.
    const [found, unknown] = [503, 400];
    assert.equal(await statusFor("ledger.local.localhost"), unknown);
    writeFileSync(file, `ledger.local.localhost:${LEDGER}\n`);
    await answersWith("ledger.local.localhost", found);
    assert.equal(await statusFor("other.local.localhost"), unknown);
    writeFileSync(file, "");
    await answersWith("ledger.local.localhost", unknown);
  });

  const signals = {
    skip: process.platform === "win32" ? "Windows has no signals that a program hears" : false,
  };
  test("ends by SIGINT and by SIGTERM, and goes on with the time that it was moved to", signals, async () => {
    const moved = await time();
    assert.equal(await launched.end("SIGINT"), 0);
    await relaunch("--gateway-port=0");
    assert.ok((await time()) >= moved);
    assert.equal(await launched.end("SIGTERM"), 0);
  });

  test("a taken config port ends the start in words; output and domains are in the files that flags name", async () => {
    const [stdoutFile, stderrFile] = [join(scratch, "out.log"), join(scratch, "err.log")];
    const domains = join(scratch, "domains.txt");
    writeFileSync(domains, `flagged.local.localhost:${LEDGER}\n`);
    await relaunch(
      ...["--gateway-port=0", "--pocketic-config-bind", "127.0.0.1", "--verbose"],
      ...["--custom-domains-file", domains, `--stdout-file=${stdoutFile}`, "--stderr-file", stderrFile],
    );
    assert.match(
      readFileSync(stdoutFile, "utf8"),
      new RegExp(`answers at .*:${launched.status.gateway_port}`),
    );
    assert.ok(existsSync(stderrFile));
    assert.notEqual(await statusFor("flagged.local.localhost"), await statusFor("other.local.localhost"));
    const taken = `${launched.status.config_port}`;
    const child = spawn(process.execPath, [MAIN, "--gateway-port=0", "--config-port", taken], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    assert.equal((await once(child, "close"))[0], 1);
    assert.match(errors, new RegExp(`--config-port ${taken} .*EADDRINUSE.*choose another`));
  });
});
