/** Simulated networks by the names of their faults: each takes place, alone and with all others, and nothing bad comes of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { allFaults, drawnFaults, FAULT_NAMES, unfit } from "./fault-list.ts";
import { type SimulationOptions, type SimulationReport, simulate } from "./simulate.ts";

const run = (faults: readonly string[], more: Partial<SimulationOptions> = {}): SimulationReport =>
  simulate({ seed: 1, nodesPerSubnet: 4, subnetCount: 1, rounds: 30, state: "hashes", faults, ...more });

/** Each alone. */
const WORLD = [
  "crash",
  "restart",
  "disk-loss",
  "torn-write",
  "partition",
  "asymmetric-partition",
  "delay",
  "loss",
  "reorder",
  "duplicate",
  "clock-skew",
  "slow-node",
  "broken-state",
  "membership",
  "halt",
  "interval",
  "upgrade",
  "withhold",
  "twins",
  "creation",
];

/** In which it takes place, where that is not the first. */
const SEEDS: ReadonlyMap<string, number> = new Map([
  ["disk-loss", 2],
  ["interval", 2],
  ["upgrade", 2],
  ["creation", 3],
]);

for (const fault of WORLD) {
  test(`takes place and does no harm: ${fault}`, () => {
    const { verdict, violations, faults, rounds } = run([fault], { rounds: 80, seed: SEEDS.get(fault) ?? 1 });
    assert.deepEqual([verdict, violations], ["ok", []]);
    assert.ok((faults.get(fault) ?? 0) > 0, "it took place");
    assert.ok(rounds >= 80);
  });
}

test("a state that a faulty node hands out is not taken", () => {
  let [lies, syncs] = [0, 0];
  for (const seed of [1, 2]) {
    const { verdict, violations, faults, ...report } = run(["lying-sync"], { seed, rounds: 150 });
    assert.deepEqual([verdict, violations], ["ok", []]);
    lies += faults.get("lying-sync") ?? 0;
    syncs += report.syncs;
  }
  assert.ok(lies > 0 && syncs > 0, `${lies} lies, ${syncs} states fetched`);
});

test("members that misbehave in every way by turns, among all that can go wrong", () => {
  const { verdict, violations, faults, intervals } = run(allFaults(4), { rounds: 60 });
  assert.deepEqual([verdict, violations], ["ok", []]);
  const seen = [...faults].filter(([, times]) => times > 0).length;
  assert.ok(seen > faults.size / 2, `${seen} of ${faults.size} took place`);
  assert.ok(intervals >= 2);
});

test("without faults nothing is counted, on any number of subnets, and each has a chain of its own", () => {
  const one = run([]);
  const three = run([], { subnetCount: 3 });
  assert.deepEqual([one.verdict, three.verdict], ["ok", "ok"]);
  assert.equal(one.faults.size, 0);
  assert.ok(three.roundsTotal >= 3 * three.rounds);
  assert.notEqual(one.traceHash, three.traceHash);
});

test("canisters count every update once, and every call to another subnet, whatever goes wrong", () => {
  const faults = [
    "crash",
    "delay",
    "loss",
    "partition",
    "torn-write",
    "membership",
    "equivocate",
    "wrong-shares",
  ];
  for (const [seed, names] of [
    [1, []],
    [2, faults],
    [3, ["disk-loss", "lying-sync", "invalid-blocks", "delay"]],
    [4, ["broken-state", "slow-node"]],
  ] as const) {
    const report = run(names, { seed, subnetCount: 2, rounds: 40, state: "canisters" });
    assert.deepEqual([report.verdict, report.violations], ["ok", []], `seed ${seed}`);
  }
});

test("members that run twice do no harm, whatever else goes wrong, and subnets of canisters go on beside them", () => {
  let times = 0;
  for (const seed of [1, 2, 3, 4]) {
    const faults = ["twins", "crash", "loss", "reorder", "membership", "torn-write"];
    const report = run(faults, { seed, rounds: 40, nodesPerSubnet: seed % 2 === 0 ? 7 : 4 });
    assert.deepEqual([report.verdict, report.violations], ["ok", []], `seed ${seed}`);
    assert.equal(report.faultyNodes, seed % 2 === 0 ? 2 : 1);
    times += report.faults.get("twins") ?? 0;
  }
  assert.ok(times > 0);
  const { verdict, violations } = run(["twins"], { rounds: 20, subnetCount: 2, state: "canisters" });
  assert.deepEqual([verdict, violations], ["ok", []]);
});

test("one seed gives one trace, another seed another", () => {
  const faults = ["crash", "delay", "equivocate"];
  const first = run(faults, { rounds: 15 });
  assert.deepEqual(run(faults, { rounds: 15 }), first);
  assert.notEqual(run(faults, { rounds: 15, seed: 2 }).traceHash, first.traceHash);
});

test("names say what fits how many members", () => {
  assert.equal(unfit(["crash", "partition"], 1), null);
  assert.match(unfit(["crash", "equivocate"], 3) ?? "", /equivocate takes 4 nodes/);
  assert.match(unfit(["broken-state", "equivocate"], 4) ?? "", /takes 7 nodes/);
  assert.equal(unfit([...FAULT_NAMES], 7), null);
  assert.deepEqual(allFaults(7), FAULT_NAMES);
  for (let seed = 0; seed < 50; seed++)
    assert.equal(unfit(drawnFaults(FAULT_NAMES, 4, seed), 4), null, `seed ${seed}`);
});
