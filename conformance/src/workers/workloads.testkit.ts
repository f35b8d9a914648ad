/**
 * Workloads of every kind that a subnet has, recorded for runs at other numbers of worker threads: each is played on the calling
 * thread and checked to have done what its name says.
 */
import assert from "node:assert/strict";
import { Principal } from "@icp-sdk/core/principal";
import type { CanisterId } from "@orrery/base";
import { createChainKeys } from "@orrery/crypto/chain-keys";
import { HOSTILE_MODULES } from "@orrery/execution/hostile";
import { keep, type Recording, record, SMALL, type TestSubnet, TestSubnets } from "@orrery/execution/testing";
import type { ChainKeyId } from "@orrery/state";
import { chaosRecording } from "../chaos/chaos.testkit.ts";
import { program, type Surroundings } from "../chaos/programs.testkit.ts";
import { seededRandom } from "../durability/random.ts";
import { encodeArg, MANAGEMENT } from "../suite/management.ts";
import { universalModule } from "../suite/module.ts";
import { callOut, code, type Item, ic0, op, reply64, SCRATCH, setHook } from "../suite/script.ts";
import { goldenRecording } from "./golden.testkit.ts";

export interface Workload {
  readonly name: string;
  /** One for each subnet. */
  readonly play: () => readonly Recording[];
}

const CYCLES = 10n ** 18n;
const SECOND = 1_000_000_000n;
/** Turns of a loop that outlast a slice. */
const LONG = 300_000;
/** Larger ones take seconds each to compile, and so do some that are larger once they are inflated. */
const HOSTILE_BYTES_MAX = 64 * 1024;

function installed(subnet: TestSubnet, heartbeat = false): CanisterId {
  return subnet.installed(universalModule({ heartbeat }), { arg: code(), cycles: CYCLES });
}

function ask(subnet: TestSubnet, canisterId: CanisterId, ...items: readonly Item[]): Uint8Array {
  return subnet.envelope({ canisterId, method: "update", arg: code(...items) }).bytes;
}

function rest(subnet: TestSubnet): void {
  for (let i = 0; i < 400 && subnet.results.at(-1)?.moreWork === true; i++) subnet.round();
}

function statuses(subnet: TestSubnet, kind: string): number {
  return [...subnet.state.ingressHistory.values()].filter(({ status }) => status.kind === kind).length;
}

/** Heartbeats of every length in every round, timers that set themselves again and call, hooks of low memory, ingress between. */
function tasks(): readonly Recording[] {
  const recording = record({ ...SMALL, heartbeatIntervalNs: 0n }, (subnet) => {
    const ids = Array.from({ length: 5 }, () => installed(subnet, true));
    const again: Item = [ic0.time, SECOND, op.add, ic0.global_timer_set, op.drop];
    for (const [i, id] of ids.entries()) {
      const other = ids[(i + 1) % ids.length] as CanisterId;
      const beat: Item = [i * 60_000, op.spin, [SCRATCH, ic0.time, op.store64]];
      const call = callOut({ to: other, arg: code(5_000, op.spin, 1, reply64), onReply: [20_000, op.spin] });
      const timer: Item = [again, (5 - i) * 50_000, op.spin, call];
      subnet.round([
        ask(
          subnet,
          id,
          setHook("heartbeat", beat),
          setHook("global_timer", timer),
          setHook("on_low_wasm_memory", LONG, op.spin, "low", ic0.certified_data_set),
          again,
          1,
          reply64,
        ),
      ]);
      const settings = { wasm_memory_limit: 1n << 22n, wasm_memory_threshold: 1n << 21n };
      const canister_id = Principal.fromUint8Array(id);
      const arg = encodeArg("update_settings", { canister_id, settings });
      subnet.round([subnet.envelope({ method: "update_settings", arg }).bytes]);
    }
    for (let round = 0; round < 40; round++) {
      const id = ids[round % ids.length] as CanisterId;
      const grow: Item = round === 12 ? [30, op.memory_grow, op.drop] : [];
      const batch = round % 3 === 0 ? [ask(subnet, id, grow, round * 1_000, op.spin, round, reply64)] : [];
      subnet.round(batch, SECOND / 3n);
    }
    assert.ok(statuses(subnet, "replied") > 20);
    const hooked = [...subnet.state.canisters.values()].filter(({ meta }) => meta.certifiedData.length === 3);
    assert.equal(hooked.length, 1, "a hook of low memory ran");
  });
  return [recording];
}

/** Random programs that call each other over streams, and the management canister of the other subnet. */
export function streams(seed: number): readonly Recording[] {
  const net = new TestSubnets({ types: ["system", "application"], limits: SMALL });
  const recordings = net.all.map(keep);
  const own = net.all.map((subnet) => [installed(subnet), installed(subnet)]);
  const random = seededRandom(seed);
  const around: Surroundings = { random, ids: own.flat(), snapshots: () => [] };
  for (let round = 0; round < 40; round++) {
    for (const [index, subnet] of net.all.entries()) {
      const batch = Array.from({ length: random.below(3) }, () => {
        const items = program(around, { depth: 3, mayReply: true });
        const call = callOut({ to: random.pick(own[1 - index] as CanisterId[]), arg: code(...items) });
        return ask(subnet, random.pick(own[index] as CanisterId[]), random.below(LONG), op.spin, call);
      });
      net.round(index, batch, BigInt(random.below(900) + 1) * 1_000_000n);
    }
  }
  for (let i = 0; i < 10; i++) {
    net.rounds(3);
    for (const index of net.all.keys()) net.round(index, [], 100n * SECOND);
  }
  for (const { state } of net.all) {
    const [stream] = state.streams.values();
    assert.ok((stream?.begin ?? 0n) > 20n, `${stream?.begin} messages crossed`);
  }
  return recordings;
}

/** Outcalls that are answered, rejected, answered late or never, while their callers and others work long. */
function outcalls(): readonly Recording[] {
  const recording = record(SMALL, (subnet) => {
    const ids = Array.from({ length: 4 }, () => installed(subnet));
    const arg = encodeArg("http_request", {
      url: "https://example.com/",
      max_response_bytes: 1_000n,
      method: { get: null },
      headers: [],
    });
    const request = callOut({
      to: MANAGEMENT,
      method: "http_request",
      arg,
      cycles: 10n ** 12n,
      onReply: [LONG, op.spin, 1, reply64],
      onReject: [50_000, op.spin, 2, reply64],
    });
    let answered = 0;
    for (let round = 0; round < 30; round++) {
      const batch = ids.map((id, i) =>
        round % 4 === i
          ? ask(subnet, id, request, request)
          : ask(subnet, id, round * i * 3_000, op.spin, 3, reply64),
      );
      const waiting = [...subnet.state.outcalls.values()].filter(({ id }) => id % 5 !== 0);
      const responses = waiting.slice(0, 2).map(({ id }) => ({
        outcall: id,
        spent: BigInt(id),
        content:
          id % 3 === 0
            ? ({ kind: "reject", code: 1, message: "no route" } as const)
            : ({ kind: "reply", data: RESPONSE } as const),
      }));
      answered += responses.length;
      subnet.round(batch, SECOND, { responses });
    }
    assert.ok(answered > 20 && subnet.state.outcalls.size > 0);
    // Callers that had to wait ask later.
    for (let i = 0; i < 4; i++) {
      rest(subnet);
      subnet.round([], 61n * SECOND);
    }
    rest(subnet);
    assert.equal(subnet.state.outcalls.size, 0);
  });
  return [recording];
}

const NAME = "test_key_1";
const KEYS: readonly ChainKeyId[] = [
  { kind: "ecdsa", curve: "secp256k1", name: NAME },
  { kind: "schnorr", algorithm: "bip340secp256k1", name: NAME },
  { kind: "schnorr", algorithm: "ed25519", name: NAME },
  { kind: "vetkd", curve: "bls12_381_g2", name: NAME },
];
/** A point of the group that transport keys are of: its generator. */
const TRANSPORT_KEY: Uint8Array = Buffer.from(
  "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb",
  "hex",
);
const PATH = [Uint8Array.of(1), new Uint8Array(0)];

/** Keys and signatures of each kind, asked for by canisters that work long before and after. */
function chainKeys(): readonly Recording[] {
  const ecdsa = { curve: { secp256k1: null }, name: NAME };
  const schnorr = (algorithm: string): object => ({ algorithm: { [algorithm]: null }, name: NAME });
  const vetKd = { curve: { bls12_381_g2: null }, name: NAME };
  const calls: readonly (readonly [string, object])[] = [
    ["ecdsa_public_key", { derivation_path: PATH, key_id: ecdsa }],
    ["sign_with_ecdsa", { message_hash: new Uint8Array(32).fill(7), derivation_path: PATH, key_id: ecdsa }],
    ...["bip340secp256k1", "ed25519"].map((algorithm): [string, object] => [
      "sign_with_schnorr",
      { message: Uint8Array.of(1, 2, 3), derivation_path: PATH, key_id: schnorr(algorithm) },
    ]),
    ["vetkd_public_key", { context: Uint8Array.of(4), key_id: vetKd }],
    [
      "vetkd_derive_key",
      {
        input: Uint8Array.of(5),
        context: Uint8Array.of(4),
        key_id: vetKd,
        transport_public_key: TRANSPORT_KEY,
      },
    ],
    ["sign_with_ecdsa", { message_hash: new Uint8Array(31), derivation_path: PATH, key_id: ecdsa }],
  ];
  const recording = record(
    SMALL,
    (subnet) => {
      const ids = Array.from({ length: 4 }, () => installed(subnet));
      for (const [round, [method, value]] of [...calls, ...calls].entries()) {
        const call = callOut({
          to: MANAGEMENT,
          method,
          arg: encodeArg(method, value),
          cycles: 10n ** 12n,
          onReply: [LONG, op.spin, 1, reply64],
          onReject: [30_000, op.spin, 2, reply64],
        });
        subnet.round(ids.map((id, i) => ask(subnet, id, (i + round) * 20_000, op.spin, call)));
      }
      rest(subnet);
      assert.equal(statuses(subnet, "replied"), 4 * 2 * calls.length + 2 * ids.length);
      assert.equal(statuses(subnet, "processing"), 0);
      const ends = [...subnet.state.ingressHistory.values()].map(({ status }) =>
        status.kind === "replied" && status.reply.length === 8 ? status.reply[0] : 0,
      );
      const ended = (how: number): number => ends.filter((end) => end === how).length;
      assert.deepEqual(
        [ended(1), ended(2)],
        [4 * 2 * (calls.length - 1), 4 * 2],
        "keys and signatures; rejects",
      );
    },
    { subnet: { chainKeys: KEYS }, chainKeys: createChainKeys(new Uint8Array(32).fill(5)) },
  );
  return [recording];
}

/** Modules made to hurt, a few in each round beside a canister that works: compiled and refused here or on a worker. */
function hostile(): readonly Recording[] {
  const recording = record({ ...SMALL, instructionsPerInstall: 40_000_000n }, (subnet) => {
    const neighbour = installed(subnet);
    const modules = HOSTILE_MODULES.filter(({ name }) => !/MiB/.test(name))
      .map(({ wasm }) => wasm())
      .filter(({ length }) => length < HOSTILE_BYTES_MAX);
    assert.ok(modules.length > 35, `${modules.length} modules`);
    for (let at = 0; at < modules.length; at += 4) {
      const uploads = modules.slice(at, at + 4).map((wasm) => {
        const id = subnet.create({ cycles: CYCLES });
        return subnet.envelope({ method: "install_code", arg: subnet.installArg(id, wasm) }).bytes;
      });
      subnet.round([...uploads, ask(subnet, neighbour, LONG, op.spin, 1, reply64)]);
    }
    rest(subnet);
    assert.equal(statuses(subnet, "processing"), 0);
  });
  return [recording];
}

const RESPONSE: Uint8Array = encodeArg("canister_status", {
  canister_id: Principal.fromUint8Array(new Uint8Array(10)),
});

export const WORKLOADS: readonly Workload[] = [
  { name: "heartbeats, timers and hooks", play: tasks },
  { name: "two subnets with streams between them", play: () => streams(20_261_123) },
  { name: "HTTPS outcalls", play: outcalls },
  { name: "chain keys", play: chainKeys },
  { name: "hostile modules", play: hostile },
  { name: "chaos", play: () => [chaosRecording({ seed: 7, rounds: 60 }).recording] },
  { name: "the golden programs, all at the same time", play: () => [goldenRecording()] },
];
