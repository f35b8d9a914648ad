/**
 * A network of four processes that run by themselves, under a client's load, goes on with another version of the program: a record that the
 * operators approve names it, the nodes stop by themselves at the catch-up package of one height, and are run with the new program. One whose
 * operator was early waits, and takes the state of that height from the others. Nothing that was answered is lost, the subnet's key stays, and a
 * node with the old program takes no part. Before that one is killed and refuses the new program, since no record names it yet, the length of
 * intervals changes, and nodes are restarted in turn.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Principal } from "@icp-sdk/core/principal";
import type { Command } from "@orrery/host/command";
import { VERSION } from "@orrery/node/version";
import { counterAt } from "./counter.ts";
import { fixtureModule } from "./harness.ts";
import { createCanister, installCode } from "./management.ts";
import { freeLoopback } from "./nodes-drill/wires.ts";
import { Load, type NodeDocument, Operators, START_MS } from "./operators.testkit.ts";
import { copyWithVersion } from "./other-version.ts";

const FOUNDERS = 4;
/** Whose operator starts the new program before the package is there; the others. */
const EARLY = 3;
const OTHERS: readonly number[] = [0, 1, 2];
/** The shortest that the registry takes, and one that is no multiple of it. */
const INTERVALS: readonly [number, number] = [20, 33];
const EXIT_CODE = 12;
const UNRECORDED_EXIT_CODE = 13;
const OTHER = "77.0.1-next.2";
const programs = mkdtempSync(join(tmpdir(), "orrery-programs-"));

let network: Operators;
let counter: Principal;
let other: string;

async function nodeAt(place: number): Promise<NodeDocument> {
  const [node] = await network.nodesAt(place);
  assert.ok(node !== undefined);
  return node;
}

/** Ends by itself, for the version that the registry names; resolves to the height of the package. */
async function superseded(place: number): Promise<number> {
  const { code, err } = await network.end(place);
  assert.equal(code, EXIT_CODE, err);
  assert.match(err, new RegExp(`install ${OTHER} and start the node with it`));
  assert.equal(readFileSync(join(network.directoryOf(place), "node.wanted"), "utf8"), `${OTHER}\n`);
  const [, height = "0"] = /goes on with another version of the program[^\n]* height=(\d+)/.exec(err) ?? [];
  return Number(height);
}

async function restartInTurn(): Promise<void> {
  for (const place of network.founding) {
    const { code, err } = await network.end(place, "SIGTERM");
    assert.equal(code, 0, err);
    await network.run(place);
    const heights = network.founding.map((each) => network.heightAt(each).catch(() => 0));
    await network.passes(place, Math.max(...(await Promise.all(heights))));
  }
}

/** Killed, and started with another program, which nobody decided: what is in its log was for the one before. */
async function refused(place: number): Promise<void> {
  await network.end(place, "SIGKILL");
  const { code, err } = await network.launch(place, other).ended;
  assert.equal(code, UNRECORDED_EXIT_CODE, err);
  assert.match(err, new RegExp(`version ${VERSION} of Orrery executed \\d+ blocks`));
  await network.run(place);
}

/** With the new program, and the record that names it. */
async function startEarly(): Promise<{ readonly command: Command; readonly url: string }> {
  await network.handRecords(EARLY, 0);
  const [{ port } = { port: 0 }] = await freeLoopback(1);
  const command = network.launch(EARLY, other, port);
  await command.said(/it waits for the package of its version/);
  return { command, url: `http://127.0.0.1:${port}` };
}

/** Resolves when three of four go on with the new program. */
async function upgrade(): Promise<void> {
  const { code } = await network.end(EARLY, "SIGTERM");
  assert.equal(code, 0);
  await network.decide([{ kind: "upgrade", subnet: 0, from: VERSION, to: OTHER }], OTHERS);
  assert.equal((await nodeAt(0)).wanted_version, OTHER);
  const [early, ...heights] = await Promise.all([startEarly(), ...OTHERS.map(superseded)]);
  assert.equal(new Set(heights).size, 1, `${heights}`);
  const [height = 0] = heights;
  assert.ok(height % INTERVALS[0] !== 0, `${height} is a multiple of the first length`);
  // Two of four make no block, one that runs the old program is no third, and one that waits has not the state yet.
  const behind = await network.launch(0).ended;
  assert.equal(behind.code, EXIT_CODE, behind.err);
  const [[, fetched]] = await Promise.all([
    early.command.said(/the state of a catch-up package is here[^\n]* height=(\d+)/),
    network.run(1, other),
    network.run(2, other),
  ]);
  assert.equal(Number(fetched), height);
  network.running.set(EARLY, early);
  for (const place of [1, EARLY]) await network.passes(place, height + INTERVALS[1]);
  // The fourth comes back later, with the state that it stopped with.
  await network.run(0, other);
  await network.passes(0, height + INTERVALS[1]);
}

describe("an upgrade of all nodes at a package", () => {
  before(async () => {
    const name = "upgrade";
    network = await Operators.open({ name, founders: FOUNDERS, catchUpInterval: INTERVALS[0], subnets: [] });
    other = copyWithVersion(programs, OTHER);
    const agent = network.agentAt(1);
    counter = await createCanister(agent, await network.creationAt(1, 0));
    await installCode(agent, counter, fixtureModule("counter.eop"));
  });
  after(async () => {
    await network.close();
    rmSync(programs, { recursive: true, force: true });
  });

  test("nodes stop at the package by themselves, go on with the new program, and nothing is lost", {
    timeout: 6 * START_MS,
  }, async () => {
    const increment = (place: number) => counterAt(network.agentAt(place), counter).inc();
    const load = new Load(() => [...network.running.keys()], increment);
    try {
      await refused(0);
      await network.decide([{ kind: "interval", subnet: 0, blocks: INTERVALS[1] }], OTHERS);
      await restartInTurn();
      // Over several summaries of the new length.
      await network.passes(0, (await network.heightAt(0)) + 2 * INTERVALS[1]);
      await upgrade();
    } finally {
      await load.end();
    }
    await network.isOne(3);
    for (const place of network.founding) {
      load.isKept(Number(await counterAt(network.agentAt(place), counter).get()));
      const { version, wanted_version } = await nodeAt(place);
      assert.deepEqual([version, wanted_version], [OTHER, OTHER]);
      const metrics = await (await fetch(`${network.urlOf(place)}/metrics`)).text();
      assert.match(metrics, /orrery_upgrade_pending\{[^}]*\} 0/);
      assert.ok(metrics.includes(`running="${OTHER}",wanted="${OTHER}"`));
    }
  });
});
