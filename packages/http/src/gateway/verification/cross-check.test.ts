/** Our verifier against the published one, on cases certified by keys of our own. */
import { before, describe, test } from "node:test";
import type { Bls } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import fc from "fast-check";
import { currentCase, judge, legacyCase } from "./cross-check.testkit.ts";

let bls: Bls;
before(async () => {
  bls = await createMclBls();
});

/** Cases of each kind, and changes of each that are judged: the published verifier takes a while. The fuzz draws more. */
const RUNS = 24;
const CHANGES = 6;

describe("the verdict is the published verifier's", () => {
  test("on version 2", () => {
    const property = fc.property(currentCase(bls), fc.nat(), (drawn, n) => judge(bls, drawn, n, CHANGES));
    fc.assert(property, { numRuns: RUNS, seed: 1 });
  });

  test("on version 1", () => {
    const property = fc.property(legacyCase(bls), fc.nat(), (drawn, n) => judge(bls, drawn, n, CHANGES));
    fc.assert(property, { numRuns: RUNS, seed: 1 });
  });
});
