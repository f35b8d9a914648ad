/** Messages and installations that take many rounds: when they end, what they see, what waits for them and what does not. */
import assert from "node:assert/strict";
import test from "node:test";
import type { CanisterId } from "@orrery/base";
import { passArg, record, replay, SMALL, SPINNER, u32 } from "../testing/long.testkit.ts";
import { idArg, TestSubnet } from "../testing/subnet.testkit.ts";
import { totalCycles } from "../testing/total-cycles.testkit.ts";

const CYCLES = 10n ** 15n;
const SLICE = 2_000_000n;
const LARGE_SLICE = { ...SMALL, instructionsPerRound: 80_000_000n, instructionsPerSlice: 40_000_000n };

interface Answer {
  readonly turns: number;
  readonly time: bigint;
  readonly instructions: bigint;
}

function decode(reply: Uint8Array): Answer {
  const view = new DataView(reply.buffer, reply.byteOffset);
  return {
    turns: view.getUint32(0, true),
    time: view.getBigUint64(4, true),
    instructions: view.getBigUint64(12, true),
  };
}

function subnetOf(count: number, limits = SMALL): { subnet: TestSubnet; ids: CanisterId[] } {
  const subnet = new TestSubnet({ limits });
  const ids = Array.from({ length: count }, () => subnet.installed(SPINNER, { arg: u32(0), cycles: CYCLES }));
  return { subnet, ids };
}

function spin(
  subnet: TestSubnet,
  canisterId: CanisterId,
  turns: number,
): { bytes: Uint8Array; id: Uint8Array } {
  return subnet.envelope({ canisterId, method: "spin", arg: u32(turns) });
}

/** Rounds after its own until the message has an answer. */
function roundsUntilAnswer(subnet: TestSubnet, id: Uint8Array, each: () => void = () => {}): number {
  for (let round = 0; round < 100; round++) {
    const kind = subnet.status(id)?.kind;
    if (kind === "replied" || kind === "rejected") return round;
    each();
    subnet.round();
  }
  throw new Error("no answer after 100 rounds");
}

test("a message ends in the round in which its slices cover its count, and sees the time of its start", () => {
  const { subnet, ids } = subnetOf(2);
  const [a, b] = ids as [CanisterId, CanisterId];
  const long = spin(subnet, a, 1_000_000);
  const total = totalCycles(subnet.state);
  subnet.round([long.bytes]);
  const { time } = subnet.state;
  assert.equal(subnet.status(long.id)?.kind, "processing");
  assert.equal(subnet.canister(a).meta.heapPages, 4);
  const rounds = roundsUntilAnswer(subnet, long.id, () => {
    assert.equal(subnet.results.at(-1)?.moreWork, true);
    assert.equal(totalCycles(subnet.state), total);
    // Everybody else is answered at once.
    const short = spin(subnet, b, 10);
    subnet.round([short.bytes]);
    assert.equal(subnet.status(short.id)?.kind, "replied");
  });
  const status = subnet.status(long.id);
  assert.ok(status?.kind === "replied");
  const answer = decode(status.reply);
  // One round in the loop is one more slice besides the one that `roundsUntilAnswer` runs.
  const slices = BigInt(rounds * 2 + 1);
  const needed = (answer.instructions + SLICE - 1n) / SLICE;
  assert.ok(slices === needed || slices === needed + 1n, `${slices} slices for ${answer.instructions}`);
  assert.equal(answer.turns, 1_000_000);
  assert.equal(answer.time, time);
  assert.equal(totalCycles(subnet.state) >= total, true);
});

test("the same message in one slice or in many comes to the same: reply, instructions, cycles, memory", () => {
  const play = (limits: typeof SMALL): unknown => {
    const { subnet, ids } = subnetOf(1, limits);
    const [a] = ids as [CanisterId];
    const before = subnet.canister(a).meta.cycles;
    const long = spin(subnet, a, 700_000);
    subnet.round([long.bytes]);
    roundsUntilAnswer(subnet, long.id);
    const canister = subnet.canister(a);
    const status = subnet.status(long.id);
    assert.ok(status?.kind === "replied");
    return {
      reply: status.reply,
      paid: before - canister.meta.cycles,
      globals: canister.meta.globals,
      pages: [canister.meta.heapPages, canister.meta.stablePages],
      logs: canister.logs,
      version: canister.meta.version,
    };
  };
  assert.deepEqual(play(SMALL), play(LARGE_SLICE));
});

test("a trap in the middle leaves nothing but its price", () => {
  const { subnet, ids } = subnetOf(1);
  const [a] = ids as [CanisterId];
  const { version, globals, cycles } = { ...subnet.canister(a).meta };
  const burn = subnet.envelope({ canisterId: a, method: "burn", arg: u32(500_000) });
  subnet.round([burn.bytes]);
  assert.ok(roundsUntilAnswer(subnet, burn.id) >= 2);
  assert.equal(subnet.status(burn.id)?.kind, "rejected");
  const { meta, callContexts, running } = subnet.canister(a);
  assert.equal(meta.version, version);
  assert.deepEqual(meta.globals, globals);
  assert.equal(callContexts.size, 0);
  assert.equal(running, null);
  assert.ok(cycles - meta.cycles > 5_000_000n);
});

test("its canister's queue and management calls about it wait, others overtake; ingress is paid for at the end", () => {
  const { subnet, ids } = subnetOf(2);
  const [a, b] = ids as [CanisterId, CanisterId];
  const long = spin(subnet, a, 600_000);
  subnet.round([long.bytes]);
  const { cycles } = subnet.canister(a).meta;
  const queued = spin(subnet, a, 1);
  const aboutIt = ["canister_status", "stop_canister", "uninstall_code"].map((method) =>
    subnet.manageEnvelope(method, a),
  );
  const aboutOther = subnet.manageEnvelope("canister_status", b);
  subnet.round([queued, ...aboutIt, aboutOther].map(({ bytes }) => bytes));
  assert.equal(subnet.status(aboutOther.id)?.kind, "replied");
  for (const { id } of [queued, ...aboutIt]) assert.equal(subnet.status(id)?.kind, "received");
  const { running, meta } = subnet.canister(a);
  assert.ok(running !== null && running.inductionDebit > 0n);
  assert.equal(meta.cycles, cycles);
  const total = totalCycles(subnet.state);
  roundsUntilAnswer(subnet, long.id);
  assert.equal(totalCycles(subnet.state), total);
  assert.equal(subnet.status(long.id)?.kind, "replied");
  assert.ok((subnet.canister(a).consumed.get("ingress_induction") ?? 0n) > 0n);
  for (const { id } of [queued, ...aboutIt]) subnet.settle(id);
  assert.equal(subnet.canister(a).meta.module, null);
});

test("storage is not charged in the middle of a message, and is afterwards", () => {
  const { subnet, ids } = subnetOf(2);
  const [a, b] = ids as [CanisterId, CanisterId];
  subnet.round([spin(subnet, a, 400_000).bytes]);
  const paidUntil = subnet.canister(a).chargedUntil;
  subnet.round([], 20_000_000_000n);
  assert.ok(subnet.canister(a).running !== null);
  assert.equal(subnet.canister(a).chargedUntil, paidUntil);
  assert.ok(subnet.canister(b).chargedUntil > paidUntil);
  while (subnet.results.at(-1)?.moreWork === true) subnet.round();
  subnet.round([], 20_000_000_000n);
  assert.ok(subnet.state.time - subnet.canister(a).chargedUntil < 1_000_000_000n);
});

test("a round gives slices to at most as many long messages as the limit says, and all of them end", () => {
  const { subnet, ids } = subnetOf(7);
  const messages = ids.map((id) => spin(subnet, id, 400_000));
  subnet.round(messages.map(({ bytes }) => bytes));
  const slices = (): number[] => ids.map((id) => subnet.canister(id).running?.slicesGranted ?? 0);
  let before = slices();
  for (let round = 0; round < 60 && subnet.results.at(-1)?.moreWork === true; round++) {
    subnet.round();
    const now = slices();
    const given = now.filter((count, i) => count > (before[i] as number) && (before[i] as number) > 0);
    assert.ok(given.length <= 4, `${given.length} long messages had a slice`);
    before = now;
  }
  for (const { id } of messages) assert.equal(subnet.status(id)?.kind, "replied");
});

test("a round that holds them gives no slices, and everything else happens as ever", () => {
  const { subnet, ids } = subnetOf(2);
  const [a, b] = ids as [CanisterId, CanisterId];
  const install = subnet.create({ cycles: CYCLES });
  const installation = subnet.envelope({
    method: "install_code",
    arg: subnet.installArg(install, SPINNER, { arg: u32(400_000) }),
  });
  const long = spin(subnet, a, 400_000);
  subnet.round([long.bytes, installation.bytes]);
  const slices = (): (number | undefined)[] =>
    [a, install].map((id) => subnet.canister(id).running?.slicesGranted);
  assert.deepEqual(slices(), [1, 1]);
  for (let round = 0; round < 5; round++) {
    const short = spin(subnet, b, 10);
    const result = subnet.round([short.bytes], 1_000_000n, { holdsLong: true });
    assert.equal(subnet.status(short.id)?.kind, "replied");
    assert.deepEqual([result.moreWork, result.longWork, result.shortWork], [true, true, false]);
    assert.deepEqual(slices(), [1, 1]);
  }
  // What waits for it is not work that could be done meanwhile; what waits for nobody is.
  const waiting = subnet.manageEnvelope("canister_status", a);
  const held = { holdsLong: true } as const;
  assert.equal(subnet.round([spin(subnet, a, 1).bytes, waiting.bytes], 1_000_000n, held).shortWork, false);
  const results = [subnet.round(), subnet.round()];
  assert.deepEqual(slices(), [3, 3]);
  assert.deepEqual(
    results.map(({ longWork }) => longWork),
    [true, true],
  );
  for (const { id } of [long, installation, waiting]) assert.equal(subnet.settle(id).kind, "replied");
  assert.equal(subnet.results.at(-1)?.longWork, false);
});

test("first slices of their own: what needs more ends in a later round, after the same instructions", () => {
  const limits = {
    ...SMALL,
    instructionsPerFirstSlice: 100_000n,
    instructionsPerFirstInstallSlice: 100_000n,
  };
  const { subnet, ids } = subnetOf(1, limits);
  const [a] = ids as [CanisterId];
  const [short, long] = [spin(subnet, a, 1_000), spin(subnet, a, 10_000)];
  subnet.round([short.bytes, long.bytes]);
  assert.equal(subnet.status(short.id)?.kind, "replied");
  assert.equal(subnet.canister(a).running?.slicesGranted, 1);
  subnet.round();
  const status = subnet.status(long.id);
  assert.ok(status?.kind === "replied");
  const { instructions } = decode(status.reply);
  assert.ok(instructions > 100_000n && instructions < SLICE);
  const spent = subnet.results.slice(-2).map((result) => result.instructions) as [bigint, bigint];
  assert.ok(spent[0] > 100_000n && spent[0] + spent[1] > instructions && spent[1] > 0n, `${spent}`);
});

test("an installation of a large module has nothing due in the round in which it begins", () => {
  const play = (firstSliceModuleBytes: number): { rounds: number; paid: bigint; spent: bigint } => {
    const subnet = new TestSubnet({ limits: { ...SMALL, ...LARGE_SLICE, firstSliceModuleBytes } });
    const id = subnet.create({ cycles: CYCLES });
    const before = subnet.canister(id).meta.cycles;
    const from = subnet.results.length;
    const call = subnet.envelope({
      method: "install_code",
      arg: subnet.installArg(id, SPINNER, { arg: u32(1) }),
    });
    subnet.round([call.bytes]);
    const rounds = roundsUntilAnswer(subnet, call.id);
    const spent = subnet.results.slice(from).reduce((sum, { instructions }) => sum + instructions, 0n);
    return { rounds, paid: before - subnet.canister(id).meta.cycles, spent };
  };
  const [small, large] = [play(1_000_000), play(10)];
  assert.equal(large.rounds, small.rounds + 1);
  assert.equal(large.paid, small.paid);
  assert.equal(large.spent, small.spent);
});

test("a replicated query has slices where the limits say so, and comes to the same", () => {
  const play = (replicatedQuerySlices: boolean): { rounds: number; reply: Uint8Array } => {
    const { subnet, ids } = subnetOf(1, { ...SMALL, replicatedQuerySlices });
    const [canisterId] = ids as [CanisterId];
    const call = subnet.envelope({ canisterId, method: "look", arg: u32(400_000) });
    subnet.round([call.bytes]);
    const rounds = roundsUntilAnswer(subnet, call.id);
    const status = subnet.status(call.id);
    assert.ok(status?.kind === "replied", JSON.stringify(status));
    assert.equal(decode(subnet.reply({ canisterId, method: "spin", arg: u32(1) })).turns, 1);
    return { rounds, reply: status.reply };
  };
  const [whole, sliced] = [play(false), play(true)];
  assert.equal(whole.rounds, 0);
  assert.ok(sliced.rounds > 3);
  assert.deepEqual(sliced.reply, whole.reply);
});

test("one long installation at a time; other installations wait for it, other calls do not", () => {
  const subnet = new TestSubnet({ limits: SMALL });
  const [a, b] = [subnet.create({ cycles: CYCLES }), subnet.create({ cycles: CYCLES })] as [
    CanisterId,
    CanisterId,
  ];
  const install = (id: CanisterId, turns: number): { bytes: Uint8Array; id: Uint8Array } =>
    subnet.envelope({ method: "install_code", arg: subnet.installArg(id, SPINNER, { arg: u32(turns) }) });
  const [first, second] = [install(a, 1_500_000), install(b, 0)];
  subnet.round([first.bytes, second.bytes]);
  assert.equal(subnet.status(first.id)?.kind, "processing");
  assert.equal(subnet.canister(a).running?.kind, "install");
  assert.equal(subnet.canister(a).meta.module, null);
  const status = subnet.envelope({ method: "canister_status", arg: idArg(b) });
  subnet.round([status.bytes]);
  assert.equal(subnet.status(status.id)?.kind, "replied");
  assert.equal(subnet.status(second.id)?.kind, "received");
  assert.ok(roundsUntilAnswer(subnet, first.id) > 10);
  assert.equal(subnet.status(first.id)?.kind, "replied");
  subnet.settle(second.id);
  assert.equal(decode(subnet.reply({ canisterId: a, method: "spin", arg: u32(5) })).turns, 1_500_005);
});

test("a failing callback and its cleanup are one long execution", () => {
  const { subnet, ids } = subnetOf(2);
  const [a, b] = ids as [CanisterId, CanisterId];
  const pass = subnet.envelope({ canisterId: a, method: "pass", arg: passArg(10, 300_001, b) });
  subnet.round([pass.bytes]);
  assert.ok(roundsUntilAnswer(subnet, pass.id) >= 3);
  assert.equal(subnet.status(pass.id)?.kind, "rejected");
  // What the callback did is gone, what the cleanup did is there.
  assert.equal(decode(subnet.reply({ canisterId: a, method: "spin", arg: u32(0) })).turns, 100_000);
});

test("a restart in any round of a long message is invisible", () => {
  const recording = record(SMALL, (subnet) => {
    const [a, b] = [1, 2].map(() => subnet.installed(SPINNER, { arg: u32(0), cycles: CYCLES })) as [
      CanisterId,
      CanisterId,
    ];
    subnet.round([spin(subnet, a, 500_000).bytes]);
    subnet.round([subnet.envelope({ canisterId: b, method: "burn", arg: u32(400_000) }).bytes]);
    subnet.round([spin(subnet, a, 3).bytes, spin(subnet, b, 3).bytes]);
    while (subnet.results.at(-1)?.moreWork === true) subnet.round();
  });
  for (let at = 0; at < recording.batches.length; at++) {
    replay(recording, { restart: (round) => round === at });
  }
});

/** Rounds in which each of these canisters had a message answered, all of them always having some waiting. */
function shares(
  subnet: TestSubnet,
  ids: readonly CanisterId[],
  options: { rounds: number; turns: number },
): number[] {
  const served = new Map(ids.map((id) => [id, 0]));
  const versions = (): bigint[] => ids.map((id) => subnet.canister(id).meta.version);
  for (let round = 0; round < options.rounds; round++) {
    const short = ids.filter((id) => subnet.canister(id).queues.ingress.length < 3);
    const batch = short.flatMap((id) => [1, 2].map(() => spin(subnet, id, options.turns).bytes));
    const before = versions();
    subnet.round(batch);
    for (const [i, version] of versions().entries()) {
      const id = ids[i] as CanisterId;
      if (version > (before[i] as bigint)) served.set(id, (served.get(id) as number) + 1);
    }
  }
  return [...served.values()];
}

/** Nearly a slice, so that a partition has room for two in a round. */
const TURNS = 80_000;

test("a canister with a compute allocation gets its share under load, and nobody starves", () => {
  const { subnet, ids } = subnetOf(12, { ...SMALL, partitions: 2 });
  const favoured = subnet.canister(ids[5] as CanisterId);
  favoured.meta.cycles *= 1_000n;
  favoured.meta.settings = { ...favoured.meta.settings, computeAllocation: 75n };
  const rounds = 120;
  const served = shares(subnet, ids, { rounds, turns: TURNS });
  const others = served.filter((_, i) => i !== 5);
  assert.ok((served[5] as number) >= 0.75 * rounds, `${served}`);
  assert.ok(Math.max(...others) - Math.min(...others) <= 2, `${served}`);
  assert.ok(Math.max(...others) < 0.5 * (served[5] as number), `${served}`);
});

test("without allocations everybody gets the same", () => {
  const { subnet, ids } = subnetOf(10, { ...SMALL, partitions: 2 });
  const served = shares(subnet, ids, { rounds: 100, turns: TURNS });
  assert.ok(Math.max(...served) - Math.min(...served) <= 2, `${served}`);
});

test("a heartbeat that takes long is not begun again before it has ended", () => {
  const subnet = new TestSubnet({ limits: { ...SMALL, heartbeatIntervalNs: 0n } });
  const beating = SPINNER.replace(
    '(func (export "canister_init")',
    '(func (export "canister_heartbeat") (call $spin (i32.const 300000)))\n  (func (export "canister_init")',
  );
  const id = subnet.installed(beating, { arg: u32(0), cycles: CYCLES });
  const before = subnet.canister(id).meta.version;
  for (let round = 0; round < 20; round++) subnet.round();
  const beats = Number(subnet.canister(id).meta.version - before);
  // Four slices each, and the next begins in the round after the last.
  assert.ok(beats >= 4 && beats <= 5, `${beats} heartbeats`);
});

test("a message is answered between heartbeats that take long and are always due, whatever is restarted", () => {
  const beating = SPINNER.replace(
    '(func (export "canister_init")',
    '(func (export "canister_heartbeat") (call $spin (i32.const 300000)))\n  (func (export "canister_init")',
  );
  const limits = { ...SMALL, heartbeatIntervalNs: 0n };
  const recording = record(limits, (subnet) => {
    const id = subnet.installed(beating, { arg: u32(0), cycles: CYCLES });
    for (let i = 0; i < 3; i++) subnet.reply({ canisterId: id, method: "turns" });
  });
  replay(recording, { restart: () => true });
});
