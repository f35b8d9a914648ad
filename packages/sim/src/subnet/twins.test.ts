/** Whose copies there are, and what counts as a contradiction of a node and its twin. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MemberEffect } from "@orrery/consensus/member";
import { CALM } from "./faults.ts";
import { worldFor } from "./run.ts";
import { Twins } from "./twins.ts";

const hash = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

const vote = (height: number, of: number, signer = 0): readonly MemberEffect[] => [
  {
    kind: "publish",
    artifact: { kind: "finalization_share", height, hash: hash(of), signer, signature: new Uint8Array(1) },
  } as MemberEffect,
];

test("twins are numbered after all others, and have the places of those whose keys they have", () => {
  const twins = new Twins(6, 2);
  assert.deepEqual(twins.nodes, [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(
    twins.nodes.map((node) => twins.identityOf(node)),
    [0, 1, 2, 3, 4, 5, 0, 1],
  );
  assert.deepEqual([twins.copiesOf(1), twins.copiesOf(2)], [[1, 7], [2]]);
});

test("two words of one identity that exclude each other are counted once, and no others", () => {
  const twins = new Twins(4, 1);
  assert.equal(twins.contradictions(0, vote(5, 1)), 0);
  assert.equal(twins.contradictions(4, vote(5, 1)), 0, "the same");
  assert.equal(twins.contradictions(4, vote(6, 1)), 0, "another height");
  assert.equal(twins.contradictions(4, vote(5, 2)), 1);
  assert.equal(twins.contradictions(4, vote(5, 3)), 0, "known");
  assert.equal(twins.contradictions(1, vote(5, 9, 1)), 0, "one that runs once");
});

test("neither copy counts as honest, both hear what the identity is told, and a shape of a round ends", () => {
  const world = worldFor({
    seed: 4,
    nodes: 4,
    spares: null,
    seconds: 0,
    messagesPerSecond: 0,
    catchUpInterval: 20,
    faults: { ...CALM, twins: 1 },
    script: [{ drawn: 0, strikes: [{ kind: "part_round", height: 4, side: [0, 1], forNs: 4_000_000_000n }] }],
  });
  assert.deepEqual(
    world.nodes.map(({ index }) => world.isHonest(index)),
    [false, true, true, true, false],
  );
  const run = (seconds: bigint): void => world.run(world.now + seconds * 1_000_000_000n);
  run(4n);
  // Two of five hear each other: three identities, and no quorum, are on the other side, where the twin of the first is a fourth.
  const heights = (): readonly number[] => world.nodes.map(({ height }) => height);
  assert.equal(heights()[1], 3, "its side has no quorum");
  assert.ok((heights()[2] ?? 0) >= 3);
  run(8n);
  assert.ok(
    heights().every((height) => height > 6),
    `${heights()}`,
  );
  assert.deepEqual(world.checkers.violations, []);
});
