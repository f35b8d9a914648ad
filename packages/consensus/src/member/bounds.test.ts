/** The bounds of the pool are the ones that the replica publishes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { poolBounds } from "./bounds.ts";

test("a subnet of 40 members with 499 heights between summaries has the published bounds", () => {
  assert.deepEqual(poolBounds(40, 500), {
    proposals: 1_592,
    notarizations: 1_591,
    finalizations: 681,
    beacons: 682,
    tapes: 682,
    notarizationShares: 39_200,
    finalizationShares: 2_800,
    beaconShares: 27_280,
    tapeShares: 27_280,
    catchUpShares: 120,
    equivocationProofs: 980,
  });
});
