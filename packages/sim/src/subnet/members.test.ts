/** Single rules of members: going on from packages, restarts, forged copies, old and far artifacts, divergence. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block } from "@orrery/base";
import { blockHash } from "@orrery/consensus";
import {
  type Artifact,
  artifactId,
  catchUpHash,
  heightOf,
  type Proposal,
  poolBounds,
  proposalContent,
  thresholdContent,
  voteContent,
} from "@orrery/consensus/member";
import { countOf, Members, publishedBy, SUBNET, stateOf } from "./members.testkit.ts";

/** Member 0 gets no tapes from height 5 on and no packages: it notarizes and finalizes, and delivers nothing. */
function withLaggard(until: number, alsoLost: (artifact: Artifact) => boolean = () => false): Members {
  const members = new Members();
  members.runTo(4);
  members.arrives = (to, artifact) => {
    if (to !== 0) return true;
    const isTape = artifact.kind === "tape" || artifact.kind === "tape_share";
    const isPackage = artifact.kind === "catch_up" || artifact.kind === "catch_up_share";
    return !(isPackage || (isTape && heightOf(artifact) >= 5) || alsoLost(artifact));
  };
  members.runTo(until);
  return members;
}

const isVote = ({ kind }: Artifact): boolean =>
  kind === "finalization" || kind === "finalization_share" || kind === "tape" || kind === "tape_share";

test("who goes on from a package keeps what it signed above it, and what it knows is whole", () => {
  // Nothing is final above 8, so that member 0 has open rounds when the package comes.
  const members = withLaggard(16, (artifact) => isVote(artifact) && heightOf(artifact) >= 14);
  const signedBy0 = (): readonly string[] =>
    [...members.member(0).pool.rounds].flatMap(({ height, shares }) =>
      [...shares.finalization].flatMap(([hash, signers]) => (signers.has(0) ? [`${height}/${hash}`] : [])),
    );
  const before = signedBy0().filter((name) => Number(name.split("/")[0]) > 10);
  assert.ok(before.length > 0);
  const effects = members.hear(0, 1, members.find("catch_up", 10));
  assert.equal(countOf(effects, "sync"), 1);
  assert.deepEqual(signedBy0(), before);
  for (const { height, notarized, proposals } of members.member(0).pool.rounds) {
    for (const key of notarized.keys()) assert.ok(proposals.has(key), `${height} has the block of its vote`);
  }
  members.arrives = () => true;
  for (const { from, artifact } of [...members.said]) if (from !== 0) members.hear(0, from, artifact);
  members.tell(0, { kind: "synced", height: 10 });
  members.runTo(25);
  assert.equal(members.member(0).delivered, members.member(1).delivered);
});

test("a restart while the state of a package is fetched asks for it again and delivers nothing before", () => {
  const members = withLaggard(16);
  members.hear(0, 1, members.find("catch_up", 10));
  const kept = { artifacts: members.disks[0] as Artifact[], stateHeight: 4 };
  const again = members.make(0, kept);
  const effects = [...again.step({ kind: "time", now: members.now })];
  for (const { from, artifact } of members.said)
    if (from === 1) effects.push(...again.step({ kind: "artifact", from, artifact }));
  assert.equal(countOf(effects, "sync"), 1);
  assert.equal(countOf(effects, "deliver"), 0);
  const [first] = again.step({ kind: "synced", height: 10 }).filter(({ kind }) => kind === "deliver");
  assert.ok(first?.kind === "deliver" && first.block.height === 11);
  // With the state on the disk it goes on by itself.
  const whole = members.make(0, { ...kept, stateHeight: 10 });
  assert.equal(countOf(whole.step({ kind: "time", now: members.now }), "sync"), 0);
});

test("after a restart a member publishes again what it had published", () => {
  const members = new Members();
  members.runTo(8);
  const effects = members
    .make(0, { artifacts: members.disks[0] as Artifact[], stateHeight: 8 })
    .step({ kind: "time", now: members.now });
  const ids = new Set(publishedBy(effects));
  assert.ok((members.disks[0] as Artifact[]).every((artifact) => ids.has(artifactId(artifact))));
});

test("a share of a package stays published until the package is there", () => {
  const members = new Members();
  members.arrives = (_, { kind }) => kind !== "catch_up_share" && kind !== "catch_up";
  members.runTo(15);
  for (const effects of members.effects) {
    const published = publishedBy(effects).filter((id) => id.startsWith("catch_up_share"));
    const retracted = effects.flatMap((effect) => (effect.kind === "retract" ? [effect.id] : []));
    assert.equal(published.length, 1);
    assert.ok(!retracted.includes(published[0] as string));
  }
});

test("a forged copy does not stand in the way of the good one", () => {
  const members = new Members();
  members.runTo(3);
  const member = members.member(0);
  const ahead = member.pool.beaconHeight + 2;
  const forged: Artifact = {
    kind: "beacon",
    height: ahead,
    content: new Uint8Array(0),
    signature: new Uint8Array(32),
  };
  members.hear(0, 3, forged);
  const kept: { readonly from: number; readonly artifact: Artifact }[] = [];
  members.arrives = (to, artifact) => {
    const isFirst = artifact.kind.startsWith("beacon") && heightOf(artifact) === ahead - 1;
    if (to === 0 && isFirst) kept.push({ from: 1, artifact });
    return !(to === 0 && isFirst);
  };
  members.runTo(ahead + 2);
  assert.ok(member.pool.beaconHeight < ahead - 1);
  members.arrives = () => true;
  for (const { from, artifact } of kept) members.hear(0, from, artifact);
  assert.equal(member.pool.beaconHeight, members.member(1).pool.beaconHeight);
});

test("what is over does not wait, whoever sends it", () => {
  const members = new Members();
  members.runTo(25);
  const old = members.said.filter(({ from, artifact }) => from === 1 && heightOf(artifact) < 20);
  members.runTo(95);
  for (const { from, artifact } of old) assert.deepEqual(members.hear(0, from, artifact), []);
  assert.equal(members.member(0).sizes.waiting, 0);
});

test("what is of use to nobody yet is turned away, and asked for again when it is", () => {
  const members = new Members();
  members.arrives = (to) => to !== 0;
  members.runTo(45);
  const member = members.member(0);
  // The next package's height, as many notarized ones as may follow it, a block and its beacon.
  const top = 10 + 130 + 2;
  const own = members.crypto(3);
  const share = (height: number): Artifact => ({
    kind: "tape_share",
    height,
    content: new Uint8Array(0),
    signer: 3,
    signature: own.signShare("low", thresholdContent("tape", SUBNET, height, new Uint8Array(0))),
  });
  members.hear(0, 3, share(top + 1));
  assert.equal(member.pool.peek(top + 1), undefined);
  const effects = members.hear(0, 1, members.find("catch_up", 40));
  assert.deepEqual(
    effects.filter(({ kind }) => kind === "again"),
    [{ kind: "again", from: 3 }],
  );
  members.hear(0, 3, share(top + 1));
  assert.equal(member.pool.peek(top + 1)?.shares.tape.size, 1);
});

/** A block of a member at the height above the notarized one, each number another one. */
function blockOf(members: Members, maker: number, number: number): Proposal {
  const { pool } = members.member(0);
  const height = pool.notarizedHeight + 1;
  const [best] = pool.notarizedTips(height - 1);
  assert.ok(best !== undefined);
  const { tip } = best;
  const block: Block = {
    version: 1,
    parent: tip.hash,
    height,
    rank: pool.peek(height)?.roles?.makers.indexOf(maker) ?? 0,
    context: { registryVersion: 1, certifiedHeight: tip.certifiedHeight, time: tip.time + BigInt(number) },
    payload: { ingress: [] },
  };
  const hash = blockHash(block);
  const signature = members.crypto(maker).sign(proposalContent(SUBNET, height, hash));
  return { kind: "proposal", block, hash, signer: maker, signature };
}

test("a misbehaving member makes others keep no more than the bounds of the pool", () => {
  const members = new Members();
  members.runTo(6);
  const member = members.member(0);
  const height = member.pool.notarizedHeight + 1;
  const maker = member.pool.peek(height)?.roles?.makers.find((index) => index !== 0) as number;
  const own = members.crypto(maker);
  const effects = [];
  for (let i = 1; i <= 300; i++) {
    effects.push(...members.hear(0, maker, blockOf(members, maker, i)));
    const [hash, far] = [new Uint8Array(32).fill(i % 251), 1_000_000 + i];
    const signature = own.sign(voteContent("notarization", SUBNET, height, hash));
    effects.push(
      ...members.hear(0, maker, { kind: "notarization_share", height, hash, signer: maker, signature }),
    );
    const hashes = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)] as const;
    const signatures = hashes.map((each) => own.sign(proposalContent(SUBNET, far, each)));
    effects.push(
      ...members.hear(0, maker, {
        kind: "equivocation",
        height: far,
        signer: maker,
        hashes,
        signatures: signatures as [Uint8Array, Uint8Array],
      }),
    );
    const message = thresholdContent("certification", SUBNET, height, hash);
    const certifies = own.signShare("high", message);
    effects.push(
      ...members.hear(0, maker, {
        kind: "certification_share",
        height,
        content: hash,
        signer: maker,
        signature: certifies,
      }),
    );
  }
  const round = member.pool.peek(height);
  const blocks = [...(round?.proposals.values() ?? [])].filter(({ signer }) => signer === maker);
  assert.equal(blocks.length, 1);
  assert.equal(round?.shares.notarization.size, 2);
  assert.equal(round?.shares.certification.size, 1);
  assert.equal(round?.equivocations.size, 1);
  const { waiting } = member.sizes;
  assert.ok(waiting <= 4, `${waiting} wait`);
  const published = publishedBy(effects).map((id) => id.split("/")[0]);
  assert.equal(published.filter((kind) => kind === "equivocation").length, 1);
  assert.ok(published.filter((kind) => kind === "proposal").length <= 2);
  assert.ok(countOf(effects, "misbehaved") > 800);
  const bounds = poolBounds(4, 10);
  assert.ok(member.sizes.notarizationShares <= bounds.notarizationShares);
});

test("a block of before a restart and one of after it are a proof against their maker", () => {
  const members = new Members();
  members.runTo(6);
  const height = members.member(0).pool.notarizedHeight + 1;
  const maker = members
    .member(0)
    .pool.peek(height)
    ?.roles?.makers.find((index) => index !== 0) as number;
  const first = blockOf(members, maker, 1);
  const second = blockOf(members, maker, 2);
  members.hear(0, maker, first);
  const again = members.make(0, { artifacts: members.disks[0] as Artifact[], stateHeight: 6 });
  again.step({ kind: "time", now: members.now });
  const effects = again.step({ kind: "artifact", from: maker, artifact: second });
  assert.deepEqual(publishedBy(effects), [`equivocation/${height}/${maker}`]);
});

test("a package that is far ahead of certification leaves no block that nobody can judge", () => {
  const members = new Members();
  const isLost = ({ kind }: Artifact): boolean => kind === "certification_share" || kind === "certification";
  members.arrives = (to, artifact) =>
    !isLost(artifact) && !(to === 0 && artifact.kind === "proposal" && heightOf(artifact) > 64);
  // Rounds are slow while certification is behind.
  const long = 1_000_000n * 1_000_000n;
  members.runTo(64, long);
  const slow = members.member(0);
  const proposal = slow.pool.finalizedAt(60) as Proposal;
  const beacon = slow.pool.beaconAt(60) as Uint8Array;
  const content = { height: 60, block: proposal.block, beacon, stateHash: stateOf(60) };
  const message = thresholdContent("catch_up", SUBNET, 60, catchUpHash(content));
  const shares = [1, 2, 3].map((index) => [index, members.crypto(index).signShare("high", message)] as const);
  const signature = members.crypto(1).combine("high", message, shares);
  members.hear(0, 1, { kind: "catch_up", ...content, signature });
  assert.equal(slow.pool.peek(9), undefined);
  assert.equal(slow.delivered, 64);
  // Its parent's certified height is below what is kept.
  const [maker, second] = slow.pool.peek(65)?.roles?.makers ?? [];
  assert.ok(maker !== undefined && second === 0);
  assert.deepEqual(members.hear(0, maker, blockOf(members, maker, 2)), []);
  // It makes no such block when it is its turn either.
  const own = slow.step({ kind: "time", now: members.now + long });
  assert.deepEqual(publishedBy(own), []);
});

test("a slow member notices that its state is another one than a quorum's, and takes theirs", () => {
  for (const wrong of ["executed", "checkpointed"] as const) {
    const members = new Members();
    members.runTo(12);
    const slow = members.member(0);
    // It executes nothing until the others are past it.
    const late: number[] = [];
    const follow = members.follow.bind(members);
    members.follow = (index, effects) => {
      if (index !== 0) follow(index, effects);
      else {
        for (const effect of effects) if (effect.kind === "deliver") late.push(effect.block.height);
        follow(
          index,
          effects.filter(({ kind }) => kind !== "deliver"),
        );
      }
    };
    members.runTo(24);
    assert.equal(slow.delivered, members.member(1).delivered);
    assert.ok(members.find("catch_up", 20) && late.includes(20));
    const effects = late.flatMap((height) => {
      const right = stateOf(height);
      const rootHash = wrong === "executed" && height >= 18 ? new Uint8Array(32).fill(99) : right;
      const stateHash = wrong === "checkpointed" ? new Uint8Array(32).fill(99) : right;
      const told = [...slow.step({ kind: "executed", height, rootHash })];
      if (height % 10 === 0) told.push(...slow.step({ kind: "checkpointed", height, stateHash }));
      return told;
    });
    const [diverged] = effects.filter(({ kind }) => kind === "diverged");
    assert.ok(diverged?.kind === "diverged");
    assert.equal(diverged.height, wrong === "executed" ? 18 : 20);
    const [sync] = effects.filter(({ kind }) => kind === "sync");
    assert.ok(sync?.kind === "sync" && sync.catchUp.height === 20);
    const after = slow.step({ kind: "synced", height: 20 });
    assert.ok(after.some((effect) => effect.kind === "deliver" && effect.block.height === 21));
  }
});

test("a clock that is set back stands still, and a block that a quorum voted for is taken at once", () => {
  const members = new Members();
  members.runTo(25);
  const late = members.make(0, { artifacts: [members.find("catch_up", 20)], stateHeight: 20 });
  const { time } = members.find("catch_up", 20).block.context;
  late.step({ kind: "time", now: time - 1n });
  assert.equal(late.pool.peek(21)?.startedAt, time);
  // Its clock has not come to the block's time; others' have.
  const fresh = members.make(0);
  fresh.step({ kind: "time", now: 0n });
  assert.deepEqual(fresh.step({ kind: "artifact", from: 1, artifact: members.find("proposal", 1) }), []);
  const effects = fresh.step({ kind: "artifact", from: 1, artifact: members.find("notarization", 1) });
  const published = new Set(publishedBy(effects).map((id) => id.split("/")[0]));
  assert.ok(published.has("proposal") && published.has("notarization"));
});
