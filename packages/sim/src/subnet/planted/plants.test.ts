/** Plants fit the rules as they are now: each replaces what stands in its file exactly once, by what is a program still. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { test } from "node:test";
import { AssertionError } from "@orrery/base";
import { goesOnFromPackage } from "./going-on.testkit.ts";
import { PLANTS, plantIn } from "./plants.testkit.ts";
import { severalAtOnce } from "./several.testkit.ts";
import { battery } from "./try.testkit.ts";

const MEMBER = new URL("../../../../consensus/src/member/", import.meta.url);

test("every rule stands in its file once, and what is planted there is TypeScript that can be stripped", () => {
  for (const plant of PLANTS) {
    const source = readFileSync(new URL(plant.file, MEMBER), "utf8");
    assert.doesNotThrow(() => stripTypeScriptTypes(plantIn(source, plant)), plant.what);
    assert.notEqual(plant.planted, plant.rule, plant.what);
  }
  assert.equal(new Set(PLANTS.map(({ what }) => what)).size, PLANTS.length);
});

test("a rule that is not there, or twice, is an error", () => {
  const plant = { what: "", file: "", rule: "rule", planted: "" };
  assert.throws(() => plantIn("", plant), /the rule is there 0 times, expected once: rule/);
  assert.throws(() => plantIn("rule, rule", plant), /the rule is there 2 times/);
});

test("what is scripted comes to pass where nothing is planted", () => {
  assert.notEqual(goesOnFromPackage().height, null);
  assert.ok(severalAtOnce().notarized > 1);
});

test("what ends a run is noticed, unless the program is broken", () => {
  const throwing = (error: Error): readonly (() => never)[] => [
    () => {
      throw error;
    },
  ];
  const failed = new AssertionError("an invariant does not hold");
  assert.deepEqual(battery(throwing(failed)), { caught: failed.message, rounds: 0 });
  for (const Broken of [ReferenceError, TypeError, SyntaxError])
    assert.throws(() => battery(throwing(new Broken("nothing is called so"))), Broken);
});
