/**
 * A network of four processes that run by themselves, each another operator's, under a client's load: a fifth joins, then the first leaves
 * and another is replaced, all by records that the operators approve. Nobody stops, no acknowledged update is lost, and the subnet's key stays.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Principal } from "@icp-sdk/core/principal";
import { counterAt } from "./counter.ts";
import { fixtureModule } from "./harness.ts";
import { createCanister, installCode } from "./management.ts";
import { Load, Operators, START_MS } from "./operators.testkit.ts";
import { eventually } from "./programs.ts";

/** Room for five dealings, one a block, and for nodes that are late. */
const INTERVAL = 12;

let network: Operators;
let counter: Principal;

/** Resolves when the node has stopped by itself. */
async function left(place: number): Promise<void> {
  const { code, err } = await network.end(place);
  assert.equal(code, 0, err);
  assert.match(err, /its last interval is over/);
}

/** Who signs answers of the subnet, as its certificate says at a node. */
async function certifiedNodes(place: number): Promise<readonly string[]> {
  const keys = await network.agentAt(place).fetchSubnetKeys({ canisterId: counter });
  return [...keys.keys()].sort();
}

const idsOf = (places: readonly number[]): readonly string[] => network.nodeIds(places, 0);

/** One is added; then one is removed and another replaced. */
async function change(): Promise<void> {
  assert.deepEqual(await certifiedNodes(1), idsOf([0, 1, 2, 3]));
  await network.decide([await network.joining(4, [0])], [1, 2, 3]);
  await network.begin(4, 1);
  assert.deepEqual(await certifiedNodes(4), idsOf([0, 1, 2, 3, 4]));
  const leaves = (place: number) => network.leaving(place, 0);
  // Three of five are too few.
  await assert.rejects(network.decide([leaves(0)], [2, 3, 4]), /3 nodes approve it, and it takes 4/);
  await network.decide([leaves(0), await network.joining(5, [0]), leaves(1)], [4, 1, 2, 3]);
  await Promise.all([network.begin(5, 4), left(0), left(1)]);
}

describe("membership by the registry", () => {
  before(async () => {
    const name = "membership";
    network = await Operators.open({ name, founders: 4, coming: 2, catchUpInterval: INTERVAL, subnets: [] });
    const agent = network.agentAt(1);
    counter = await createCanister(agent, await network.creationAt(1, 0));
    await installCode(agent, counter, fixtureModule("counter.eop"));
  });
  after(() => network.close());

  test("nodes are added, removed and replaced under load, and nothing is lost", {
    timeout: 5 * START_MS,
  }, async () => {
    const increment = (place: number) => counterAt(network.agentAt(place), counter).inc();
    const load = new Load(() => [...network.running.keys()], increment);
    try {
      await change();
    } finally {
      await load.end();
    }
    // On a machine that is very busy a node may be behind again, and start again with a newer state.
    await eventually(
      () => certifiedNodes(5).catch(String),
      (nodes: unknown) => `${nodes}` === `${idsOf([2, 3, 4, 5])}`,
      START_MS,
    );
    load.isKept(Number(await counterAt(network.agentAt(5), counter).get()));
    await network.isOne(3);
  });
});
