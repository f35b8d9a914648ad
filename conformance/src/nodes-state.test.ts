/** States between the nodes of a network: one that lost its stores takes the state from the others, chunk by chunk, and answers as they do. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import { counterAt } from "./counter.ts";
import {
  agentFor,
  fixtureModule,
  type Network,
  type SubnetDocument,
  startNetwork,
  subnetsOf,
} from "./harness.ts";
import { createCanister, installCode } from "./management.ts";
import { eventually } from "./programs.ts";

const NODES = 4;
const LOST = 2;
const START_MS = 600_000;
const INTERVAL = 10;
/** Packages beyond leave nobody with the first blocks. */
const FORGOTTEN: number = 50 + 2 * INTERVAL;
const identity = Ed25519KeyIdentity.generate();
const stateDir = mkdtempSync(join(tmpdir(), "orrery-states-"));
let network: Network;
let counter: Principal;
let count = 0n;

function nodeAt(place: number): SubnetDocument["nodes"][number] {
  const { subnets } = JSON.parse(readFileSync(join(stateDir, "node.json"), "utf8")) as Network["document"];
  const node = subnetsOf({ document: { ...network.document, subnets } }).application.nodes[place];
  assert.ok(node !== undefined && node.pid > 0, `there is no node ${place}`);
  return node;
}

/** Of the application subnet, certified at one node; null while it does not answer. */
async function heightAt(place: number): Promise<number | null> {
  try {
    const response = await fetch(`${nodeAt(place).url}/_/subnets`);
    const { subnets } = (await response.json()) as {
      readonly subnets: readonly { readonly height: number }[];
    };
    return subnets[1]?.height ?? null;
  } catch {
    return null;
  }
}

const logOf = (place: number): string => readFileSync(join(stateDir, `node-${place}`, "node.log"), "utf8");

before(async () => {
  network = await startNetwork({
    stateDir,
    arguments: ["--nodes-per-subnet", `${NODES}`, "--catch-up-interval", `${INTERVAL}`],
  });
});
after(async () => {
  await network.end("SIGTERM");
  rmSync(stateDir, { recursive: true, force: true });
});

describe("a node that lost its stores", () => {
  test("takes the state from the others and answers as they do", async () => {
    const agent = agentFor(network, identity);
    counter = await createCanister(agent, network.effectiveCanisterId);
    await installCode(agent, counter, fixtureModule("counter.eop"));
    // Rounds with something to do are short.
    while (((await heightAt(LOST)) ?? 0) <= FORGOTTEN)
      assert.equal(await counterAt(agent, counter).inc(), ++count);
    process.kill(nodeAt(LOST).pid, "SIGKILL");
    // Its keys are of another disk: nodes are who they are by them.
    for (const name of readdirSync(join(stateDir, `node-${LOST}`)))
      if (name.startsWith("store"))
        rmSync(join(stateDir, `node-${LOST}`, name), { recursive: true, force: true });
    await eventually(
      async () => {
        try {
          return await counterAt(agentFor({ ...network, url: nodeAt(LOST).url }, identity), counter).get();
        } catch {
          return null;
        }
      },
      (value) => value === count,
      START_MS,
    );
    assert.match(logOf(LOST), /the state of a catch-up package is here/);
  });
});
