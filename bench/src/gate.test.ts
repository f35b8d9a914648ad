/** Which figures end a benchmark with 1. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Gate } from "./lib/gate.ts";

function gateOf(missed: Record<string, number>): { readonly gate: Gate; readonly said: string[] } {
  const said: string[] = [];
  return { gate: new Gate({ missed, report: (line) => said.push(line) }), said };
}

test("targets that are met pass, and those that are missed fail", () => {
  const { gate, said } = gateOf({});
  assert.equal(gate.atMost("ratio", 1.15, 1.15), "met");
  assert.equal(gate.atLeast("rate", 20_000, 20_000), "met");
  assert.equal(gate.exitCode(), 0);
  assert.equal(gate.atMost("ratio", 1.16, 1.15), "MISSED");
  assert.equal(gate.exitCode(), 1);
  assert.deepEqual(said, ["ratio: 1.16 is more than 1.15"]);
});

test("what is published as missed fails only where it is worse than that", () => {
  const { gate, said } = gateOf({ ratio: 1.4, rate: 100 });
  assert.equal(gate.atMost("ratio", 1.46, 1.15), "missed, as published");
  assert.equal(gate.atLeast("rate", 96, 200), "missed, as published");
  assert.equal(gate.exitCode(), 0);
  assert.equal(gate.atMost("ratio", 1.48, 1.15), "MISSED");
  assert.equal(gate.exitCode(), 1);
  assert.equal(gate.atLeast("rate", 95, 200), "MISSED");
  assert.deepEqual(said, [
    "ratio: 1.48 is more than 1.15, and worse than the 1.4 that is published",
    "rate: 95 is less than 200, and worse than the 100 that is published",
  ]);
});

test("the list is kept: what is met now is said, and what nothing measures fails", () => {
  const { gate, said } = gateOf({ ratio: 1.4, other: 2 });
  assert.equal(gate.atMost("ratio", 1.1, 1.15), "met");
  assert.equal(gate.exitCode({ everythingRan: false }), 0);
  assert.equal(gate.exitCode(), 1);
  assert.deepEqual(said, [
    "ratio: met now; published as missed with 1.4",
    "targets in the list of missed ones that nothing measures: other",
  ]);
});
