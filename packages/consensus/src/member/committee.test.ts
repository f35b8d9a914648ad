/** Sizes and draws of committees, for every size of subnet. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { committeeSize, faultsOf, makersOf, quorumOf, randomnessThreshold, rolesFrom } from "./committee.ts";

const MEMBERS_MAX = 200;
const sizes = Array.from({ length: MEMBERS_MAX }, (_, i) => i + 1);

test("any two quorums have an honest member in common, and the honest ones alone are one", () => {
  for (const members of sizes) {
    const [committee, faults, quorum] = [committeeSize(members), faultsOf(members), quorumOf(members)];
    assert.ok(committee <= members);
    assert.ok(2 * quorum - committee > faults, `${members}: safety`);
    assert.ok(committee - faults >= quorum, `${members}: liveness`);
    assert.ok(makersOf(members) > faults && randomnessThreshold(members) > faults);
  }
});

test("roles are drawn from the beacon: distinct members, the same for the same beacon, all in turn", () => {
  for (const members of [1, 4, 5, 13, 40]) {
    const leaders = new Map<number, number>();
    for (let height = 0; height < 2_000; height++) {
      const beacon = new Uint8Array(48);
      new DataView(beacon.buffer).setUint32(0, height);
      const { makers, committee, quorum } = rolesFrom(beacon, members);
      assert.deepEqual(rolesFrom(beacon, members), { makers, committee, quorum });
      assert.equal(new Set(makers).size, makersOf(members));
      assert.equal(committee.size, committeeSize(members));
      assert.ok([...makers, ...committee].every((index) => index >= 0 && index < members));
      leaders.set(makers[0] as number, (leaders.get(makers[0] as number) ?? 0) + 1);
    }
    for (let index = 0; index < members; index++) {
      const share = ((leaders.get(index) ?? 0) * members) / 2_000;
      assert.ok(share > 0.5 && share < 1.6, `${index} of ${members} leads ${share} times its share`);
    }
  }
});
