/** Dealings of others at members that deal: over once their interval is, and judged when a host comes to it, each signature once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8DecodeLossy } from "@orrery/base";
import { type Artifact, type Dkg, heightOf, type MemberEffect } from "@orrery/consensus/member";
import { Members } from "./members.testkit.ts";

test("dealings of intervals that are forgotten do not wait", () => {
  const members = new Members({ intervals: (_, ideal) => ideal });
  members.runTo(95);
  assert.equal(members.member(0).place(5), null);
  const dealings = members.said.filter(({ from, artifact }) => from !== 0 && artifact.kind === "dealing");
  assert.ok(dealings.some(({ artifact }) => heightOf(artifact) === 1));
  for (const { from, artifact } of dealings) members.hear(0, from, artifact);
  assert.equal(members.member(0).sizes.waiting, 0);
});

test("a dealing that the host has not judged yet is judged when it has, and its signature is verified once", () => {
  let isSlow = true;
  let verified = 0;
  const slow = (ideal: Dkg): Dkg => ({
    ...ideal,
    verifyDealing: (...args) => (isSlow ? "later" : ideal.verifyDealing(...args)),
    load: (epoch) => {
      const crypto = ideal.load(epoch);
      if (crypto === "later") return crypto;
      return {
        ...crypto,
        verify: (signer, message, signature) => {
          if (utf8DecodeLossy(message).includes("dealing")) verified++;
          return crypto.verify(signer, message, signature);
        },
      };
    },
  });
  const members = new Members({ intervals: (self, ideal) => (self === 0 ? slow(ideal) : ideal) });
  members.runTo(8);
  const member = members.member(0);
  assert.equal(member.delivered, 8);
  assert.equal(member.pool.peek(1)?.dealings.size, 2);
  isSlow = false;
  members.tell(0, { kind: "time", now: members.now });
  assert.equal(member.pool.peek(1)?.dealings.size, 8);
  // Two of each other member: as they came, and in blocks.
  assert.ok(verified <= 2 * 6, `${verified} signatures are verified`);
});

test("a member that starts again says who made what it delivers, before its keys are open", () => {
  let isOpening = false;
  const opening = (ideal: Dkg): Dkg => ({
    ...ideal,
    load: (epoch) => (isOpening ? "later" : ideal.load(epoch)),
  });
  const members = new Members({ intervals: (self, ideal) => (self === 0 ? opening(ideal) : ideal) });
  members.runTo(8);
  const makersOf = (effects: readonly MemberEffect[]): readonly (readonly [number, string])[] =>
    effects.flatMap((effect) =>
      effect.kind === "deliver" ? [[effect.block.height, `${effect.maker}`] as const] : [],
    );
  const before = makersOf(members.effects[0] ?? []);
  assert.ok(before.every(([, maker]) => maker !== "undefined"));
  isOpening = true;
  const again = members.make(0, { artifacts: members.disks[0] as Artifact[], stateHeight: 8 });
  const after = makersOf(again.step({ kind: "time", now: members.now }));
  assert.ok(after.length > 0);
  assert.deepEqual(after, before.slice(0, after.length));
});
