/** Runs that fail become short, stay what they are as text, and fail alike; those that failed once are run for ever. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { OrreryError } from "@orrery/base";
import { CALM } from "../subnet/faults.ts";
import { shrinkingPlanted } from "../subnet/planted/load.testkit.ts";
import { PLANTS } from "../subnet/planted/plants.testkit.ts";
import type { Strike } from "../subnet/strikes.ts";
import { decodeScenario, encodeScenario, type Scenario, scenarioOf } from "./scenario.ts";
import { failureOf, shrink, shrunk } from "./shrink.ts";
import { type SimulationOptions, type SimulationReport, simulate } from "./simulate.ts";

const SECOND = 1_000_000_000n;
const PINNED = new URL("pinned/", import.meta.url);

test("of a list what it takes is left, whatever is between", () => {
  const needed = new Set([3, 17, 18]);
  let runs = 0;
  const left = shrunk(
    Array.from({ length: 40 }, (_, item) => item),
    (items) => {
      runs++;
      return [...needed].every((item) => items.includes(item));
    },
  );
  assert.deepEqual(left, [3, 17, 18]);
  assert.ok(runs < 80, `${runs} runs`);
  assert.deepEqual(
    shrunk([1, 2], () => true),
    [],
  );
});

test("a run that is told what was drawn in it is the same run, from text too", () => {
  const faults = [
    "crash",
    "partition",
    "membership",
    "torn-write",
    "equivocate",
    "delay",
    "creation",
    "twins",
  ];
  const options = { nodesPerSubnet: 4, rounds: 15, state: "hashes", faults } as const;
  const drawn = simulate({ ...options, seed: 7, subnetCount: 2 });
  assert.ok(drawn.told.some(({ script }) => script.some(({ strikes }) => strikes.length > 0)));
  const scenario = scenarioOf({ ...options, seed: 7, subnetCount: 2 }, drawn);
  const again = simulate(decodeScenario(encodeScenario(scenario)));
  assert.deepEqual([again.traceHash, again.told], [drawn.traceHash, drawn.told]);
});

const crash = (node: number): Strike => ({ kind: "crash", node, awayNs: 9n * SECOND });

/** A run that fails where node 1 of the first subnet is down once and the subnet is cut afterwards. */
function pretended({ told, subnetCount, rounds, seed }: SimulationOptions): SimulationReport {
  const cut: Strike = { kind: "cut", side: [0, 1], isOneWay: false, forNs: SECOND };
  const script = [crash(0), crash(1), crash(2), cut, crash(3)].map((strike) => ({
    drawn: 1,
    strikes: [strike],
  }));
  const plan = { ...CALM, loss: 0.1, duplicate: 0.1, skewNs: 5n, byzantine: [["silent", "forge"]] } as const;
  const all = (told ?? Array.from({ length: subnetCount }, () => ({ plan, script }))).map((each) => ({
    plan: each.plan,
    script: each.script.slice(0, rounds),
  }));
  const strikes = all[0]?.script.flatMap((second) => second.strikes) ?? [];
  const down = strikes.findIndex((strike) => strike.kind === "crash" && strike.node === 1);
  const isUnsafe =
    down >= 0 && strikes.slice(down).some(({ kind }) => kind === "cut") && (all[0]?.plan.loss ?? 0) > 0;
  return {
    ...{ seed, rounds, roundsTotal: 0, traceHash: "", faults: new Map(), faultyNodes: 0, told: all },
    ...{ intervals: 0, syncs: 0, events: 0, seconds: 0, recoverySeconds: 1 },
    verdict: isUnsafe && seed > 0 ? "unsafe" : "ok",
    violations: isUnsafe && seed > 0 ? [`nodes ${strikes.length} and 2 differ at ${rounds}`] : [],
  };
}

test("a failing run becomes one with what it takes alone, and a run that is well becomes nothing", () => {
  const options = { nodesPerSubnet: 7, subnetCount: 3, rounds: 20, state: "canisters", faults: [] } as const;
  const made = shrink({ ...options, seed: 1 }, { runs: pretended });
  assert.equal(made?.failure, "nodes # and # differ at #");
  assert.deepEqual(
    [made.strikes, made.rounds],
    [
      { before: 15, after: 2 },
      { before: 20, after: 4 },
    ],
  );
  const { told, ...rest } = made.scenario;
  const { nodesPerSubnet, subnetCount, state } = rest;
  assert.deepEqual([nodesPerSubnet, subnetCount, state, told.length], [4, 1, "hashes", 1]);
  const [one] = told;
  assert.deepEqual(one?.plan, { ...CALM, loss: 0.1 });
  assert.deepEqual(
    one?.script.map(({ strikes }) => strikes),
    [
      [],
      [{ ...crash(1), awayNs: SECOND }],
      [],
      [{ kind: "cut", side: [0, 1], isOneWay: false, forNs: SECOND }],
    ],
  );
  assert.equal(shrink({ ...options, seed: 0 }, { runs: pretended }), null);
});

test("a shorter run has no more faulty members than may be", () => {
  const disk: Strike = { kind: "disk_loss", node: 2, awayNs: SECOND };
  const misbehaving = (fewest: number) => (options: SimulationOptions) => {
    const report = pretended({ ...options, seed: 0 });
    const [first] = options.told ?? report.told;
    const told = options.told ?? [
      {
        plan: { ...CALM, byzantine: ["silent", "forge"] as const },
        script: [{ drawn: 1, strikes: [crash(1), disk] }],
      },
    ];
    const isUnsafe = (first?.plan.byzantine.length ?? 0) >= fewest || options.told === undefined;
    return {
      ...report,
      told,
      verdict: isUnsafe ? "unsafe" : "ok",
      violations: isUnsafe ? ["two chains"] : [],
    } as const;
  };
  const options = {
    nodesPerSubnet: 7,
    subnetCount: 1,
    rounds: 4,
    state: "hashes",
    faults: [],
    seed: 1,
  } as const;
  const two = shrink(options, { runs: misbehaving(2) })?.scenario;
  assert.deepEqual([two?.nodesPerSubnet, two?.told[0]?.plan.byzantine.length], [7, 2]);
  const one = shrink(options, { runs: misbehaving(1) })?.scenario;
  assert.deepEqual([one?.nodesPerSubnet, one?.told[0]?.plan.byzantine.length], [4, 1]);
});

test("what is no scenario is said to be none", () => {
  const invalid = (text: string, what: RegExp): void =>
    assert.throws(
      () => decodeScenario(text),
      (error) =>
        error instanceof OrreryError && error.code === "scenario_invalid" && what.test(error.message),
    );
  invalid("{", /a scenario is JSON/);
  invalid("{}", /no scenario of format 1/);
  const text = readFileSync(new URL("forgotten-votes.json", PINNED), "utf8");
  for (const [one, other] of [
    ['"kind": "crash"', '"kind": "crush"'],
    ['"loss": 0', '"loss": "0"'],
    ['"orreryScenario": 1', '"orreryScenario": 2'],
    ['"subnetCount": 1', '"subnetCount": 2'],
    ['"subnetCount": 1', '"subnetCount": 0'],
    ['"nodesPerSubnet": 4', '"nodesPerSubnet": 0'],
    ['"nodesPerSubnet": 4', '"nodesPerSubnet": 100000'],
    ['"rounds": 6', '"rounds": 0'],
    ['"duplicate",', '"meteor",'],
    ['"drawn": ', '"drawn": -'],
    ['"drawn": ', '"drawn": 9999999'],
    ['"kind": "crash"', '"kind": "constructor"'],
    ['"side": [1, 5]', '"side": null'],
    ['"side": [1, 5]', '"side": ["1"]'],
    ['"node": 3', '"node": 1.5'],
    ['"awayNs": "10672653676n"', '"awayNs": "-5n"'],
    ['"byzantine": []', '"byzantine": null'],
    ['"byzantine": []', '"byzantine": [["honest"]]'],
    ['"partedNs": ["1000000000n", "6000000000n"]', '"partedNs": null'],
    ['"partedNs": ["1000000000n", "6000000000n"]', '"partedNs": ["6n", "1n"]'],
    ['"partedNs": ["1000000000n", "6000000000n"]', '"partedNs": [1, 2]'],
  ] as const) {
    assert.ok(text.includes(one), one);
    invalid(text.replace(one, other), /no scenario/);
  }
  const twinned = (twins: number): string => text.replace('"loss": 0', `"twins": ${twins}, "loss": 0`);
  assert.equal(decodeScenario(twinned(1)).told[0]?.plan.twins, 1);
  invalid(twinned(-1), /no scenario/);
  const planned = (part: string): string => text.replace('"loss": 0', `${part}, "loss": 0`);
  const ranges = ['"intervalBlocks": [11, 23]', '"stretchPerSecond": 0.1, "createPerSecond": 0.1'];
  for (const part of ranges) assert.ok(decodeScenario(planned(part)));
  for (const part of ['"intervalBlocks": [23, 11]', '"upgradePerSecond": "1"', '"createPerSecond": -1'])
    invalid(planned(part), /no scenario/);
  const struck = (strike: string): string => text.replace('"strikes": [', `"strikes": [${strike},`);
  assert.ok(decodeScenario(struck('{"kind": "create", "members": 4}')));
  for (const members of ["0", "4.5", "1000", "null"])
    invalid(struck(`{"kind": "create", "members": ${members}}`), /no scenario/);
});

/** What a bug made of each, where a plant shows it still. */
const FAILURES: ReadonlyMap<string, { readonly plant: string; readonly failure: string }> = new Map([
  [
    "forgotten-votes.json",
    {
      plant: "a restart forgets what was signed",
      failure: "node # finalizes a block beside another one at #",
    },
  ],
  // Two heights of other shapes, and the two members that run twice: without them it is well.
  [
    "votes-of-one-too-few.json",
    { plant: "votes of one too few", failure: "nodes # and # finalized different blocks at #" },
  ],
]);

for (const name of readdirSync(PINNED)) {
  const scenario: Scenario = decodeScenario(readFileSync(new URL(name, PINNED), "utf8"));
  test(`pinned, and well: ${name}`, () => assert.equal(failureOf(simulate(scenario)), null));
  const planted = FAILURES.get(name);
  if (planted === undefined) continue;
  test(`pinned, and found with the bug that it was shrunk of: ${name}`, async () => {
    const what = PLANTS.findIndex(({ what: plant }) => plant === planted.plant);
    const { shrink: shrinkPlanted } = await shrinkingPlanted(what);
    const made = shrinkPlanted(scenario);
    assert.equal(made?.failure, planted.failure);
    assert.ok(made.strikes.after <= made.strikes.before);
  });
}

test("a planted bug that a long run shows is shown by a short one", async () => {
  const what = PLANTS.findIndex((plant) => plant.what === "a restart forgets what was signed");
  const faults = ["crash", "restart", "delay", "loss", "clock-skew", "duplicate", "partition"];
  const options = { nodesPerSubnet: 4, subnetCount: 1, rounds: 20, state: "hashes", faults } as const;
  const made = (await shrinkingPlanted(what)).shrink({ ...options, seed: 15 });
  assert.ok(made !== null);
  assert.ok(made.strikes.after * 2 < made.strikes.before && made.rounds.after < made.rounds.before);
  assert.equal(failureOf(simulate(made.scenario)), null);
});
