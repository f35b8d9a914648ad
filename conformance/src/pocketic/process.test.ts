/** The server as a process: flags, the port file, signals, the limits on its life, the state that it keeps. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ask, BINARY, newInstance, type Server, startServer, withIntegers } from "./server.ts";

const ENTRY = fileURLToPath(new URL("../../../apps/pocketic/src/main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "orrery-pocket-ic-process-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function run(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  return spawnSync(process.execPath, [ENTRY, ...args], {
    encoding: "utf8",
    env: { ...process.env, ...environment },
  });
}

test("the version is what the Rust client parses, and can be another", () => {
  assert.equal(run(["--version"]).stdout, "pocket-ic-server 14.0.0\n");
  assert.equal(run(["-V"], { ORRERY_POCKET_IC_VERSION: "11.0.0" }).stdout, "pocket-ic-server 11.0.0\n");
});

test("the command of the repository is the same program", { skip: process.platform === "win32" }, () => {
  assert.equal(spawnSync(BINARY, ["--version"], { encoding: "utf8" }).stdout, "pocket-ic-server 14.0.0\n");
});

test("wrong use says what is wrong and ends with 2", () => {
  for (const args of [["--bogus"], ["--port", "70000"], ["--ttl", "soon"], ["extra"]]) {
    const { status, stderr, stdout } = run(args);
    assert.equal(status, 2, args.join(" "));
    assert.match(stderr, /^error: /);
    assert.equal(stdout, "");
  }
  assert.match(run(["--help"]).stdout, /--port-file/);
});

test("flags of every client: another address, a port of one's own, a log folder, tables that are not needed", async () => {
  const logs = join(folder, "logs");
  const server = await startServer({
    arguments: [
      ...["--ip-addr", "0.0.0.0", "-p", "0", "-l", "info", "--ttl", "2592000", "--hard-ttl", "99999999"],
      ...[
        "--mainnet-routing-table",
        "/none",
        "--fetch-mainnet-routing-table",
        "--mainnet-registry-version",
        "7",
      ],
    ],
    environment: { POCKET_IC_LOG_DIR: logs },
  });
  assert.equal((await ask(server, "/status")).status, 200);
  await newInstance(server);
  assert.equal(await server.end("SIGTERM"), 0);
  const [file] = readdirSync(logs);
  assert.match(
    readFileSync(join(logs, file as string), "utf8"),
    new RegExp(`listening on port ${server.port}`),
  );
  // Of nobody: reserved for documentation.
  const { status, stderr } = run(["--ip-addr=203.0.113.1"]);
  assert.equal(status, 1);
  assert.match(stderr, /Failed to bind PocketIC server to address 203\.0\.113\.1/);
});

test("a second server of one port file leaves it alone", () => {
  const portFile = join(folder, "taken");
  writeFileSync(portFile, "1234\n");
  const { status, stdout, stderr } = run(["--port-file", portFile]);
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: "", stderr: "" });
  assert.equal(readFileSync(portFile, "utf8"), "1234\n");
});

test("a taken port is an error, and the port file goes again", async () => {
  const server = await startServer();
  const portFile = join(folder, "other");
  const { status, stderr } = run(["--port", String(server.port), "--port-file", portFile]);
  assert.equal(status, 1);
  assert.match(stderr, /Failed to bind PocketIC server to address 127\.0\.0\.1:\d+ \(EADDRINUSE\)/);
  assert.equal(existsSync(portFile), false);
  assert.equal(await server.end(), 0);
});

test("the file holds the port and a newline while the server answers, and is gone after a signal", async () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const server = await startServer({ arguments: ["--log-levels", "error"] });
    assert.equal(readFileSync(server.portFile, "utf8"), `${server.port}\n`);
    assert.equal((await ask(server, "/status")).status, 200);
    assert.equal((await ask(server, "/status/")).status, 200);
    await newInstance(server);
    server.child.kill(signal);
    const [code] = (await once(server.child, "exit")) as [number | null];
    assert.equal(code, 0);
    assert.equal(existsSync(server.portFile), false);
    assert.equal(server.stdout(), "");
    await server.end();
  }
});

test("a server that nobody asks ends by itself; one with a hard limit ends in any case", async () => {
  const idle = await startServer({ arguments: ["--ttl", "1"] });
  const hard = await startServer({ arguments: ["--ttl", "60", "--hard-ttl=2"] });
  const ended = [idle, hard].map(({ child }) => once(child, "exit") as Promise<[number | null]>);
  assert.deepEqual(
    (await Promise.all(ended)).map(([code]) => code),
    [0, 0],
  );
  assert.match(idle.stdout(), /no request for/);
  assert.match(hard.stdout(), /its time is over/);
  for (const server of [idle, hard]) {
    assert.equal(existsSync(server.portFile), false);
    await server.end();
  }
});

test("whoever started it may be gone", { skip: process.platform === "win32" }, async () => {
  const portFile = join(folder, "orphan");
  const shell = spawn("/bin/sh", [
    "-c",
    `"${process.execPath}" "${ENTRY}" --ttl 2 --port-file "${portFile}" & echo $!`,
  ]);
  shell.stdout.destroy();
  shell.stderr.destroy();
  const deadline = Date.now() + 30_000;
  while (!existsSync(portFile) && Date.now() < deadline) await new Promise((done) => setTimeout(done, 20));
  while (existsSync(portFile) && Date.now() < deadline) await new Promise((done) => setTimeout(done, 20));
  assert.equal(existsSync(portFile), false);
});

const CONFIG = (stateDir: string) => ({
  subnet_config_set: { nns: { state_config: "New" }, application: [{ state_config: "New" }] },
  state_dir: stateDir,
});

interface Created {
  readonly Created: { readonly instance_id: number; readonly topology: unknown };
}

async function create(server: Server, config: unknown): Promise<Created["Created"]> {
  const reply = await ask(server, "/instances", { body: withIntegers(config) });
  assert.equal(reply.status, 201, reply.text);
  return (reply.json() as Created).Created;
}

test("an instance is kept in its directory, deleted or with the server's end, and goes on in another server", async () => {
  const stateDir = join(folder, "kept");
  let server = await startServer();
  const { instance_id: id, topology } = await create(server, CONFIG(stateDir));
  const time = 1_700_000_000_000_000_123n;
  await ask(server, `/instances/${id}/update/set_time`, { body: `{"nanos_since_epoch":${time}}` });
  const second = await ask(server, "/instances", { body: withIntegers(CONFIG(stateDir)) });
  assert.equal(second.status, 400);
  assert.match(second.text, /^\{"Error":\{"message":".*in use by process/);
  assert.equal((await ask(server, `/instances/${id}`, { method: "DELETE" })).status, 200);
  assert.ok(readdirSync(stateDir).includes("topology.json"));
  const again = await create(server, { subnet_config_set: {}, state_dir: stateDir });
  assert.notEqual(again.instance_id, id);
  assert.deepEqual(again.topology, topology);
  assert.equal(await server.end("SIGTERM"), 0);
  server = await startServer();
  const third = await create(server, { subnet_config_set: {}, state_dir: stateDir });
  assert.deepEqual(third.topology, topology);
  const read = await ask(server, `/instances/${third.instance_id}/read/get_time`);
  const resumed = BigInt(/\d+/.exec(read.text)?.[0] ?? "0");
  assert.ok(resumed >= time && resumed < time + 100n, read.text);
  await server.end();
});

test("a replacement that was cut off is ended, and one that fails is told", async () => {
  const stateDir = join(folder, "cut");
  const server = await startServer({ arguments: ["--log-levels", "error"] });
  const time = 1_650_000_000_000_000_000n;
  const cycle = async (advanced: bigint): Promise<bigint> => {
    const { instance_id: id } = await create(server, CONFIG(stateDir));
    const read = await ask(server, `/instances/${id}/read/get_time`);
    if (advanced > 0n)
      await ask(server, `/instances/${id}/update/set_time`, { body: `{"nanos_since_epoch":${advanced}}` });
    assert.equal((await ask(server, `/instances/${id}`, { method: "DELETE" })).status, 200);
    return BigInt(/\d+/.exec(read.text)?.[0] ?? "0");
  };
  await cycle(time);
  // Cut off between the two renames: the new one is whole and not in place yet.
  renameSync(join(stateDir, "state"), join(stateDir, "state-next"));
  rmSync(join(stateDir, "topology.json"));
  assert.ok((await cycle(0n)) >= time);
  // The new one is not whole: the old one counts.
  renameSync(join(stateDir, "state"), join(stateDir, "state-old"));
  mkdirSync(join(stateDir, "state-next"));
  assert.ok((await cycle(0n)) >= time);
  assert.deepEqual(readdirSync(stateDir).sort(), ["state", "topology.json"]);
  const { instance_id: id } = await create(server, CONFIG(stateDir));
  rmSync(join(stateDir, "topology.json"));
  mkdirSync(join(stateDir, "topology.json"));
  const failed = await ask(server, `/instances/${id}`, { method: "DELETE" });
  assert.equal(failed.status, 500);
  assert.match(failed.text, /The state of the instance was not kept: EISDIR/);
  rmSync(join(stateDir, "topology.json"), { recursive: true });
  assert.ok((await cycle(0n)) >= time);
  assert.equal(await server.end(), 1);
});

test("directories of others are left alone", async () => {
  const server = await startServer();
  const foreign = mkdtempSync(join(folder, "foreign-"));
  const refusals: readonly (readonly [string, string, RegExp])[] = [
    ["notes.txt", "mine", /holds notes\.txt/],
    ["topology.json", '{"subnet_configs":{}}', /another PocketIC server/],
    ["topology.json", "{", /does not read/],
    ["topology.json", '{"orrery_format":2}', /format 2/],
  ];
  for (const [name, content, why] of refusals) {
    rmSync(foreign, { recursive: true, force: true });
    const path = mkdtempSync(`${foreign}-`);
    writeFileSync(join(path, name), content);
    const reply = await ask(server, "/instances", { body: withIntegers(CONFIG(path)) });
    assert.equal(reply.status, 400);
    assert.match(reply.text, why);
    assert.deepEqual(readdirSync(path), [name]);
  }
  await server.end();
});
