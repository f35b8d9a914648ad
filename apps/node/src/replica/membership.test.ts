/** What a replica makes of intervals and of the registry: who counts at a height, when its node is a member, and when it has left. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block, NodeId } from "@orrery/base";
import { encodeSummary } from "@orrery/consensus/member";
import { approved, idOf, joining, leaving, registryOf } from "../registry/registry.testkit.ts";
import { Membership } from "./membership.ts";

/** The registry has the fourth process join and the first one leave. */
function grown(): ReturnType<typeof registryOf> {
  const registry = registryOf(4);
  const changed = registry.propose([joining(4), leaving(0, 0), leaving(0, 1)]);
  assert.ok(registry.append(approved(changed, [0, 1, 2])).ok);
  return registry;
}

function membershipOf(operator: number, registry = grown()) {
  const said: string[] = [];
  const intervals = new Map<number, readonly NodeId[]>();
  const membership = new Membership({
    registry: registry.of(0),
    keyRuns: { heard: ({ height }) => assert.equal(height, 10), unfinished: [] },
    nodeId: idOf(operator, 0),
    membersAt: (height) => intervals.get(Math.floor(height / 10)) ?? null,
    tip: () => 9,
    onInterval: (oldest) => said.push(`from ${oldest}`),
    onLeft: () => said.push("left"),
  });
  void membership.joined.then(() => said.push("joined"));
  return { membership, intervals, said, registry };
}

const ids = (operators: readonly number[]): readonly NodeId[] => operators.map((each) => idOf(each, 0));
/** Of a block that knows the members of a version, which are dealt keys then. */
function summary(
  version: number,
  current: readonly number[],
  next: readonly number[] | null,
  dealt: number = version,
): Pick<Block, "height" | "payload" | "context"> {
  const epoch = (operators: readonly number[]) => ({
    registryVersion: version,
    members: ids(operators),
    transcripts: { low: Uint8Array.of(1), high: Uint8Array.of(2) },
  });
  const encoded = encodeSummary({
    length: 10,
    nextLength: 10,
    halts: false,
    current: epoch(current),
    next: next === null ? null : epoch(next),
  });
  return {
    height: 10,
    payload: { ingress: [], summary: encoded },
    context: { registryVersion: dealt, certifiedHeight: 0, time: 1n },
  };
}

test("those of the block's interval count, by their places; as long as nobody knows, those before", () => {
  const { membership, intervals } = membershipOf(1);
  assert.deepEqual(membership.places(5), [0, 1, 2, 3]);
  intervals.set(0, ids([0, 1, 2, 3])).set(1, ids([1, 2, 3, 4]));
  const first = membership.places(5);
  assert.equal(membership.places(6), first, "the same list as long as they are the same");
  assert.deepEqual(membership.places(null), [1, 2, 3, 4]);
  assert.deepEqual(membership.places(25), [1, 2, 3, 4]);
  intervals.set(3, ids([1, 2, 3, 5]));
  assert.deepEqual(membership.places(35), [1, 2, 3, 4], "one of them is in no record that is here");
});

test("a node is a member from its first interval on, and has left when nothing lists it any more", async () => {
  const come = membershipOf(4);
  come.membership.began(summary(1, [0, 1, 2, 3], null));
  await Promise.resolve();
  assert.deepEqual(come.said, ["from 1"]);
  come.membership.began(summary(2, [1, 2, 3, 4], null));
  await Promise.resolve();
  // Who left is known for one interval more, to hear that it has.
  assert.deepEqual(come.said, ["from 1", "from 1", "joined"]);
  come.membership.began(summary(2, [1, 2, 3, 4], null));
  assert.equal(come.said.at(-1), "from 2");

  const gone = membershipOf(0);
  gone.membership.began(summary(1, [0, 1, 2, 3], [1, 2, 3, 4]));
  gone.membership.began(summary(2, [1, 2, 3, 4], [0, 1, 2, 3]));
  await Promise.resolve();
  assert.ok(!gone.said.includes("left"), "the next interval may have it again");
  gone.membership.began(summary(2, [1, 2, 3, 4], null, 1));
  gone.membership.began(summary(2, [1, 2, 3, 4], null, 3));
  await Promise.resolve();
  assert.ok(!gone.said.includes("left"), "it may be dealt keys, or nobody can know yet");
  gone.membership.began(summary(2, [1, 2, 3, 4], null));
  assert.deepEqual(gone.said.at(-1), "left");
});

test("what needs a version waits for it, and the newest alone goes on", () => {
  const { membership, registry } = membershipOf(1);
  const gone: number[] = [];
  membership.whenKnown(2, () => gone.push(2));
  membership.whenKnown(3, () => gone.push(30));
  membership.whenKnown(3, () => gone.push(3));
  membership.registryGrew();
  assert.deepEqual(gone, [2]);
  const next = registry.propose([{ kind: "halt", subnet: 1, halts: true }]);
  assert.ok(registry.append(approved(next, [1, 2, 3, 4])).ok);
  membership.registryGrew();
  membership.registryGrew();
  assert.deepEqual(gone, [2, 3]);
});
