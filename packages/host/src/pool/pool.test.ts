/** The same batches on any number of worker threads, on dying ones, and after restarts in the middle: the same hashes every round. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Principal } from "@icp-sdk/core/principal";
import type { CanisterId } from "@orrery/base";
import type { ExecutionLimits } from "@orrery/execution";
import {
  encode,
  IDL,
  passArg,
  type Recording,
  type ReplayParts,
  record,
  replay,
  SMALL,
  SPINNER,
  type TestSubnet,
  u32,
} from "@orrery/execution/testing";
import type { PooledExecutor } from "./executor.ts";
import { pooledOver, sameAtEveryWorkerCount, WORKER_COUNTS } from "./worker-counts.testkit.ts";

/** Some of the messages stay on the calling thread, others do not. */
const PROBE_INSTRUCTIONS = 300_000n;
const CYCLES = 10n ** 15n;
const BUILT = new URL("../../../../canisters/fixtures/built/", import.meta.url);
const NO_ARGUMENTS = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);
const UPGRADE = { upgrade: [{ skip_pre_upgrade: [], wasm_memory_persistence: [] }] };

/** Real programs are larger than slices of two million instructions would let them be. */
const MEDIUM: Partial<ExecutionLimits> = {
  ...SMALL,
  instructionsPerRound: 40_000_000n,
  instructionsPerSlice: 20_000_000n,
  instructionsPerInstallSlice: 100_000_000n,
  instructionsPerMessage: 2_000_000_000n,
  instructionsPerInstall: 20_000_000_000n,
};

/** Installations that end at their limit, sooner. */
const SHORT: Partial<ExecutionLimits> = { ...SMALL, instructionsPerInstall: 60_000_000n };

/** As on a node: short first slices, none at first for what compiles. */
const NODE: Partial<ExecutionLimits> = {
  ...SHORT,
  instructionsPerFirstSlice: 200_000n,
  instructionsPerHeavySlice: 50_000n,
  replicatedQuerySlices: true,
  instructionsPerFirstInstallSlice: 500_000n,
  firstSliceModuleBytes: 100,
};

interface Workload {
  readonly name: string;
  readonly limits: Partial<ExecutionLimits>;
  readonly play: (subnet: TestSubnet) => void;
}

function spinners(subnet: TestSubnet, count: number): CanisterId[] {
  return Array.from({ length: count }, (_, i) =>
    subnet.installed(SPINNER, { arg: u32(1_000 * i), cycles: CYCLES }),
  );
}

function rest(subnet: TestSubnet): void {
  for (let i = 0; i < 200 && subnet.results.at(-1)?.moreWork === true; i++) subnet.round();
}

/** A generator of pseudorandom numbers below `n`: one seed, one workload. */
function dice(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

function longMessages(subnet: TestSubnet): void {
  const [a, b, c] = spinners(subnet, 3) as [CanisterId, CanisterId, CanisterId];
  const batch = [
    subnet.envelope({ canisterId: a, method: "spin", arg: u32(1_000_000) }),
    subnet.envelope({ canisterId: a, method: "spin", arg: u32(10) }),
    subnet.envelope({ canisterId: b, method: "burn", arg: u32(300_000) }),
    subnet.envelope({ canisterId: c, method: "pass", arg: passArg(200_000, 300_001, a) }),
  ];
  subnet.round(batch.map(({ bytes }) => bytes));
  subnet.round([subnet.envelope({ canisterId: b, method: "spin", arg: u32(5_000_000) }).bytes]);
  rest(subnet);
}

function longInstallations(subnet: TestSubnet): void {
  const [a, b] = [subnet.create({ cycles: CYCLES }), subnet.create({ cycles: CYCLES })];
  const first = subnet.envelope({
    method: "install_code",
    arg: subnet.installArg(a, SPINNER, { arg: u32(1_500_000) }),
  });
  const second = subnet.envelope({
    method: "install_code",
    arg: subnet.installArg(b, SPINNER, { arg: u32(200_000) }),
  });
  subnet.round([first.bytes, second.bytes]);
  rest(subnet);
  const upgrade = subnet.installArg(a, SPINNER, { arg: u32(300_000), mode: UPGRADE });
  subnet.round([subnet.envelope({ method: "install_code", arg: upgrade }).bytes]);
  subnet.round([subnet.envelope({ canisterId: b, method: "spin", arg: u32(1_000) }).bytes]);
  rest(subnet);
  // Too much for the limit of an installation.
  const reinstall = subnet.installArg(b, SPINNER, { arg: u32(30_000_000), mode: { reinstall: null } });
  subnet.round([subnet.envelope({ method: "install_code", arg: reinstall }).bytes]);
  rest(subnet);
}

function randomGraphs(subnet: TestSubnet): void {
  const roll = dice(20_261_122);
  const ids = spinners(subnet, 6);
  const any = (): CanisterId => ids[roll(ids.length)] as CanisterId;
  for (let round = 0; round < 12; round++) {
    const batch = Array.from({ length: roll(6) }, () => {
      const turns = roll(3) === 0 ? roll(600_000) : roll(500);
      switch (roll(4)) {
        case 0:
          return subnet.envelope({ canisterId: any(), method: "burn", arg: u32(turns) });
        case 1:
          return subnet.envelope({ canisterId: any(), method: "spin", arg: u32(turns) });
        case 2:
          return subnet.manageEnvelope(roll(2) === 0 ? "stop_canister" : "start_canister", any());
        default:
          return subnet.envelope({
            canisterId: any(),
            method: "pass",
            arg: passArg(turns, roll(300_000), any()),
          });
      }
    });
    subnet.round(
      batch.map(({ bytes }) => bytes),
      BigInt(roll(3) * 6) * 1_000_000_000n + 1_000_000n,
    );
  }
  rest(subnet);
}

function program(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(name, BUILT)));
}

/** Motoko: heaps that grow until the collector runs, calls with every outcome, an upgrade. */
function motoko(mode: "classic" | "eop"): (subnet: TestSubnet) => void {
  return (subnet) => {
    const install = (name: string): CanisterId =>
      subnet.installed(program(`${name}.${mode}.wasm.gz`), { arg: NO_ARGUMENTS, cycles: CYCLES });
    const [heap, callee, caller] = [install("heap"), install("callee"), install("caller")] as [
      CanisterId,
      CanisterId,
      CanisterId,
    ];
    const other = encode([IDL.Principal], [Principal.fromUint8Array(callee)]);
    const ask = (canisterId: CanisterId, method: string, arg: Uint8Array): Uint8Array =>
      subnet.envelope({ canisterId, method, arg }).bytes;
    const nats = (...values: number[]): Uint8Array =>
      encode(
        values.map(() => IDL.Nat),
        values,
      );
    subnet.round([ask(heap, "keep", nats(20_000, 20)), ask(caller, "cleanup", other)]);
    subnet.round([ask(heap, "churn", nats(20_000, 40)), ask(caller, "trapAfterAwait", other)]);
    subnet.round([
      ask(callee, "slow", nats(4)),
      ask(caller, "relay", encode([IDL.Principal, IDL.Nat], [Principal.fromUint8Array(callee), 5])),
    ]);
    rest(subnet);
    const upgrade =
      mode === "classic"
        ? UPGRADE
        : { upgrade: [{ skip_pre_upgrade: [], wasm_memory_persistence: [{ keep: null }] }] };
    subnet.install(heap, program(`heap.${mode}.wasm.gz`), { mode: upgrade, arg: NO_ARGUMENTS });
  };
}

/** C without a runtime: sums, stable memory, calls, traps. */
function accumulators(subnet: TestSubnet): void {
  const sums = [1, 2, 3].map(() => subnet.installed(program("accumulator.wasm.gz"), { cycles: CYCLES }));
  const [a, b] = sums as [CanisterId, CanisterId];
  const [spinner] = spinners(subnet, 1) as [CanisterId];
  subnet.round([subnet.envelope({ canisterId: spinner, method: "spin", arg: u32(3_000_000) }).bytes]);
  for (let i = 0; i < 10; i++) {
    const forward = new Uint8Array([b.length, ...b, ...u32(i, 0)]);
    const batch = [
      subnet.envelope({ canisterId: a, method: "add", arg: u32(i, 0) }),
      subnet.envelope({ canisterId: a, method: "forward", arg: forward }),
      subnet.envelope({ canisterId: b, method: "remember", arg: new Uint8Array(5_000).fill(i) }),
      subnet.envelope({ canisterId: b, method: "fail" }),
    ];
    subnet.round(batch.map(({ bytes }) => bytes));
  }
  rest(subnet);
}

/** More long messages than slices in a round: those that began first keep theirs, others begin, wait and are displaced. */
function crowd(subnet: TestSubnet): void {
  const ids = spinners(subnet, 7);
  for (const [i, canisterId] of ids.entries()) {
    subnet.round([subnet.envelope({ canisterId, method: "spin", arg: u32(500_000 + 1_000 * i) }).bytes]);
  }
  rest(subnet);
}

/** Rounds that hold long executions back, more often than not, between the rounds of other workloads. */
function held(subnet: TestSubnet): void {
  const [a, b, c] = spinners(subnet, 3) as [CanisterId, CanisterId, CanisterId];
  const created = subnet.create({ cycles: CYCLES });
  const batches = [
    [subnet.envelope({ canisterId: a, method: "spin", arg: u32(400_000) })],
    [subnet.envelope({ canisterId: b, method: "look", arg: u32(300_000) })],
    [
      subnet.envelope({
        method: "install_code",
        arg: subnet.installArg(created, `${SPINNER} ;; another`, { arg: u32(300_000) }),
      }),
    ],
    [subnet.envelope({ method: "install_code", arg: subnet.installArg(b, SPINNER, { mode: UPGRADE }) })],
    [subnet.envelope({ canisterId: c, method: "pass", arg: passArg(30_000, 100_001, b) })],
    [],
    [subnet.envelope({ canisterId: c, method: "spin", arg: u32(10) })],
  ];
  for (const [i, batch] of batches.entries()) {
    subnet.round(
      batch.map(({ bytes }) => bytes),
      1_000_000n,
      i % 3 === 1 ? {} : { holdsLong: true },
    );
  }
  for (let i = 0; i < 200 && subnet.results.at(-1)?.moreWork === true; i++)
    subnet.round([], 1_000_000n, i % 3 === 0 ? {} : { holdsLong: true });
}

const WORKLOADS: readonly Workload[] = [
  { name: "long messages, traps, a callback with its cleanup", limits: SMALL, play: longMessages },
  { name: "long installations and upgrades", limits: SHORT, play: longInstallations },
  { name: "random call graphs with stops", limits: SMALL, play: randomGraphs },
  { name: "more long messages than workers", limits: SMALL, play: crowd },
  { name: "rounds that hold long executions", limits: NODE, play: held },
  { name: "C beside a long message", limits: SMALL, play: accumulators },
  { name: "Motoko, classic persistence", limits: MEDIUM, play: motoko("classic") },
  { name: "Motoko, orthogonal persistence", limits: MEDIUM, play: motoko("eop") },
];

const open: PooledExecutor[] = [];

function pooled(workersMax: number, more: { readonly workerFile?: string; readonly heapMb?: number } = {}) {
  return (parts: ReplayParts): PooledExecutor => {
    const executor = pooledOver(parts, { workersMax, probeInstructions: PROBE_INSTRUCTIONS, ...more });
    open.push(executor);
    return executor;
  };
}

after(async () => {
  await Promise.all(open.map((executor) => executor.close()));
});

function rounds({ hashes }: Recording): number {
  return hashes.length;
}

for (const { name, limits, play } of WORKLOADS) {
  describe(name, () => {
    const recording = record(limits, play);

    test("has executions of many rounds", () => {
      assert.ok(recording.hashes.filter(({ running }) => running > 0).length >= 3);
    });

    test("restarts are invisible, whatever the round", () => {
      // Each runs what was under way from its start again.
      const every = Math.ceil(rounds(recording) / 20);
      replay(recording, { restart: (round) => round % every === 0 });
    });

    for (const workers of WORKER_COUNTS) {
      test(`${workers} workers: the same root and full-state hash in each of ${rounds(recording)} rounds`, async () => {
        await sameAtEveryWorkerCount(recording, { counts: [workers], probeInstructions: PROBE_INSTRUCTIONS });
      });
    }

    test("workers and restarts together", () => {
      replay(recording, {
        executor: pooled(2),
        restart: (round) => round % 15 === 8,
        left: (executor) => void (executor as PooledExecutor).close(),
      });
    });
  });
}

describe("workers that die", () => {
  const recording = record(SMALL, longMessages);
  const installations = record(SHORT, longInstallations);
  const directory = mkdtempSync(join(tmpdir(), "orrery-chaos-"));
  after(() => rmSync(directory, { recursive: true, force: true }));

  for (const [name, recorded, every] of [
    ["a message", recording, 1],
    ["an installation", installations, 8],
  ] as const) {
    test(`killed again and again while ${name} is under way`, () => {
      const executors = open.length;
      let kills = 0;
      replay(recorded, {
        executor: pooled(2),
        before: (round, executor, state) => {
          for (const { running } of state.canisters.values()) {
            if (running === null || round % every !== 0) continue;
            (executor as PooledExecutor).kill(running);
            kills++;
          }
        },
      });
      // A thread that runs ahead may have ended before it is killed; those that cannot have are tested below.
      const { restarts } = open[executors] as PooledExecutor;
      assert.ok(kills > 0 && restarts <= kills, `${restarts} restarts for ${kills} kills`);
    });
  }

  for (const [how, heapMb] of [
    ["exit", 256],
    ["memory", 64],
  ] as const) {
    test(`in the middle of a message, of ${how}`, () => {
      const file = join(directory, how);
      process.env["ORRERY_CHAOS_FILE"] = file;
      const executors = open.length;
      const workerFile = new URL("./chaos-worker.testkit.ts", import.meta.url).href;
      let deaths = 0;
      replay(recording, {
        executor: pooled(2, { workerFile, heapMb }),
        before: (round) => {
          if (round % 4 !== 3) return;
          writeFileSync(file, how);
          deaths++;
        },
      });
      const { restarts } = open[executors] as PooledExecutor;
      assert.ok(restarts > 0 && restarts <= deaths, `${restarts} restarts for ${deaths} orders`);
    });
  }
});

describe("a cleanup callback that needs more than its callback", () => {
  const recording = record(SMALL, (subnet) => {
    const [a, b] = spinners(subnet, 2) as [CanisterId, CanisterId];
    subnet.round([subnet.envelope({ canisterId: a, method: "pass", arg: passArg(10, 1, b) }).bytes]);
    rest(subnet);
  });

  test("has all of the message's instructions", () => {
    replay(recording, { executor: pooled(1) });
  });
});

/**
 * `add` turns its loop as often as its argument says, then adds one to a word of each of two pages and replies with the first.
 * Whoever finds older pages comes to something else.
 */
const TALLY = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_copy" (func $argcopy (param i32 i32 i32)))
  (memory 1)
  (func $bump (param $at i32)
    (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (i32.const 1))))
  (func (export "canister_update add") (local $i i32)
    (call $argcopy (i32.const 0) (i32.const 0) (i32.const 4))
    (local.set $i (i32.load (i32.const 0)))
    (loop $next
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (br_if $next (i32.gt_s (local.get $i) (i32.const 0))))
    (call $bump (i32.const 8192))
    (call $bump (i32.const 20000))
    (call $append (i32.const 8192) (i32.const 4)) (call $reply)))`;

describe("pages that a worker knows from an earlier job", () => {
  const HEAVY = 60_000;
  const recording = record(SMALL, (subnet) => {
    const canisterId = subnet.installed(TALLY, { cycles: CYCLES });
    const add = (turns: number): Uint8Array =>
      subnet.envelope({ canisterId, method: "add", arg: u32(turns) }).bytes;
    // Overwritten in place between two jobs of one round.
    subnet.round([add(HEAVY), add(HEAVY), add(HEAVY)]);
    rest(subnet);
    // Ids of versions that were given up come back for newer ones between the jobs of two rounds.
    for (let round = 0; round < 12; round++) {
      subnet.round([add(round % 4 === 0 ? HEAVY : 1)]);
      if (round % 5 === 4) subnet.round([add(HEAVY), add(1), add(1)]);
    }
  });

  test("are sent again when their versions hold something else", () => {
    replay(recording, { executor: pooled(1) });
  });
});
