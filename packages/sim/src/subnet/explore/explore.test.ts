/** Small explorations: nothing is wrong in any state, and a planted bug is found with the choices that lead to it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { rolesFrom } from "@orrery/consensus/member";
import { exploringPlanted } from "../planted/load.testkit.ts";
import { PLANTS } from "../planted/plants.testkit.ts";
import { BEACONS, LEADERS, MEMBERS } from "./chosen-keys.ts";
import type { Explored } from "./exploration.ts";
import { byzantine, type Depth, exploreFrom, FIRST_LEADERS, twins } from "./menus.ts";

const STORM: Depth = { slots: 1, stormsMax: 1 };

test("chosen beacons draw the makers that they are chosen for", () => {
  assert.equal(LEADERS.length, MEMBERS * (MEMBERS - 1));
  for (const [number, beacon] of BEACONS.entries())
    assert.deepEqual(rolesFrom(beacon, MEMBERS).makers, LEADERS[number]);
});

test("in no state that a faulty member and cuts lead to in a height is anything wrong", () => {
  for (const leaders of FIRST_LEADERS) {
    const { violation, states, transitions, heights } = exploreFrom(byzantine(STORM, leaders));
    assert.equal(violation, null);
    assert.ok(states > 20 && transitions > states, `${states} states, ${transitions} transitions`);
    assert.deepEqual(heights, { notarized: 1, finalized: 1 });
  }
});

test("the same choices lead to the same states", () => {
  const [leaders] = FIRST_LEADERS;
  assert.ok(leaders !== undefined);
  assert.deepEqual(exploreFrom(byzantine(STORM, leaders)), exploreFrom(byzantine(STORM, leaders)));
});

test("from states that differ in what is closed alone the same follows", () => {
  const [, , leaders] = FIRST_LEADERS;
  assert.ok(leaders !== undefined);
  const options = byzantine({ slots: 2, stormsMax: 2, leaders: FIRST_LEADERS }, leaders);
  const exact = exploreFrom({ ...options, isExact: true });
  const reduced = exploreFrom(options);
  assert.ok(reduced.transitions < exact.transitions);
  assert.deepEqual([...reduced.ends].sort(), [...exact.ends].sort());
});

test("nothing is wrong where a member runs twice", () => {
  for (const leaders of FIRST_LEADERS) {
    const { violation, statesBySlot, heights } = exploreFrom(twins({ slots: 1, stormsMax: 1 }, leaders));
    assert.equal(violation, null);
    assert.ok((statesBySlot[0] ?? 0) > 1);
    assert.equal(heights.finalized, 1);
  }
});

/** From every first height, until something is wrong. */
async function findPlanted(
  what: string,
  menu: "byzantine" | "twins",
  depth: Depth,
): Promise<Explored | null> {
  const planted = await exploringPlanted(PLANTS.findIndex((plant) => plant.what === what));
  for (const leaders of FIRST_LEADERS) {
    const explored = planted.exploreFrom(planted[menu](depth, leaders));
    if (explored.violation !== null) return explored;
  }
  return null;
}

test("a subnet that does not go on is found", async () => {
  const found = await findPlanted("everybody is a quorum", "byzantine", STORM);
  assert.match(found?.violation?.what ?? "", /nothing above 0 is final after two calm slots/);
});

test("a finalizer that forgets what it supported is found within a height, with the way there", async () => {
  const found = await findPlanted("finalizer forgets what it supported", "byzantine", STORM);
  assert.match(found?.violation?.what ?? "", /finalizes a block beside another one/);
  assert.ok(found?.violation?.path.every((step) => step.startsWith("slot 1, ")));
});
