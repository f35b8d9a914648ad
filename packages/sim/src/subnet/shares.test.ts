/** What shares of signatures cost to verify, without liars and with one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MemberCrypto, MemberEffect, ThresholdShare } from "@orrery/consensus/member";
import { Members } from "./members.testkit.ts";
import { nodeOf } from "./sim-registry.ts";

const HEIGHTS = 24;
const LIAR = 3;

interface Count {
  /** Signers of the shares that each member verified. */
  readonly shares: number[][];
  readonly wholes: number[];
}

const newCount = (): Count => ({ shares: [[], [], [], []], wholes: [0, 0, 0, 0] });

/** Members that count what they verify; the liar's shares of signatures are wrong. */
class Counting extends Members {
  static count = newCount();
  isLying = false;

  override crypto(self: number): MemberCrypto {
    const crypto = super.crypto(self);
    const { count } = Counting;
    return {
      ...crypto,
      verifyShare(keys, signer, message, signature) {
        count.shares[self]?.push(signer);
        return crypto.verifyShare(keys, signer, message, signature);
      },
      verifyWhole(keys, message, signature) {
        count.wholes[self] = (count.wholes[self] ?? 0) + 1;
        return crypto.verifyWhole(keys, message, signature);
      },
    };
  }

  override follow(index: number, effects: readonly MemberEffect[]): void {
    const isWrong = this.isLying && index === LIAR;
    super.follow(index, isWrong ? effects.map(corrupted) : effects);
  }
}

function isThresholdShare(effect: MemberEffect): effect is { kind: "publish"; artifact: ThresholdShare } {
  return effect.kind === "publish" && effect.artifact.kind.endsWith("_share") && "content" in effect.artifact;
}

const corrupted = (effect: MemberEffect): MemberEffect =>
  isThresholdShare(effect)
    ? { kind: "publish", artifact: { ...effect.artifact, signature: new Uint8Array(32).fill(7) } }
    : effect;

function members(): Counting {
  Counting.count = newCount();
  return new Counting();
}

test("where nobody lies no share is verified, and each signature once", () => {
  members().runTo(HEIGHTS);
  const { shares, wholes } = Counting.count;
  assert.deepEqual(shares.flat(), []);
  // A beacon, a tape and a certification a height, one of them ahead; packages beside.
  for (const count of wholes) assert.ok(count <= 3 * (HEIGHTS + 2) + 3, `${count} are verified`);
});

test("a liar costs one look at the others' shares, is blamed, and believed no more", () => {
  const all = members();
  all.isLying = true;
  all.runTo(HEIGHTS);
  assert.ok(all.member(LIAR).delivered >= HEIGHTS - 1);
  for (const index of [0, 1, 2]) {
    const { pool } = all.member(index);
    for (const { shares } of pool.rounds)
      for (const kind of ["beacon", "tape", "certification", "catch_up"] as const)
        for (const signers of shares[kind].values()) assert.ok(!signers.has(LIAR));
    const blamed = (all.effects[index] ?? []).filter((effect) => effect.kind === "misbehaved");
    assert.ok(blamed.length > 0 && blamed.every(({ peer }) => peer === LIAR));
    const others = Counting.count.shares[index]?.filter((signer) => signer !== LIAR) ?? [];
    assert.ok(others.length <= 2, `member ${index} looks at ${others.length} good shares`);
  }
});

test("a share in another's name is verified at once, and leaves the good one its place", () => {
  const all = members();
  all.arrives = (to, { kind }) => to !== 0 || !kind.startsWith("certification");
  all.runTo(4);
  const good = all.said.find(
    ({ from, artifact }) => from === 1 && artifact.kind === "certification_share" && artifact.height === 4,
  )?.artifact as ThresholdShare;
  const effects = all.hear(0, LIAR, { ...good, signature: new Uint8Array(32).fill(7) });
  assert.ok(effects.some((effect) => effect.kind === "misbehaved" && effect.peer === LIAR));
  all.hear(0, 1, good);
  const kept = [...(all.member(0).pool.peek(4)?.shares.certification.values() ?? [])];
  assert.ok(kept.some((signers) => signers.has(1)));
});

test("who makes a share is known by its node, whatever number the host has for that", () => {
  // As where the second node of five left.
  const peerOfIndex = (index: number): number => (index === 0 ? 0 : index + 1);
  const all = new Members({
    intervals: (_self, dkg) => dkg,
    peerOf: (nodeId) => peerOfIndex(nodeOf(nodeId)),
  });
  all.arrives = (to, { kind }) => to !== 0 || !kind.startsWith("certification");
  all.runTo(4);
  const good = all.said.find(
    ({ from, artifact }) => from === 2 && artifact.kind === "certification_share" && artifact.height === 4,
  )?.artifact as ThresholdShare;
  const peer = peerOfIndex(1);
  assert.equal(peer, good.signer, "the number of the one is the index of the other");
  const effects = all.hear(0, peer, { ...good, signature: new Uint8Array(32).fill(7) });
  assert.deepEqual(
    effects.flatMap((effect) => (effect.kind === "misbehaved" ? [effect.peer] : [])),
    [peer],
  );
  all.hear(0, peerOfIndex(2), good);
  const kept = [...(all.member(0).pool.peek(4)?.shares.certification.values() ?? [])];
  assert.ok(kept.some((signers) => signers.has(2)));
});

test("a wrong share in a member's own name, of another that has its keys, is not said again", () => {
  const all = members();
  all.runTo(4);
  const own = all.said.find(
    ({ from, artifact }) => from === 0 && artifact.kind === "tape_share" && artifact.height === 4,
  )?.artifact as ThresholdShare;
  const effects = all.hear(0, 0, { ...own, height: 7, signature: new Uint8Array(32).fill(7) });
  assert.deepEqual(
    effects.map(({ kind }) => kind),
    ["misbehaved"],
  );
});
