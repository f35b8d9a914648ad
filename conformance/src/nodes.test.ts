/**
 * A network whose subnets have four nodes each, in four processes, through the unmodified client: any node takes updates and answers
 * queries, what they say verifies under one key, one of them may be killed at any time and catches up from the others when it is back.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { motokoFixture } from "@orrery/canisters/fixtures";
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
import { eventually, install } from "./programs.ts";

const NODES = 4;
const KILLED = 3;
/** A process of a node starts in seconds; on a busy machine in many. */
const START_MS = 120_000;
const identity = Ed25519KeyIdentity.generate();
const stateDir = mkdtempSync(join(tmpdir(), "orrery-nodes-"));
/** Short, so that packages are made and needed within the test. */
const INTERVAL = 20;
const options: NetworkOptions = {
  stateDir,
  arguments: ["--nodes-per-subnet", `${NODES}`, "--catch-up-interval", `${INTERVAL}`],
};
let network: Network;
let counter: Principal;
let count = 0n;

/** The nodes of the application subnet as the command describes them now: processes change. */
function nodes(): SubnetDocument["nodes"] {
  const { subnets } = JSON.parse(readFileSync(join(stateDir, "node.json"), "utf8")) as Network["document"];
  return subnetsOf({ document: { ...network.document, subnets } }).application.nodes;
}

/** The counter as one node has it, or any. */
function counterOf(place: number | null): ReturnType<typeof counterAt> {
  const url = place === null ? network.url : (nodes()[place]?.url ?? "");
  return counterAt(agentFor({ ...network, url }, identity), counter);
}

/** Of the application subnet, certified at one node; null while it does not answer. */
async function heightAt(place: number): Promise<number | null> {
  try {
    const response = await fetch(`${nodes()[place]?.url}/_/subnets`);
    const { subnets } = (await response.json()) as {
      readonly subnets: readonly { readonly height: number }[];
    };
    return subnets[1]?.height ?? null;
  } catch {
    return null;
  }
}

before(async () => {
  network = await startNetwork(options);
});
after(async () => {
  await network.end("SIGTERM");
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
    const callee = await install(onRoot, agent, motokoFixture("callee", "enhanced"));
    assert.equal(await caller.call("relay", callee.id, 5n), 5n);
  });

  test("goes on without one that is killed, which catches up from the others when it is back", async () => {
    const { pid } = nodes()[KILLED] ?? { pid: 0 };
    process.kill(pid, "SIGKILL");
    for (let i = 0; i < 3; i++) assert.equal(await counterOf(i).inc(), ++count);
    await eventually(
      async () => nodes()[KILLED]?.pid,
      (now) => now !== pid,
      START_MS,
    );
    const goal = await heightAt(0);
    assert.ok(goal !== null && goal > 0);
    await eventually(
      () => heightAt(KILLED),
      (height) => height !== null && height >= goal,
      START_MS,
    );
    assert.equal(await counterOf(KILLED).get(), count);
    // The others cannot go on without it now: three of four have to sign.
    process.kill(nodes()[0]?.pid ?? 0, "SIGKILL");
    assert.equal(await counterOf(KILLED).inc(), ++count);
  });

  test("takes a node in again that stood still over catch-up packages", async () => {
    const { pid } = nodes()[KILLED] ?? { pid: 0 };
    // The one that was killed last has to be back.
    await eventually(
      () => heightAt(0),
      (height) => height !== null,
      START_MS,
    );
    const from = (await heightAt(0)) ?? 0;
    process.kill(pid, "SIGSTOP");
    try {
      for (let i = 0; ((await heightAt(0)) ?? 0) < from + 2 * INTERVAL; i++)
        assert.equal(await counterOf(i % KILLED).inc(), ++count);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    const goal = (await heightAt(0)) ?? 0;
    await eventually(
      () => heightAt(KILLED),
      (height) => height !== null && height >= goal,
      START_MS,
    );
    assert.equal(nodes()[KILLED]?.pid, pid);
    await eventually(
      () => counterOf(KILLED).get(),
      (value) => value === count,
    );
  });

  test("has everything that was answered after all of it was stopped", async () => {
    await network.end("SIGTERM");
    network = await startNetwork({ stateDir });
    assert.equal(await counterOf(null).get(), count);
    assert.equal(await counterOf(null).inc(), ++count);
  });
});
