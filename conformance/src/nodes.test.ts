/**
 * A network whose subnets have four nodes each, every one a process of its own, through the unmodified client: any node takes updates and
 * answers queries of its subnet, what they say verifies under one key, one of them may be killed at any time and catches up from the others
 * when it is back.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { HttpAgent } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { motokoFixture } from "@orrery/canisters/fixtures";
import { createNetwork } from "ic-orrery";
import { counterAt } from "./counter.ts";
import {
  agentFor,
  fixtureModule,
  heightsAt,
  type Network,
  type NetworkOptions,
  type SubnetDocument,
  startNetwork,
  subnetsOf,
} from "./harness.ts";
import { createCanister, installCode } from "./management.ts";
import { ask, newAsker, type Told } from "./programs/asking.ts";
import { httpQuestion, httpReply, type Outside, startOutside } from "./programs/outcall.testkit.ts";
import { eventually, install } from "./programs.ts";

const NODES = 4;
const KILLED = 3;
/** A process of a node starts in seconds; on a busy machine in many. */
const START_MS = 120_000;
const identity = Ed25519KeyIdentity.generate();
const stateDir = mkdtempSync(join(tmpdir(), "orrery-nodes-"));
/** Short, so that packages are made and needed within the test. */
const INTERVAL = 20;
const LOST = 2;
/** Blocks before the newest packages are nobody's any more from here on. */
const FORGOTTEN: number = 50 + 2 * INTERVAL;
/** Whose execution is told to come to another state than the others'. */
const DIVERGED = 1;
/** Its processes know what to do then (`nodes-drill/diverge.ts`). */
const environment = { NODE_OPTIONS: `--import ${new URL("./nodes-drill/diverge.ts", import.meta.url).href}` };
const options: NetworkOptions = {
  stateDir,
  environment,
  arguments: ["--nodes-per-subnet", `${NODES}`, "--catch-up-interval", `${INTERVAL}`],
};
let network: Network;
let counter: Principal;
let count = 0n;

/** A node of the application subnet as the command describes it now: processes change. */
function nodeAt(place: number): SubnetDocument["nodes"][number] {
  const { subnets } = JSON.parse(readFileSync(join(stateDir, "node.json"), "utf8")) as Network["document"];
  const node = subnetsOf({ document: { ...network.document, subnets } }).application.nodes[place];
  // A signal to process 0 would go to the test's own group.
  assert.ok(node !== undefined && node.pid > 0, `there is no node ${place}`);
  return node;
}

/** The counter as one node has it, or any. */
function counterOf(place: number | null): ReturnType<typeof counterAt> {
  const url = place === null ? network.url : nodeAt(place).url;
  return counterAt(agentFor({ ...network, url }, identity), counter);
}

/** Of the application subnet, certified at one node; null while it does not answer. */
async function heightAt(place: number): Promise<number | null> {
  const { url } = nodeAt(place);
  // One that has just begun may have no word of the root for its subnet yet.
  const response = await fetch(`${url}/api/v2/status`).catch(() => null);
  const isHealthy = (await response?.text())?.includes("healthy") === true;
  return isHealthy ? ((await heightsAt(url))?.[0] ?? null) : null;
}

/** Of a node of the application subnet: those of the root are first. */
const directoryOf = (place: number): string => join(stateDir, `node-${NODES + place}`);

/** Of a node that answers. */
async function knownHeightAt(place: number): Promise<number> {
  const height = await heightAt(place);
  assert.ok(height !== null && height > 0, `node ${place} says no height`);
  return height;
}

/** Whether a node has come so far within the time of a start. */
async function reaches(place: number, goal: number): Promise<void> {
  await eventually(
    () => heightAt(place),
    (height: number | null) => height !== null && height >= goal,
    START_MS,
  );
}

/** A server outside that tells how often it was asked; what it tells at `/differs` differs each time. */
let outside: Outside;
const outsideFolder = mkdtempSync(join(tmpdir(), "orrery-outside-"));
const asked = new Map<string, number>();

before(async () => {
  outside = await startOutside(outsideFolder, ({ url = "" }, response) => {
    const times = (asked.get(url) ?? 0) + 1;
    asked.set(url, times);
    response.removeHeader("date");
    response.sendDate = false;
    response.end(url === "/differs" ? `${times}` : "the same");
  });
  network = await startNetwork(options);
});
after(async () => {
  await network.end("SIGTERM");
  outside.close();
  rmSync(outsideFolder, { recursive: true, force: true });
  rmSync(stateDir, { recursive: true, force: true });
});

describe("a subnet of four nodes", () => {
  test("is four processes, which know nothing of the other subnet but what its nodes certify", async () => {
    const { root, application } = subnetsOf(network);
    const all = [...root.nodes, ...application.nodes];
    assert.equal(new Set(all.map(({ id }) => id)).size, 2 * NODES);
    assert.equal(new Set(all.map(({ pid }) => pid)).size, 2 * NODES);
    for (const [subnet, { nodes }] of [root, application].entries()) {
      assert.equal((await heightsAt(nodes[0]?.url ?? ""))?.length, 1);
      const stores = readdirSync(join(stateDir, `node-${NODES * subnet}`)).filter((name) =>
        /^store/.test(name),
      );
      assert.deepEqual(stores, [subnet === 0 ? "store" : `store-${subnet}`]);
    }
    assert.equal((await heightsAt(network.url))?.length, 2);
  });

  test("refuses at a node what is another subnet's, and leads it there at the network's port", async () => {
    const { root, application } = subnetsOf(network);
    const onRoot = Principal.fromText(root.default_effective_canister_id);
    const read = (url: string): Promise<unknown> =>
      agentFor({ ...network, url }).readState({ canisterId: onRoot }, { paths: [] });
    await assert.rejects(read(application.nodes[0]?.url ?? ""), /ranges of a subnet that is served here/);
    for (const url of [root.nodes[0]?.url ?? "", network.url]) await read(url);
  });

  test("takes a program, and updates at any node, which all nodes then answer queries of", async () => {
    const agent = agentFor(network, identity);
    counter = await createCanister(agent, network.effectiveCanisterId);
    await installCode(agent, counter, fixtureModule("counter.eop"));
    for (let place = 0; place < NODES; place++) assert.equal(await counterOf(place).inc(), ++count);
    for (let place = 0; place < NODES; place++)
      await eventually(
        () => counterOf(place).get(),
        (value) => value === count,
      );
  });

  test("calls between subnets that all nodes agree on", async () => {
    const agent = agentFor(network, identity);
    const { root } = subnetsOf(network);
    const caller = await install(network, agent, motokoFixture("caller", "enhanced"));
    const onRoot = { effectiveCanisterId: Principal.fromText(root.default_effective_canister_id) };
    const atRoot = agentFor({ ...network, url: root.nodes[0]?.url ?? "" }, identity);
    const callee = await install(onRoot, atRoot, motokoFixture("callee", "enhanced"));
    assert.equal(await caller.call("relay", callee.id, 5n), 5n);
  });

  test("makes HTTPS outcalls at every node, and answers what all but a third of them got", async () => {
    const agent = agentFor(network, identity);
    const asker = await newAsker(network, agent);
    const request = (path: string, replicated = true): Promise<Told> => {
      const value = { url: `${outside.origin}${path}`, is_replicated: [replicated] };
      return ask(agent, asker, httpQuestion(value));
    };
    const same = httpReply(await request("/same"));
    assert.equal(new TextDecoder().decode(new Uint8Array(same.body)), "the same");
    const times = asked.get("/same") ?? 0;
    assert.ok(times >= 3 && times <= NODES, `${times} nodes asked`);
    const differs = await request("/differs");
    assert.equal(differs.code, 2);
    assert.match(differs.text, /^No consensus could be reached\. Replicas had different responses\./);
    assert.equal(httpReply(await request("/once", false)).status, 200n);
    assert.equal(asked.get("/once"), 1);
  });

  test("goes on without one that is killed, which catches up from the others when it is back", async () => {
    const { pid } = nodeAt(KILLED);
    process.kill(pid, "SIGKILL");
    for (let i = 0; i < KILLED; i++) assert.equal(await counterOf(i).inc(), ++count);
    await eventually(
      async () => nodeAt(KILLED).pid,
      (now) => now !== pid,
      START_MS,
    );
    // The one that answered last has all of it; another may be a block behind.
    await reaches(KILLED, await knownHeightAt(KILLED - 1));
    assert.equal(await counterOf(KILLED).get(), count);
    // The others cannot go on without it now: three of four have to sign.
    process.kill(nodeAt(0).pid, "SIGKILL");
    assert.equal(await counterOf(KILLED).inc(), ++count);
  });

  test("takes a node in again that stood still over catch-up packages", async () => {
    const { pid } = nodeAt(KILLED);
    // The one that was killed last has to be back.
    await reaches(0, 1);
    const from = await knownHeightAt(0);
    process.kill(pid, "SIGSTOP");
    try {
      // Each call takes a block at least.
      for (let i = 0; i < 3 * INTERVAL && (await knownHeightAt(0)) < from + 2 * INTERVAL; i++)
        assert.equal(await counterOf(i % KILLED).inc(), ++count);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    const goal = await knownHeightAt(0);
    assert.ok(goal >= from + 2 * INTERVAL, `from height ${from} to ${goal}`);
    await reaches(KILLED, goal);
    assert.equal(nodeAt(KILLED).pid, pid);
    await eventually(
      () => counterOf(KILLED).get(),
      (value) => value === count,
    );
  });

  test("heals one whose execution came to another state, which shows nothing of that", async () => {
    // One at a time: a node that has lost its stores says nothing for a minute.
    const directory = directoryOf(DIVERGED);
    const log = (): string => readFileSync(join(directory, "node.log"), "utf8");
    const { pid } = nodeAt(DIVERGED);
    writeFileSync(join(directory, "diverge"), "once");
    assert.equal(await counterOf(0).inc(), ++count);
    await eventually(
      async () => /this node's state is not the one that its subnet certified/.test(log()),
      (isKnown) => isKnown,
      START_MS,
    );
    // It refuses, or is back already.
    const said = await counterOf(DIVERGED)
      .get()
      .catch((error: Error) => error.message);
    assert.ok(said === count || /CertifiedStateBehind|Starting|fetch failed/.test(`${said}`), `${said}`);
    // Where there is no package of the subnet yet that it did not come to itself, the next one heals it.
    const from = await knownHeightAt(0);
    while ((await knownHeightAt(0)) < from + 2 * INTERVAL && !/catch-up package is here/.test(log()))
      assert.equal(await counterOf(0).inc(), ++count);
    await reaches(DIVERGED, await knownHeightAt(0));
    await eventually(
      () =>
        counterOf(DIVERGED)
          .get()
          .catch(() => null),
      (value) => value === count,
      START_MS,
    );
    assert.equal(nodeAt(DIVERGED).pid, pid, "the same process");
    const metrics = await (await fetch(`${nodeAt(DIVERGED).url}/metrics`)).text();
    assert.equal(metrics.match(/^orrery_state_diverged\{.*\} 0$/gm)?.length, 1);
  });

  test("gives its state, chunk by chunk, to one that lost its stores", async () => {
    // Packages beyond leave nobody with the first blocks.
    while ((await knownHeightAt(0)) <= FORGOTTEN) assert.equal(await counterOf(0).inc(), ++count);
    process.kill(nodeAt(LOST).pid, "SIGKILL");
    // Its keys are of another disk: nodes are who they are by them.
    const directory = directoryOf(LOST);
    for (const name of readdirSync(directory))
      if (name.startsWith("store")) rmSync(join(directory, name), { recursive: true, force: true });
    await eventually(
      () =>
        counterOf(LOST)
          .get()
          .catch(() => null),
      (value) => value === count,
      START_MS,
    );
    assert.match(
      readFileSync(join(directory, "node.log"), "utf8"),
      /the state of a catch-up package is here/,
    );
  });

  test("is copied into a program from the network's directory", async () => {
    const copy = await createNetwork({ from: stateDir });
    try {
      const agent = HttpAgent.createSync({
        host: copy.url,
        fetch: copy.fetch,
        identity,
        // Nobody has the keys of the network itself.
        rootKey: copy.rootKey,
        retryTimes: 0,
      });
      const copied = counterAt(agent, counter);
      assert.equal(await copied.get(), count);
      assert.equal(await copied.inc(), count + 1n);
    } finally {
      await copy.stop();
    }
  });

  test("has everything that was answered after all of it was stopped", async () => {
    await network.end("SIGTERM");
    network = await startNetwork({ stateDir });
    assert.equal(await counterOf(null).get(), count);
    assert.equal(await counterOf(null).inc(), ++count);
  });
});
