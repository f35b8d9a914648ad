/**
 * What members that run twice are for: votes of one too few are enough, planted, in a subnet of seven. Any two sets of voters have a member in common still, so that
 * cuts alone show nothing: it takes faulty members that vote on both sides of a cut at once, and do so in time.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { simulatingPlanted } from "../subnet/planted/load.testkit.ts";
import { PLANTS } from "../subnet/planted/plants.testkit.ts";
import { allFaults } from "./fault-list.ts";

const SEEDS = [1, 2, 3, 4, 5, 6];

test("two final blocks of a height are found by members that run twice, and hardly by anything else", async () => {
  const { simulate } = await simulatingPlanted(
    PLANTS.findIndex(({ what }) => what === "votes of one too few"),
  );
  /** Seeds that show it. */
  const found = (faults: readonly string[]): readonly number[] =>
    SEEDS.filter((seed) => {
      const options = { seed, nodesPerSubnet: 7, subnetCount: 1, rounds: 12, state: "hashes" } as const;
      const { violations } = simulate({ ...options, faults });
      return violations.some((text) => text.includes("finalized different blocks"));
    });
  const byTwins = found(["twins"]);
  const byOthers = found(allFaults(7).filter((name) => name !== "twins"));
  assert.ok(byTwins.length >= 2, `seeds ${byTwins}`);
  assert.ok(byTwins.length > byOthers.length, `seeds ${byTwins}, and ${byOthers} by all others`);
});
