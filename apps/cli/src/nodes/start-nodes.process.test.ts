/** `orrery start --nodes-per-subnet` as a process: interrupted as a terminal does it, started again beside others, refused, discarded. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runIn } from "../run.testkit.ts";
import { type NetworkPlan, readNetworkPlan } from "./network-directory.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
/** The least that is several. */
const NODES = 2;
const INTERVAL = 20;
const stateDir = mkdtempSync(join(tmpdir(), "orrery-start-nodes-"));
const running = new Set<ChildProcess>();
after(() => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(stateDir, { recursive: true, force: true });
});

const ARGUMENTS = ["start", "--json", "--port", "0", "--state-dir", stateDir];

interface Started {
  readonly document: {
    readonly api_url: string;
    readonly root_key: string;
    readonly subnets: readonly { readonly nodes: readonly unknown[] }[];
  };
  /** As a terminal does: to the command and all processes that it started. */
  interrupt(): Promise<number | null>;
}

async function start(...argv: readonly string[]): Promise<Started> {
  const child = spawn(process.execPath, [MAIN, ...ARGUMENTS, ...argv], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  const ended = once(child, "exit") as Promise<[number | null]>;
  void ended.then(() => running.delete(child));
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const document = await new Promise<Started["document"]>((resolve, reject) => {
    let out = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
      if (out.includes("\n")) resolve(JSON.parse(out));
    });
    void ended.then(([code]) => reject(new Error(`ended with ${code}: ${errors}`)));
  });
  return {
    document,
    async interrupt() {
      process.kill(-(child.pid as number), "SIGINT");
      return (await ended)[0];
    },
  };
}

async function refusal(...argv: readonly string[]): Promise<string> {
  const { code, out } = await runIn(stateDir, ...ARGUMENTS, ...argv);
  assert.equal(code, 1);
  return JSON.parse(out).error.code;
}

let plan: NetworkPlan;
let rootKey: string;

test("an interrupted network of several nodes stops in order, every node of it", async () => {
  const network = await start("--nodes-per-subnet", `${NODES}`, "--catch-up-interval", `${INTERVAL}`);
  rootKey = network.document.root_key;
  for (const { nodes } of network.document.subnets) assert.equal(nodes.length, NODES);
  assert.equal(await network.interrupt(), 0);
  plan = readNetworkPlan(stateDir);
  // A process for each node of each subnet.
  assert.equal(plan.addresses.length, 2 * NODES);
  // Whoever stops in order lets go of its directory.
  for (const directory of [".", ...plan.addresses.map((_, place) => `node-${place}`)])
    assert.ok(!existsSync(join(stateDir, directory, "lock.json")), directory);
  assert.ok(!existsSync(join(stateDir, "node.json")));
});

test("it is refused as another network than it is", async () => {
  for (const argv of [
    ["--subnet", "system"],
    ["--subnet-admin", "aaaaa-aa"],
    ["--catch-up-interval", `${INTERVAL + 1}`],
    ["--nodes-per-subnet", `${NODES + 1}`],
    ["--nodes-per-subnet", "1"],
  ])
    assert.equal(await refusal(...argv), "subnets_differ", argv.join(" "));
  assert.equal(await refusal("--clean", "--catch-up-interval", "20"), "interval_misplaced");
  assert.deepEqual(readNetworkPlan(stateDir), plan);
});

test("it is traced and saved as one; of one of its nodes, who has a part, only the past is told", async () => {
  const file = join(stateDir, "..", `${basename(stateDir)}.snapshot`);
  const reading = (directory: string) =>
    [
      ["trace", "--json", "--state-dir", directory],
      ["snapshot", "save", file, "--json", "--state-dir", directory],
    ] as const;
  const [trace, save] = reading(join(stateDir, `node-${NODES}`));
  assert.equal((await runIn(stateDir, ...trace)).code, 0);
  const { code, out } = await runIn(stateDir, ...save);
  assert.equal(code, 1);
  assert.equal(JSON.parse(out).error.code, "store_missing");
  try {
    for (const argv of reading(stateDir)) assert.equal((await runIn(stateDir, ...argv)).code, 0, argv[0]);
  } finally {
    rmSync(file, { force: true });
  }
});

test("it starts again with the same words, beside another program at one of its addresses", async () => {
  const other = createServer().listen(plan.addresses[1]?.port, plan.addresses[1]?.host);
  await once(other, "listening");
  try {
    const words = ["--nodes-per-subnet", `${NODES}`, "--catch-up-interval", `${INTERVAL}`];
    const network = await start("--subnet", "application", ...words);
    assert.equal(network.document.root_key, rootKey);
    const { addresses } = readNetworkPlan(stateDir);
    assert.deepEqual(addresses[0], plan.addresses[0]);
    assert.notEqual(addresses[1]?.port, plan.addresses[1]?.port);
    assert.equal(await network.interrupt(), 0);
  } finally {
    other.close();
  }
});

test("discarded, it makes place for a network of one node", async () => {
  const network = await start("--clean");
  assert.notEqual(network.document.root_key, rootKey);
  for (const { nodes } of network.document.subnets) assert.equal(nodes.length, 1);
  assert.equal(await network.interrupt(), 0);
  assert.deepEqual(readdirSync(stateDir).sort(), ["node.log", "store", "store-1"]);
  assert.match(readFileSync(join(stateDir, "node.log"), "utf8"), /\n/);
});
