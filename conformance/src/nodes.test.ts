/**
 * A network whose subnets have four nodes each, in four processes, through the unmodified client: any node takes updates and answers
 * queries, what they say verifies under one key, one of them may be killed at any time and catches up from the others when it is back.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
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
const options: NetworkOptions = {
  stateDir,
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

/** The network as its first node is asked: another may be a block behind what this one has answered. */
const atFirst = (): Network => ({ ...network, url: nodeAt(0).url });

/** The counter as one node has it, or any. */
function counterOf(place: number | null): ReturnType<typeof counterAt> {
  const url = place === null ? network.url : nodeAt(place).url;
  return counterAt(agentFor({ ...network, url }, identity), counter);
}

/** Of the application subnet, certified at one node; null while it does not answer. */
async function heightAt(place: number): Promise<number | null> {
  const { url } = nodeAt(place);
  try {
    const response = await fetch(`${url}/_/subnets`);
    const { subnets } = (await response.json()) as {
      readonly subnets: readonly { readonly height: number }[];
    };
    return subnets[1]?.height ?? null;
  } catch {
    return null;
  }
}

/** Of a node that answers. */
async function knownHeightAt(place: number): Promise<number> {
  const height = await heightAt(place);
  assert.ok(height !== null, `node ${place} says no height`);
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
  test("is four processes, each with a node of every subnet", () => {
    const { root, application } = subnetsOf(network);
    for (const { nodes: all } of [root, application]) {
      assert.equal(new Set(all.map(({ id }) => id)).size, NODES);
      assert.equal(new Set(all.map(({ pid }) => pid)).size, NODES);
    }
    assert.deepEqual(
      root.nodes.map(({ pid }) => pid),
      application.nodes.map(({ pid }) => pid),
    );
  });

  test("takes a program, and updates at any node, which all nodes then answer queries of", async () => {
    const agent = agentFor(atFirst(), identity);
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
    const agent = agentFor(atFirst(), identity);
    const { root } = subnetsOf(network);
    const caller = await install(network, agent, motokoFixture("caller", "enhanced"));
    const onRoot = { effectiveCanisterId: Principal.fromText(root.default_effective_canister_id) };
    const callee = await install(onRoot, agent, motokoFixture("callee", "enhanced"));
    assert.equal(await caller.call("relay", callee.id, 5n), 5n);
  });

  test("makes HTTPS outcalls at every node, and answers what all but a third of them got", async () => {
    const agent = agentFor(atFirst(), identity);
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
    for (let i = 0; i < 3; i++) assert.equal(await counterOf(i).inc(), ++count);
    await eventually(
      async () => nodeAt(KILLED).pid,
      (now) => now !== pid,
      START_MS,
    );
    const goal = await knownHeightAt(0);
    assert.ok(goal > 0);
    await reaches(KILLED, goal);
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

  test("gives its state, chunk by chunk, to one that lost its stores", async () => {
    // Packages beyond leave nobody with the first blocks.
    while ((await knownHeightAt(0)) <= FORGOTTEN) assert.equal(await counterOf(0).inc(), ++count);
    process.kill(nodeAt(LOST).pid, "SIGKILL");
    // Its keys are of another disk: nodes are who they are by them.
    const directory = join(stateDir, `node-${LOST}`);
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

  test("is copied into a program from the directory of one of its nodes", async () => {
    // It has what this node has.
    await reaches(0, await knownHeightAt(1));
    const copy = await createNetwork({ from: join(stateDir, "node-0") });
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
