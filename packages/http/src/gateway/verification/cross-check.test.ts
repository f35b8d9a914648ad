/** Our verifier against the published one, on cases certified by keys of our own. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import type { Bls } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import fc from "fast-check";
import { type Case, currentCase, judge, legacyCase } from "./cross-check.testkit.ts";

let bls: Bls;
before(async () => {
  bls = await createMclBls();
});

/** Cases of each kind, and changes of each that are judged: the published verifier takes a while. The fuzz draws more. */
const RUNS = 24;
const CHANGES = 6;

/** Draws cases and judges them; a fair share of them is certified as it should be. */
function agree(cases: fc.Arbitrary<Case>): void {
  let trusted = 0;
  const property = fc.property(cases, fc.nat(), (drawn, n) => {
    if (judge(bls, drawn, n, CHANGES)) trusted++;
  });
  fc.assert(property, { numRuns: RUNS, seed: 1 });
  assert.ok(trusted >= RUNS / 4, `${trusted} of ${RUNS} are trusted`);
}

describe("the verdict is the published verifier's", () => {
  test("on version 2", () => agree(currentCase(bls)));

  test("on version 1", () => agree(legacyCase(bls)));
});
