/** What was drawn can be told: the run stays the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { STORMY } from "./faults.ts";
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
