/** A member that lost what it had signed: it says nothing before a package passes all of that, and takes part then. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Artifact, artifactId, heightOf } from "@orrery/consensus/member";
import { Members } from "./members.testkit.ts";

const BEFORE = 24;
const SECOND = 1_000_000_000n;
/** Packages of so much later are made since, whatever clocks say. */
const CLOCKS_APART_NS = 60n * SECOND;

/** Votes and blocks of its own: what may not be said in two ways. */
const isVote = (artifact: Artifact): boolean =>
  (artifact.kind === "proposal" ||
    artifact.kind === "notarization_share" ||
    artifact.kind === "finalization_share" ||
    artifact.kind === "catch_up_share") &&
  artifact.signer === 0;

/** Member 0 begins anew with nothing, hears all that others said, and takes states as it is told to. */
function loseDisk(members: Members, lostAt: bigint | null): void {
  const heard = [...members.said].filter(({ from }) => from !== 0);
  members.disks[0]?.splice(0);
  members.all[0] = members.make(0, {
    artifacts: [],
    stateHeight: 0,
    ...(lostAt === null ? {} : { lostAt }),
  });
  const follow = members.follow.bind(members);
  members.follow = (index, effects) => {
    follow(index, effects);
    if (index !== 0) return;
    for (const effect of effects)
      if (effect.kind === "sync") members.tell(0, { kind: "synced", height: effect.catchUp.height });
  };
  for (const { from, artifact } of heard) members.hear(0, from, artifact);
}

/** What it had said before, and hears from others, it may tell again. */
function votesOf0(members: Members, from = 0): readonly Artifact[] {
  const before = new Set(members.said.slice(0, from).map(({ artifact }) => artifactId(artifact)));
  return members.said
    .slice(from)
    .filter((said) => said.from === 0 && isVote(said.artifact) && !before.has(artifactId(said.artifact)))
    .map(({ artifact }) => artifact);
}

test("a member that lost its disk says nothing before a package that was made since, and then takes part", () => {
  const members = new Members();
  members.runTo(BEFORE);
  const highest = Math.max(...votesOf0(members).map(heightOf));
  assert.ok(highest >= BEFORE);
  const said = members.said.length;
  const lostAt = members.now;
  loseDisk(members, lostAt);
  assert.ok(members.member(0).isSilent);
  while (members.member(0).isSilent) {
    assert.deepEqual(votesOf0(members, said), []);
    members.runTo(members.member(1).delivered + 1);
    assert.ok(members.member(0).delivered >= members.member(1).delivered - 1);
  }
  const passed = members.member(0).pool.catchUpHeight;
  assert.ok(passed > highest && members.now > lostAt + CLOCKS_APART_NS);
  members.runTo(members.member(1).delivered + 5);
  const later = votesOf0(members, said);
  assert.ok(later.length > 0);
  assert.ok(later.every((artifact) => heightOf(artifact) > highest));
});

test("without the rule it would vote again where it had voted", () => {
  const members = new Members();
  members.runTo(BEFORE);
  const highest = Math.max(...votesOf0(members).map(heightOf));
  const said = members.said.length;
  members.arrives = (to, { kind }) => to !== 0 || kind !== "catch_up";
  loseDisk(members, null);
  members.runTo(members.member(1).delivered + 1);
  assert.ok(votesOf0(members, said).some((artifact) => heightOf(artifact) <= highest));
});

test("a restart while it is silent leaves it silent, and one afterwards does not make it so", () => {
  const members = new Members();
  members.runTo(BEFORE);
  const lostAt = members.now;
  const kept = (height: number) => ({
    artifacts: [members.find("catch_up", height)],
    stateHeight: height,
    lostAt,
  });
  assert.ok(members.make(0, kept(20)).isSilent);
  while (members.now <= lostAt + CLOCKS_APART_NS + 5n * SECOND)
    members.runTo(members.member(1).delivered + 10);
  const newest = members.member(1).pool.catchUpHeight;
  assert.ok(!members.make(0, kept(newest)).isSilent);
});
