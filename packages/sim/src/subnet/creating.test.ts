/** Subnets that members create among faults, and that the judges of summaries, packages and new keys see what is wrong. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Block, type BlockPayload, equalBytes, type Height } from "@orrery/base";
import { type CatchUpPackage, decodeDealing, decodeSummary, encodeSummary } from "@orrery/consensus/member";
import { creationsMissing, foundedBy, violationsOf } from "./creating.ts";
import { CALM, STORMY } from "./faults.ts";
import { faultsOfFounded, runFounded } from "./founded.ts";
import { heal, runSubnet, worldFor } from "./run.ts";
import { nodeIdOf } from "./sim-registry.ts";
import { judgeSummaries } from "./summaries.ts";
import type { World } from "./world.ts";

const SECOND = 1_000_000_000n;
const RUN = { seed: 3, nodes: 4, spares: 0, messagesPerSecond: 1, catchUpInterval: 18 } as const;

/** That has created two subnets, of four nodes and of one. */
function creatingWorld(): World {
  const world = worldFor({ ...RUN, seconds: 1, faults: CALM });
  world.registry.create(4, world.now);
  world.registry.create(1, world.now);
  for (let seconds = 0; creationsMissing(world) > 0; seconds++) {
    assert.ok(seconds < 60, "the members create two subnets");
    world.run(world.now + SECOND);
  }
  return world;
}

const world = creatingWorld();

test("two subnets are in packages of the subnet, and their nodes go on from there", () => {
  assert.deepEqual(violationsOf(world), []);
  const founded = foundedBy(world);
  assert.deepEqual(
    founded.map(({ subnet, epoch }) => [subnet, epoch.members]),
    [
      [1, [1_000, 1_001, 1_002, 1_003].map(nodeIdOf)],
      [2, [nodeIdOf(2_000)]],
    ],
  );
  for (const each of founded) {
    const { verdict, violations, rounds, intervals, undealt } = runFounded(world, 1, each);
    assert.deepEqual([verdict, violations, undealt], ["ok", [], 0]);
    assert.ok(rounds > 20 && intervals >= 2, `${rounds} rounds, ${intervals} intervals`);
  }
  assert.deepEqual(faultsOfFounded(world, 1), []);
});

test("nodes with other keys than were dealt to them make nothing together", () => {
  const [founded] = foundedBy(world);
  assert.ok(founded !== undefined);
  const { epoch } = founded;
  const members = epoch.members.map((_, place) => nodeIdOf(1_010 + place));
  assert.notEqual(runFounded(world, 1, { ...founded, epoch: { ...epoch, members } }).verdict, "ok");
});

const FOUNDING: Height = [...world.summaries].find(([, { founded }]) => founded !== undefined)?.[0] ?? 0;

/** What is said of the run with other payloads. */
function judged(
  change: (payload: BlockPayload, block: Block) => BlockPayload,
  { checkers, registry, keys, first }: World = world,
): readonly string[] {
  const blocks = checkers.blocks.map((block) => ({ ...block, payload: change(block.payload, block) }));
  return judgeSummaries({ checkers: { blocks }, registry, keys, first }).faults;
}

const isRemote = (bytes: Uint8Array): boolean => decodeDealing(bytes).keys.startsWith("remote");

test("the judge of summaries takes what is, and nothing else", () => {
  assert.deepEqual(
    judged((payload) => payload),
    [],
  );
  const [dealt] = world.checkers.blocks.flatMap(({ height, payload }) =>
    (payload.dealings ?? []).flatMap((bytes) => (isRemote(bytes) ? [{ height, bytes }] : [])),
  );
  assert.ok(dealt !== undefined && FOUNDING > 0);
  const at =
    (height: Height, made: (payload: BlockPayload) => BlockPayload) =>
    (payload: BlockPayload, block: Block): BlockPayload =>
      block.height === height ? made(payload) : payload;
  const summaryAt = (change: (bytes: Uint8Array) => Uint8Array) =>
    judged(at(FOUNDING, (payload) => ({ ...payload, summary: change(payload.summary as Uint8Array) })));
  const dealings = (all: readonly Uint8Array[]) =>
    judged(at(dealt.height, (payload) => ({ ...payload, dealings: all })));

  assert.deepEqual(dealings([]), [
    `the summary of ${FOUNDING} has another created subnets, another new subnet`,
  ]);
  assert.equal(dealings([dealt.bytes, dealt.bytes])[0], `a dealing in block ${dealt.height} is there twice`);
  const broken = dealt.bytes.slice();
  const { dealing } = decodeDealing(dealt.bytes);
  const place = broken.findIndex((_, index) => equalBytes(broken.subarray(index, index + 32), dealing));
  broken[place] = (broken[place] ?? 0) ^ 1;
  assert.equal(dealings([broken])[0], `a dealing in block ${dealt.height} is wrong`);
  const late = judged(at(FOUNDING + 1, (payload) => ({ ...payload, dealings: [dealt.bytes] })));
  assert.equal(late[0], `a dealing in block ${FOUNDING + 1} is of another interval`);

  const without = summaryAt((bytes) => {
    const { founded: _none, ...summary } = decodeSummary(bytes);
    return encodeSummary(summary);
  });
  assert.deepEqual(without, [`the summary of ${FOUNDING} has another new subnet`]);
  const stretched = summaryAt((bytes) => encodeSummary({ ...decodeSummary(bytes), nextLength: 30 }));
  assert.deepEqual(stretched, [`the summary of ${FOUNDING} has another length`]);
  const halted = summaryAt((bytes) => encodeSummary({ ...decodeSummary(bytes), halts: true }));
  assert.deepEqual(halted, [`the summary of ${FOUNDING} has another halt`]);
  const upgraded = summaryAt((bytes) =>
    encodeSummary({ ...decodeSummary(bytes), replicaVersion: "2.0.0", upgrades: true }),
  );
  assert.deepEqual(upgraded, [`the summary of ${FOUNDING} has another program`]);
  const alone = summaryAt((bytes) => {
    const summary = decodeSummary(bytes);
    const [member] = summary.current.members;
    const next = { ...summary.current, members: member === undefined ? [] : [member] };
    return encodeSummary({ ...summary, next });
  });
  assert.deepEqual(alone, [`the summary of ${FOUNDING} has another next members`]);
  const early = judged(at(FOUNDING, ({ summary: _none, ...payload }) => payload));
  assert.deepEqual(early, [`block ${FOUNDING} begins no interval`]);
});

test("nothing is ordered between a summary that upgrades or halts and its package, nor while the subnet halts", () => {
  const changes = [
    (changed: World) => changed.registry.upgrade(changed.now),
    (changed: World) => changed.halt(true),
  ];
  for (const change of changes) {
    // Blocks come sooner than states.
    const changed = worldFor({ ...RUN, seconds: 1, faults: CALM }, SECOND);
    change(changed);
    changed.run(changed.now + 60n * SECOND);
    assert.deepEqual(violationsOf(changed), []);
    const [start = 0] =
      [...changed.summaries].find(([, { upgrades, halts }]) => halts || upgrades === true) ?? [];
    const early = changed.checkers.blocks.filter(
      ({ height, context }) => height > start && context.certifiedHeight < start,
    );
    assert.ok(start > 0 && early.length > 0);
    const height = early[0]?.height;
    const ordering = (more: Partial<BlockPayload>) =>
      judged((payload, block) => (block.height === height ? { ...payload, ...more } : payload), changed);
    const wrong = `block ${height} orders something before the package of ${start}, or while the subnet halts`;
    assert.deepEqual(ordering({ ingress: [new Uint8Array(8)] }), [wrong]);
    assert.deepEqual(ordering({ xnet: [] }), [wrong]);
    assert.deepEqual(ordering({}), []);
  }
});

test("what nobody asked for, or others than were asked for, is no creation", () => {
  const { checkers, keys, first, registry } = world;
  const asking = (planned: readonly { subnet: number; members: readonly number[] }[]): readonly string[] => {
    const record = (version: number) => {
      const known = registry.record(version);
      const all = planned.map(({ subnet, members }) => ({ subnet, members: members.map(nodeIdOf) }));
      return known === null ? null : { ...known, planned: all };
    };
    return judgeSummaries({ checkers, keys, first, registry: { idOf: registry.idOf, record } }).faults;
  };
  assert.match(asking([])[0] ?? "", /is for a subnet that nobody asks for/);
  assert.match(asking([{ subnet: 1, members: [1_000, 1_001, 1_002, 1_004] }])[0] ?? "", /is wrong/);
});

test("keys that others have, and packages of other blocks, are found", () => {
  const { checkers, registry, subnetId, summaries, first, packages } = world;
  const base = { checkers, registry, subnetId, summaries, first, packages };
  const open = { ...world.keys, genesis: world.keys.genesis.bind(world.keys) };
  // Everybody signs as the first of the new nodes.
  const leaking = violationsOf({
    ...base,
    keys: {
      ...open,
      of: (nodeId) => ({ ...world.keys.of(nodeId), load: world.keys.of(nodeIdOf(1_000)).load }),
    },
  });
  assert.ok(leaking.includes("the key of subnet 1: a member of it has no share"), leaking.join("\n"));
  const [one, two] = [...packages.all] as [CatchUpPackage, CatchUpPackage];
  const swapped = [{ ...one, block: two.block }];
  const wrong = violationsOf({ ...base, keys: world.keys, packages: { all: swapped } });
  assert.deepEqual(wrong, [`the package of ${one.height} has another block`]);
  const forged = [{ ...one, stateHash: new Uint8Array(32) }];
  const unsigned = violationsOf({ ...base, keys: world.keys, packages: { all: forged } });
  assert.deepEqual(unsigned, [`the package of ${one.height} is not the subnet's`]);
});

test("subnets are created in storms, by members of which some deal wrongly, and by those that all went down", () => {
  let created = 0;
  for (const [seed, nodes] of [
    [1, 4],
    [2, 4],
    [3, 7],
  ] as const) {
    const faults = { ...STORMY, createPerSecond: 0.15, byzantine: ["wrong_dealings"] as const };
    const catchUpInterval = nodes === 4 ? 18 : 28;
    const run = { ...RUN, seed, nodes, catchUpInterval, spares: 2, seconds: 25, faults };
    const { verdict, violations, weather } = runSubnet(run);
    assert.deepEqual([verdict, violations], ["ok", []], `seed ${seed}`);
    created += weather.flatMap(({ strikes }) => strikes).filter(({ kind }) => kind === "create").length;
  }
  assert.ok(created > 5, `${created} subnets`);
});

test("a creation that nobody completes keeps a subnet from being well", () => {
  const stuck = worldFor({ ...RUN, catchUpInterval: 9, seconds: 1, faults: CALM });
  stuck.registry.create(4, stuck.now);
  const isWell = heal(stuck, () => [], true);
  stuck.run(stuck.now + 60n * SECOND);
  assert.deepEqual([isWell(), creationsMissing(stuck), violationsOf(stuck)], [false, 1, []]);
});
