/** A simulated subnet of real members under faults: safe always, alive again afterwards. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { poolBounds } from "@orrery/consensus/member";
import { CALM, type FaultPlan, MISBEHAVIOURS, type Misbehaviour, STORMY } from "./faults.ts";
import { runSubnet, type SubnetVerdict, worldFor } from "./run.ts";
import type { World } from "./world.ts";

const SECOND = 1_000_000_000n;

const worldOf = (faults: FaultPlan, catchUpInterval: number, executionNs?: bigint): World =>
  worldFor(
    { seed: 1, nodes: 4, spares: 1, seconds: 0, messagesPerSecond: 0, catchUpInterval, faults },
    executionNs,
  );

test("what a member keeps is judged by the number of members, whoever else could become one", () => {
  const world = worldOf(CALM, 10);
  const judged: unknown[] = [];
  world.checkers.kept = (_node, _sizes, limits): void => {
    judged.push(limits);
  };
  world.run(world.now + SECOND);
  assert.equal(judged.length, 5);
  for (const limits of judged) assert.deepEqual(limits, { bounds: poolBounds(4, 10), members: 4 });
});

const run = (
  nodes: number,
  seed: number,
  faults: FaultPlan,
  [seconds, catchUpInterval]: readonly [number, number] = [20, 20],
): SubnetVerdict =>
  runSubnet({ seed, nodes, spares: 2, seconds, messagesPerSecond: 2, catchUpInterval, faults });

test("with honest leaders a block takes the notary's delay and two crossings, whatever the size", () => {
  for (const nodes of [1, 4, 13]) {
    const { verdict, rounds, seconds } = run(nodes, 1, CALM, [10, 20]);
    assert.equal(verdict, "ok");
    // 300 ms before notarization, 5 ms for the proposal and 5 for the shares: more than three a second.
    assert.ok(rounds / seconds > 3 && rounds / seconds < 3.6, `${nodes} nodes: ${rounds / seconds} a second`);
  }
});

test("one seed gives one trace, another seed another", () => {
  const first = run(4, 7, STORMY, [10, 20]);
  assert.deepEqual(run(4, 7, STORMY, [10, 20]), first);
  assert.notEqual(run(4, 8, STORMY, [10, 20]).traceHash, first.traceHash);
});

test("crashes, partitions, losses, doubles and clocks that are off do no harm, and it goes on after them", () => {
  for (const nodes of [1, 4, 5, 7]) {
    for (const seed of [1, 2, 3]) {
      const { verdict, violations } = run(nodes, seed, STORMY);
      assert.deepEqual([verdict, violations], ["ok", []], `${nodes} nodes, seed ${seed}`);
    }
  }
});

/** These twist what each interval has once. */
const OF_INTERVALS: readonly Misbehaviour[] = ["wrong_dealings", "wrong_summaries"];

for (const kind of MISBEHAVIOURS) {
  test(`up to a third of the members misbehave: ${kind.replaceAll("_", " ")}`, () => {
    // Short intervals have room for what both sets of keys take, and little more.
    for (const [nodes, byzantine, short] of [
      [4, [kind], 8],
      [7, [kind, kind], 12],
    ] as const) {
      const length = OF_INTERVALS.includes(kind) ? short : 20;
      const result = run(nodes, 9, { ...STORMY, byzantine }, [6, length]);
      const { verdict, violations, twisted, intervals } = result;
      assert.deepEqual([verdict, violations], ["ok", []], `${nodes} nodes`);
      assert.ok(twisted > 0, `${nodes} nodes: nothing was twisted`);
      if (OF_INTERVALS.includes(kind)) assert.ok(intervals >= 2, `${nodes} nodes: ${intervals} intervals`);
    }
  });
}

test("ranks that take turns faster than blocks cross make many blocks, and one chain", () => {
  const hurried = { unitDelayNs: SECOND / 20n, initialNotaryDelayNs: SECOND / 50n };
  for (const byzantine of [[], ["sign_everything"]] as const) {
    const { verdict, violations } = runSubnet({
      seed: 2,
      nodes: 4,
      spares: 1,
      seconds: 6,
      messagesPerSecond: 2,
      catchUpInterval: 40,
      faults: { ...STORMY, partitionPerSecond: 0, crashPerSecond: 0, byzantine },
      ...hurried,
    });
    assert.deepEqual([verdict, violations], ["ok", []]);
  }
});

test("a subnet without a quorum stands still, and says nothing wrong", () => {
  const { verdict, violations } = run(4, 1, { ...CALM, byzantine: ["silent", "silent"] });
  assert.deepEqual([verdict, violations], ["stalled", []]);
});

test("with more nodes away than may be faulty a subnet stands still, and goes on cleanly when they are back", () => {
  const world = worldOf(CALM, 20);
  world.run(world.now + 5n * SECOND);
  for (const node of world.nodes.slice(0, 2)) node.crash();
  world.run(world.now + SECOND);
  const stood = world.checkers.height;
  world.run(world.now + 60n * SECOND);
  assert.equal(world.checkers.height, stood);
  world.heal();
  world.run(world.now + 10n * SECOND);
  assert.ok(world.commonHeight > stood + 20);
  assert.deepEqual(world.checkers.violations, []);
});

test("members come and go at intervals, and the newest of them are the subnet's in the end", () => {
  let [changes, intervals] = [0, 0];
  for (const seed of [1, 2]) {
    const { verdict, violations, ...result } = runSubnet({
      seed,
      nodes: 4,
      spares: 3,
      seconds: 30,
      messagesPerSecond: 2,
      catchUpInterval: 10,
      faults: { ...CALM, changePerSecond: 0.2, registryDelayNs: 2_000_000_000n },
    });
    assert.deepEqual([verdict, violations], ["ok", []]);
    changes += result.changes;
    intervals += result.intervals;
  }
  assert.ok(changes >= 6 && intervals >= 18, `${changes} changes in ${intervals} intervals`);
});

test("members that learn of the registry late judge then what waits for it, though nothing else happens", () => {
  for (const seed of [1, 3]) {
    const faults = { ...CALM, changePerSecond: 0.5, registryDelayNs: 20n * SECOND };
    const { verdict, violations } = run(4, seed, faults, [6, 8]);
    assert.deepEqual([verdict, violations], ["ok", []], `seed ${seed}`);
  }
});

test("a subnet that the registry halts stands still at a package, with nothing ordered after it, and goes on later", () => {
  const world = worldOf({ ...CALM }, 10);
  world.run(world.now + 5n * SECOND);
  world.halt(true);
  world.run(world.now + 20n * SECOND);
  const heights = new Set(world.nodes.map(({ member }) => member?.pool.notarizedHeight));
  const [catchUp] = world.nodes.map(({ member }) => member?.pool.catchUpHeight ?? 0);
  assert.ok(world.nodes.every(({ member }) => member?.isHalted === true));
  const message = new Uint8Array(8).fill(7);
  world.submit(message);
  world.run(world.now + 20n * SECOND);
  assert.deepEqual(new Set(world.nodes.map(({ member }) => member?.pool.notarizedHeight)), heights);
  assert.equal(world.checkers.missing([message]), 1);
  const [stood] = heights;
  assert.ok(catchUp !== undefined && stood !== undefined && stood - catchUp < 10);
  world.halt(false);
  world.run(world.now + 30n * SECOND);
  assert.ok(world.commonHeight > stood + 20);
  assert.equal(world.checkers.missing([message]), 0);
  assert.deepEqual(world.checkers.violations, []);
});

test("a subnet in which nothing is certified any more still makes the package at which it halts", () => {
  // One of four is silent, and two certify something else: the chain never knows of the state as certified.
  const byzantine: FaultPlan["byzantine"] = ["silent", "wrong_certification", "wrong_certification"];
  const world = worldOf({ ...CALM, byzantine }, 10);
  world.halt(true);
  world.run(world.now + 3_000n * SECOND);
  const members = world.nodes.slice(1, 4).map(({ member }) => member);
  assert.ok(members.every((member) => member?.isHalted === true && member.pool.certifiedHeight < 10));
  assert.deepEqual(world.checkers.violations, []);
});
