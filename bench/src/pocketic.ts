/**
 * A PocketIC-protocol server by the same requests whoever it is: start of the process without any cache, instances made, kept and deleted,
 * calls by one client and by eight with an instance each. `--against PATH` runs the same work on another server binary, in turns with ours.
 * Processor time and memory are of the server's whole process tree (Linux). Limits are judged by processor time, since other programs take
 * their turns; that of a start by the clock where that is less, since the server's threads start beside its first answer.
 * Run: node bench/src/pocketic.ts [--against PATH]
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { Agent, get, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { percentile } from "./lib/load.ts";

const STARTS = 5;
const INSTANCES = 30;
const CALLS = 200;
const CLIENTS = 8;
const POLL_MS = 5;
const START_MS_MAX = 60_000;
const MIB: number = 1024 * 1024;
const STATUS_MS_MAX = 300;
const CREATION_MS_MAX = 50;
const INSTANCE_MIB_MAX = 5;

const { values } = parseArgs({ options: { against: { type: "string" } } });
const OURS: string = fileURLToPath(new URL("../../apps/pocketic/src/main.ts", import.meta.url));
const MODULE: string = fileURLToPath(
  new URL("../../canisters/fixtures/built/counter.eop.wasm.gz", import.meta.url),
);

interface Contender {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

const contenders: readonly Contender[] = [
  { name: "orrery", command: [process.execPath, OURS] },
  ...(values.against === undefined ? [] : [{ name: values.against, command: [values.against] as const }]),
];

interface Server {
  readonly child: ChildProcess;
  readonly port: number;
  readonly agent: Agent;
  /** From spawning to the first answered status, and the processor time that it took. */
  readonly statusMs: number;
  readonly statusCpuMs: number;
  end(): Promise<void>;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    get({ port, host: "127.0.0.1", path: "/status", agent: false }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode === 200));
    }).on("error", () => resolve(false));
  });
}

async function start({ command: [program, ...args] }: Contender): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), "orrery-bench-pocketic-"));
  const portFile = join(folder, "port");
  const startedMs = performance.now();
  const child = spawn(program, [...args, "--port-file", portFile, "--ttl", "600", "--log-levels", "error"], {
    stdio: "ignore",
    env: { ...process.env, NODE_DISABLE_COMPILE_CACHE: "1" },
  });
  let text = "";
  while (!text.endsWith("\n")) {
    if (performance.now() - startedMs > START_MS_MAX) throw new Error(`${program} does not start`);
    await new Promise((done) => setTimeout(done, POLL_MS));
    try {
      text = readFileSync(portFile, "utf8");
    } catch {
      // Not there yet.
    }
  }
  const port = Number(text);
  while (!(await answers(port))) await new Promise((done) => setTimeout(done, POLL_MS));
  const statusMs = performance.now() - startedMs;
  const statusCpuMs = usage(child.pid ?? 0).cpuMs;
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  return {
    child,
    port,
    agent,
    statusMs,
    statusCpuMs,
    async end() {
      agent.destroy();
      child.kill("SIGTERM");
      await once(child, "exit");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function ask(server: Server, method: string, path: string, body?: unknown): Promise<unknown> {
  const text = body === undefined ? "" : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    const outgoing = request(
      { agent: server.agent, host: "127.0.0.1", port: server.port, method, path, headers },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("end", () => {
          const answer = Buffer.concat(chunks).toString();
          if ((incoming.statusCode ?? 0) >= 300)
            reject(new Error(`${path}: ${incoming.statusCode} ${answer}`));
          else resolve(answer === "" ? null : JSON.parse(answer));
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(text);
  });
}

async function newInstance(server: Server): Promise<number> {
  const body = {
    subnet_config_set: {
      application: [{ state_config: "New", instruction_config: "Production", dts_flag: "Enabled" }],
      system: [],
      verified_application: [],
      cloud_engine: [],
    },
  };
  const made = (await ask(server, "POST", "/instances", body)) as { Created: { instance_id: number } };
  return made.Created.instance_id;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const SENDER = base64(Principal.anonymous().toUint8Array());
const EMPTY = base64(new Uint8Array(IDL.encode([], [])));

interface Told {
  readonly canisterId: string;
  readonly method: string;
  readonly payload: string;
  readonly effective?: unknown;
}

const rawCall = ({ canisterId, method, payload, effective }: Told): object => ({
  sender: SENDER,
  canister_id: canisterId,
  effective_principal: effective ?? "None",
  method,
  payload,
});

function okOf(answer: unknown): string {
  const { Ok: ok, Err: error } = answer as { readonly Ok?: string; readonly Err?: unknown };
  if (ok === undefined) throw new Error(JSON.stringify(error));
  return ok;
}

async function update(server: Server, instance: number, told: Told): Promise<Uint8Array> {
  const path = `/instances/${instance}/update`;
  const id = okOf(await ask(server, "POST", `${path}/submit_ingress_message`, rawCall(told)));
  return new Uint8Array(
    Buffer.from(okOf(await ask(server, "POST", `${path}/await_ingress_message`, id)), "base64"),
  );
}

/** A counter on the instance; its id in base64. */
async function counterOn(server: Server, instance: number): Promise<string> {
  const Creation = IDL.Record({ amount: IDL.Opt(IDL.Nat) });
  const made = await update(server, instance, {
    canisterId: "",
    method: "provisional_create_canister_with_cycles",
    payload: base64(new Uint8Array(IDL.encode([Creation], [{ amount: [10n ** 18n] }]))),
  });
  const [{ canister_id: id }] = IDL.decode([IDL.Record({ canister_id: IDL.Principal })], made) as unknown as [
    { readonly canister_id: Principal },
  ];
  const Install = IDL.Record({
    mode: IDL.Variant({ install: IDL.Null }),
    canister_id: IDL.Principal,
    wasm_module: IDL.Vec(IDL.Nat8),
    arg: IDL.Vec(IDL.Nat8),
  });
  const wasm = new Uint8Array(gunzipSync(readFileSync(MODULE)));
  const arg = {
    mode: { install: null },
    canister_id: id,
    wasm_module: wasm,
    arg: Buffer.from(EMPTY, "base64"),
  };
  const canisterId = base64(id.toUint8Array());
  const effective = { CanisterId: canisterId };
  const payload = base64(new Uint8Array(IDL.encode([Install], [arg])));
  await update(server, instance, { canisterId: "", method: "install_code", payload, effective });
  return canisterId;
}

/** Processes of the tree, by their parents. */
function treeOf(root: number): readonly number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((one) => /^\d+$/.test(one))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      // Gone meanwhile.
    }
  }
  const tree = [root];
  for (const one of tree) {
    for (const [pid, parent] of parents) if (parent === one) tree.push(pid);
  }
  return tree;
}

const TICK_MS = 10;

/** Processor time and resident memory of the tree; zeros where the system does not tell. */
function usage(root: number): { readonly cpuMs: number; readonly mib: number } {
  if (process.platform !== "linux") return { cpuMs: 0, mib: 0 };
  const sum = { cpuMs: 0, mib: 0 };
  for (const pid of treeOf(root)) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      sum.cpuMs += (Number(fields[11]) + Number(fields[12])) * TICK_MS;
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      sum.mib += (Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1_024) / MIB;
    } catch {
      // Gone meanwhile.
    }
  }
  return sum;
}

type Figures = Readonly<Record<string, readonly [value: number, unit: string, limit?: number]>>;

async function instances(server: Server): Promise<Figures> {
  const startedMs = performance.now();
  const first = await newInstance(server);
  const firstMs = performance.now() - startedMs;
  // Whatever the server warms up behind its first instance.
  await new Promise((done) => setTimeout(done, 2_000));
  const before = usage(server.child.pid ?? 0);
  const latencies: number[] = [];
  const made: number[] = [];
  for (let i = 0; i < INSTANCES; i++) {
    const at = performance.now();
    made.push(await newInstance(server));
    latencies.push(performance.now() - at);
  }
  const after = usage(server.child.pid ?? 0);
  const deletedMs = performance.now();
  for (const id of [...made, first]) await ask(server, "DELETE", `/instances/${id}`);
  return {
    "first instance": [firstMs, "ms"],
    "instance made, p50": [
      percentile(
        latencies.sort((a, b) => a - b),
        0.5,
      ),
      "ms",
    ],
    "instance made, processor time": [(after.cpuMs - before.cpuMs) / INSTANCES, "ms", CREATION_MS_MAX],
    "memory of an instance": [(after.mib - before.mib) / INSTANCES, "MiB", INSTANCE_MIB_MAX],
    "instance deleted": [(performance.now() - deletedMs) / (INSTANCES + 1), "ms"],
  };
}

async function calls(server: Server): Promise<Figures> {
  const instance = await newInstance(server);
  const canisterId = await counterOn(server, instance);
  const inc: Told = { canisterId, method: "inc", payload: EMPTY };
  for (let i = 0; i < CALLS / 4; i++) await update(server, instance, inc);
  const [before, startedMs] = [usage(server.child.pid ?? 0), performance.now()];
  for (let i = 0; i < CALLS; i++) await update(server, instance, inc);
  const updatesMs = performance.now() - startedMs;
  const cpuMs = usage(server.child.pid ?? 0).cpuMs - before.cpuMs;
  const queryMs = performance.now();
  const get: Told = { canisterId, method: "get", payload: EMPTY };
  for (let i = 0; i < CALLS; i++)
    okOf(await ask(server, "POST", `/instances/${instance}/read/query`, rawCall(get)));
  const queriesMs = performance.now() - queryMs;
  const others = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const id = await newInstance(server);
      return { id, counter: await counterOn(server, id) };
    }),
  );
  const sideMs = performance.now();
  await Promise.all(
    others.map(async ({ id, counter }) => {
      for (let i = 0; i < CALLS / 4; i++) await update(server, id, { ...inc, canisterId: counter });
    }),
  );
  const perSecond = (count: number, ms: number): number => (count * 1_000) / ms;
  return {
    "updates, one client": [perSecond(CALLS, updatesMs), "a second"],
    "an update, processor time": [cpuMs / CALLS, "ms"],
    "queries, one client": [perSecond(CALLS, queriesMs), "a second"],
    [`updates, ${CLIENTS} clients with an instance each`]: [
      perSecond((CLIENTS * CALLS) / 4, performance.now() - sideMs),
      "a second",
    ],
  };
}

let broken = 0;
const starts = new Map<string, Pick<Server, "statusMs" | "statusCpuMs">[]>();
for (let i = 0; i < STARTS; i++) {
  for (const contender of contenders) {
    const server = await start(contender);
    starts.set(contender.name, [...(starts.get(contender.name) ?? []), server]);
    await server.end();
  }
}
for (const contender of contenders) {
  const server = await start(contender);
  const median = (field: "statusMs" | "statusCpuMs"): number =>
    percentile(
      (starts.get(contender.name) ?? []).map((one) => one[field]).sort((a, b) => a - b),
      0.5,
    );
  const figures: Figures = {
    "cold start to the first answer, p50": [median("statusMs"), "ms"],
    "the same, processor time": [median("statusCpuMs"), "ms"],
    "the less of both": [Math.min(median("statusMs"), median("statusCpuMs")), "ms", STATUS_MS_MAX],
    ...(await instances(server)),
    ...(await calls(server)),
    "memory afterwards": [usage(server.child.pid ?? 0).mib, "MiB"],
  };
  await server.end();
  console.log(contender.name);
  for (const [what, [value, unit, limit]] of Object.entries(figures)) {
    const isOurs = contender === contenders[0];
    const verdict =
      limit === undefined || !isOurs ? "" : `, at most ${limit}: ${value <= limit ? "met" : "MISSED"}`;
    if (isOurs && limit !== undefined && value > limit) broken++;
    console.log(`  ${what}: ${value.toFixed(value < 10 ? 2 : 0)} ${unit}${verdict}`);
  }
}
if (broken > 0) process.exitCode = 1;
