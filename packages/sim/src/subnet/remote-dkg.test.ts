/**
 * A root subnet whose members create another one, with real keys: they deal to nodes that are none of theirs and take no part, and what
 * they agree on gives each of those its share of a key that nobody has.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { equalBytes, type NodeId, type SubnetId, utf8 } from "@orrery/base";
import { publicKeyIn } from "@orrery/consensus/keys";
import { type KeySet, type MemberCrypto, quorumOf, randomnessThreshold } from "@orrery/consensus/member";
import { createMclBls } from "@orrery/crypto/mcl";
import { CALM, type FaultPlan } from "./faults.ts";
import { loadRealKeys } from "./real-keys.ts";
import { worldFor } from "./run.ts";
import { nodeIdOf } from "./sim-registry.ts";

const SECOND = 1_000_000_000n;
const SUBNET = new Uint8Array(29).fill(9) as SubnetId;
const SEED = 5;
const keys = await loadRealKeys();
const bls = await createMclBls();

type World = ReturnType<typeof worldFor>;

/** Room for the five dealings of the members' own keys, and three of each of the new subnet's. */
function worldOf(faults: FaultPlan): World {
  return worldFor({
    seed: SEED,
    nodes: 4,
    spares: 0,
    seconds: 1,
    messagesPerSecond: 1,
    catchUpInterval: 16,
    faults,
    keys,
  });
}

/** Summaries by height, once so many have given a subnet its keys. */
function untilFounded(world: World, count: number): ReturnType<typeof foundedIn> {
  for (let seconds = 0; foundedIn(world).length < count; seconds++) {
    assert.ok(seconds < 120, "the members create no subnet");
    world.run(world.now + SECOND);
  }
  return foundedIn(world);
}

function foundedIn(world: World) {
  return [...world.summaries]
    .sort(([a], [b]) => a - b)
    .flatMap(([height, { founded, created }]) =>
      founded === undefined ? [] : [{ height, founded, created }],
    );
}

const idsOf = (nodes: readonly number[]): readonly NodeId[] => nodes.map(nodeIdOf);

/** Signs as many as it takes, and one fewer. */
function signsTogether(members: readonly MemberCrypto[], set: KeySet, needed: number): void {
  const message = utf8("state");
  const shares = members.map((member, at) => [at, member.signShare(set, message)] as const);
  for (const [at, share] of shares)
    assert.ok(members.every((each) => each.verifyShare(set, at, message, share)));
  const verifier = members[0] as MemberCrypto;
  assert.ok(verifier.verifyWhole(set, message, verifier.combine(set, message, shares.slice(-needed))));
  const tooFew = verifier.combine(set, message, shares.slice(0, needed - 1));
  assert.ok(!verifier.verifyWhole(set, message, tooFew));
}

for (const [name, faults] of [
  ["honest members", CALM],
  ["a member whose dealings are wrong", { ...CALM, byzantine: ["wrong_dealings"] as const }],
] as const) {
  test(`nodes of a new subnet have shares of one key, from ${name}`, () => {
    const world = worldOf(faults);
    const nodes = [10, 11, 12, 13];
    world.registry.change({ ...world.registry.newest, planned: [{ subnet: 2, members: nodes }] }, world.now);
    const [first] = untilFounded(world, 1);
    assert.ok(first !== undefined);
    const { subnet, epoch } = first.founded;
    assert.deepEqual([subnet, first.created], [2, [2]]);
    assert.deepEqual(epoch.members, idsOf(nodes));
    assert.equal(epoch.registryVersion, 2);

    const publicKey = publicKeyIn(epoch.transcripts.high);
    const source = keys(SEED, SUBNET);
    const members = idsOf(nodes).map((nodeId) => source.of(nodeId).load(epoch));
    assert.ok(members.every((member) => member !== "later"));
    signsTogether(members as readonly MemberCrypto[], "low", randomnessThreshold(nodes.length));
    signsTogether(members as readonly MemberCrypto[], "high", quorumOf(nodes.length));
    const message = utf8("state");
    const whole = (members as readonly MemberCrypto[]).map(
      (member, at) => [at, member.signShare("high", message)] as const,
    );
    const signature = (members[0] as MemberCrypto).combine("high", message, whole.slice(0, 3));
    assert.ok(bls.verify(publicKey, message, signature));

    // Whoever dealt verifies as everybody, and has no share.
    const dealer = source.of(nodeIdOf(0)).load(epoch);
    assert.ok(dealer !== "later" && dealer.verifyWhole("high", message, signature));
    assert.throws(() => dealer.signShare("high", message), /only members sign shares/);
    const own = [...world.summaries.values()].at(-1)?.current.transcripts.high;
    assert.ok(own !== undefined && !equalBytes(publicKeyIn(own), publicKey));
    assert.deepEqual(world.checkers.violations, []);
  });
}

test("two subnets are created one after the other, each once", () => {
  const world = worldOf(CALM);
  const planned = [
    { subnet: 2, members: [10, 11, 12, 13] },
    { subnet: 3, members: [14, 15, 16, 17, 18] },
  ];
  world.registry.change({ ...world.registry.newest, planned }, world.now);
  const founded = untilFounded(world, 2);
  assert.deepEqual(
    founded.map(({ created }) => created),
    [[2], [2, 3]],
  );
  assert.deepEqual(founded[1]?.founded.epoch.members, idsOf([14, 15, 16, 17, 18]));
  const last = founded.at(-1)?.height ?? 0;
  for (let seconds = 0; Math.max(...world.summaries.keys()) < last + 32; seconds++) {
    assert.ok(seconds < 60, "the members do not go on");
    world.run(world.now + SECOND);
  }
  const later = [...world.summaries].filter(([height]) => height > last);
  assert.ok(later.length > 0);
  for (const [, summary] of later) {
    assert.deepEqual(summary.created, [2, 3]);
    assert.equal(summary.founded, undefined);
    assert.notEqual(summary.next, null);
  }
  assert.deepEqual(world.checkers.violations, []);
});
