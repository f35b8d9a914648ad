/** What was drawn can be told: the run stays the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CALM, STORMY } from "./faults.ts";
import { runSubnet, type SubnetRun } from "./run.ts";

test("a run that is told what was drawn in it is the same run, and another one without a part of it", () => {
  const run: SubnetRun = {
    seed: 7,
    nodes: 4,
    spares: 2,
    seconds: 6,
    messagesPerSecond: 2,
    catchUpInterval: 20,
    faults: { ...STORMY, crashPerSecond: 0.3 },
  };
  const { weather, traceHash } = runSubnet(run);
  assert.ok(weather.some(({ strikes }) => strikes.length > 0));
  assert.equal(runSubnet({ ...run, script: weather }).traceHash, traceHash);
  const calm = weather.map(({ drawn }) => ({ drawn, strikes: [] }));
  assert.notEqual(runSubnet({ ...run, script: calm }).traceHash, traceHash);
});

test("a write that was to be torn is not, once the faults are over: what clients asked for since is not lost with it", () => {
  const run: SubnetRun = {
    ...{ seed: 7, nodes: 4, spares: null, seconds: 3, messagesPerSecond: 40 },
    ...{ catchUpInterval: 20, faults: { ...CALM, tornWritePerSecond: 1 } },
  };
  const torn = Array.from(
    { length: run.nodes },
    (_, node) => ({ kind: "torn_write", node, part: 0 }) as const,
  );
  const { weather } = runSubnet(run);
  const script = weather.map(({ drawn }, second) => ({
    drawn,
    strikes: second === weather.length - 1 ? torn : [],
  }));
  assert.equal(runSubnet({ ...run, script }).verdict, "ok");
});
