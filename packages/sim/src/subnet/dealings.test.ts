/** Dealings of others at members that deal: over once their interval is, and judged when a host comes to it, each signature once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex, utf8DecodeLossy } from "@orrery/base";
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

test("what the block that closes an interval takes, and the keys of the next, are asked for ahead", () => {
  /** Heights that were final when each was asked for first. */
  const combined = new Map<string, number>();
  const opened = new Map<string, number>();
  let finalHeight = (): number => 0;
  const noted = (first: Map<string, number>, name: string): void => {
    if (!first.has(name)) first.set(name, finalHeight());
  };
  const noting = (ideal: Dkg): Dkg => ({
    ...ideal,
    aggregate: (config, dealings) => {
      noted(combined, `${config.start} ${config.keys}`);
      return ideal.aggregate(config, dealings);
    },
    load: (epoch) => {
      noted(opened, toHex(epoch.transcripts.low));
      return ideal.load(epoch);
    },
  });
  const members = new Members({ intervals: (self, ideal) => (self === 0 ? noting(ideal) : ideal) });
  finalHeight = (): number => members.member(0).pool.finalizedHeight;
  const length = members.member(0).intervalOf(1)?.length ?? 0;
  members.runTo(3 * length + 1);
  for (const start of [0, length, 2 * length])
    for (const keys of ["low", "high"]) {
      const at = combined.get(`${start} ${keys}`) ?? Number.POSITIVE_INFINITY;
      assert.ok(at < start + length - 1, `${keys} of ${start} at ${at}`);
    }
  // Of the genesis, and of the intervals that were dealt: each when the summary before its own interval is final.
  assert.deepEqual([...opened.values()], [0, length, 2 * length, 3 * length]);
});
