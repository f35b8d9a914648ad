/** What rounds owe to time: heartbeats, timers, charges, expiries, deadlines, hooks, and the order of what waits. */
import assert from "node:assert/strict";
import test from "node:test";
import { type CanisterId, type NodeId, principalKey, utf8 } from "@orrery/base";
import { touch } from "@orrery/state";
import fc from "fast-check";
import { freezingThresholdCycles } from "../cycles.ts";
import {
  encodeScript,
  type Script,
  type ScriptedCall,
  ScriptedRunner,
} from "../testing/scripted-runner.testkit.ts";
import { START_TIME, TestSubnet } from "../testing/subnet.testkit.ts";
import { totalCycles } from "../testing/total-cycles.testkit.ts";
import { InstantHeap } from "./heap.ts";

const SECOND = 1_000_000_000n;
const MODULE = Uint8Array.of(9);

const TICKER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (memory 1)
  (func (export "canister_heartbeat")
    (i32.store8 (i32.const 0) (i32.add (i32.load8_u (i32.const 0)) (i32.const 1))))
  (func (export "canister_update grow") (drop (memory.grow (i32.const 100))) (call $reply))
  (func (export "canister_on_low_wasm_memory")
    (i32.store8 (i32.const 1) (i32.add (i32.load8_u (i32.const 1)) (i32.const 1))))
  (func (export "canister_query get") (call $append (i32.const 0) (i32.const 2)) (call $reply)))`;

const REPLY: Script = { accept: 0, burn: 0, calls: [], respond: "reply", trap: false, instructions: 1 };

function calling(call: Partial<ScriptedCall>): Script {
  const whole: ScriptedCall = {
    to: "",
    method: "run",
    cycles: 0,
    payload: REPLY,
    onReply: REPLY,
    onReject: { ...REPLY, respond: "reject" },
    cleanup: false,
    timeoutSeconds: null,
    ...call,
  };
  return { ...REPLY, respond: "nothing", calls: [whole] };
}

test("a heap pops by time and key whatever the order of insertion", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.bigInt({ min: 0n, max: 20n }), fc.string({ maxLength: 2 }))),
      (items) => {
        const heap = new InstantHeap();
        for (const [time, key] of items) heap.push(time, key);
        const popped: [bigint, string][] = [];
        for (let next = heap.popUntil(20n); next !== null; next = heap.popUntil(20n))
          popped.push([next.time, next.key]);
        const sorted = items.toSorted((a, b) =>
          a[0] === b[0] ? (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0) : a[0] < b[0] ? -1 : 1,
        );
        assert.deepEqual(popped, sorted);
      },
    ),
  );
});

test("heartbeats run once a second of block time, or every round where the grid is off", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(TICKER);
  const beats = (): number => subnet.reply({ canisterId: id, method: "get" })[0] ?? -1;
  const before = beats();
  for (let i = 0; i < 10; i++) subnet.round([], SECOND / 10n);
  assert.equal(beats(), before + 1);
  assert.equal(subnet.results.at(-1)?.nextTimer, (subnet.state.time / SECOND + 1n) * SECOND);
  subnet.manage("stop_canister", id);
  const stopped = subnet.canister(id).meta.version;
  subnet.round([], 3n * SECOND);
  assert.equal(subnet.canister(id).meta.version, stopped);
  const every = new TestSubnet({ limits: { heartbeatIntervalNs: 0n } });
  const other = every.installed(TICKER);
  const first = every.reply({ canisterId: other, method: "get" })[0] ?? 0;
  for (let i = 0; i < 5; i++) every.round();
  assert.equal(every.reply({ canisterId: other, method: "get" })[0], first + 6);
});

test("the low-memory hook runs once per crossing of its threshold", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(TICKER);
  const { meta } = subnet.canister(id);
  meta.settings = { ...meta.settings, wasmMemoryLimit: 200n * 65_536n, wasmMemoryThreshold: 120n * 65_536n };
  const hooks = (): number => subnet.reply({ canisterId: id, method: "get" })[1] ?? -1;
  assert.equal(hooks(), 0);
  subnet.reply({ canisterId: id, method: "grow" });
  assert.equal(hooks(), 1);
  assert.equal(meta.lowMemoryHook, "executed");
  subnet.round();
  assert.equal(hooks(), 1);
});

test("storage is paid on a grid of ten seconds and a depleted canister is uninstalled", () => {
  const subnet = new TestSubnet({ runner: new ScriptedRunner() });
  const id = subnet.installed(MODULE);
  const canister = subnet.canister(id);
  const { meta } = canister;
  meta.settings = { ...meta.settings, memoryAllocation: 1n << 30n };
  touch(subnet.state, canister);
  subnet.round([], 1n);
  const before = meta.cycles;
  subnet.round([], 1n);
  assert.equal(meta.cycles, before);
  subnet.round([], 3_600n * SECOND);
  const paid = before - meta.cycles;
  assert.equal(canister.consumed.get("memory"), paid);
  assert.equal(paid, 3_600n * 127_000n);
  meta.cycles = 5n;
  meta.reservedCycles = 3n;
  touch(subnet.state, canister);
  subnet.round([], 1n);
  subnet.round([], 3_600n * SECOND);
  assert.equal(meta.cycles + meta.reservedCycles, 0n);
  assert.equal(meta.module, null);
  assert.equal(canister.history.length, 0);
  assert.ok(canister.historyTotal > 0n);
  assert.equal(meta.settings.controllers.length, 1);
});

test("a frozen canister refuses messages as transient and says no more than it must", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(TICKER);
  const { meta } = subnet.canister(id);
  meta.cycles = freezingThresholdCycles(subnet.state.subnet, meta) + 1n;
  const status = subnet.call({ canisterId: id, method: "grow", sender: utf8("x") as never });
  assert.equal(status.kind === "rejected" ? status.errorCode : "", "IC0207");
  assert.match(status.kind === "rejected" ? status.message : "", /is out of cycles$/);
  const told = subnet.call({ canisterId: id, method: "grow" });
  assert.match(
    told.kind === "rejected" ? told.message : "",
    /please top up the canister with at least \d+ additional cycles$/,
  );
});

test("ingress that does not start before its expiry is told so", () => {
  const runner = new ScriptedRunner();
  const subnet = new TestSubnet({ runner, limits: { instructionsPerRound: 1n, partitions: 1 } });
  const id = subnet.installed(MODULE);
  const messages = [1, 2, 3].map(() =>
    subnet.envelope({
      canisterId: id,
      method: "run",
      arg: encodeScript(REPLY),
      expiry: START_TIME + 100n * SECOND,
    }),
  );
  const first = subnet.round(messages.map(({ bytes }) => bytes));
  assert.equal(first.moreWork, true);
  assert.equal(subnet.status((messages[0] as { id: Uint8Array }).id)?.kind, "replied");
  subnet.round([], 101n * SECOND);
  for (const { id: request } of messages.slice(1)) {
    const status = subnet.status(request);
    assert.equal(status?.kind === "rejected" ? status.errorCode : status?.kind, "IC0202");
    assert.match(
      status?.kind === "rejected" ? status.message : "",
      /^Ingress message [0-9a-f]{64} timed out waiting/,
    );
  }
  assert.equal(subnet.canister(id).queues.ingress.length, 0);
});

test("a best-effort call is answered at its deadline, and its late answer only brings its cycles back", () => {
  const runner = new ScriptedRunner();
  const subnet = new TestSubnet({ runner });
  const [a, b] = [subnet.installed(MODULE), subnet.installed(MODULE)] as [CanisterId, CanisterId];
  // b waits for randomness, which takes a round; by then a's second has passed.
  const waits = calling({ method: "raw_rand" });
  const script = calling({ to: principalKey(b), cycles: 1_000, payload: waits, timeoutSeconds: 1 });
  const request = subnet.submit({ canisterId: a, method: "run", arg: encodeScript(script) });
  assert.equal(subnet.status(request)?.kind, "processing");
  assert.equal(subnet.results.at(-1)?.nextTimer, START_TIME + 2n * SECOND);
  const total = totalCycles(subnet.state);
  subnet.round([], 2n * SECOND);
  assert.equal(subnet.status(request)?.kind, "rejected");
  assert.equal(subnet.canister(a).callbacks.size, 0);
  assert.equal(subnet.canister(a).consumed.get("burned_cycles"), undefined);
  assert.equal(totalCycles(subnet.state), total);
  assert.deepEqual(runner.wrong, []);
});

const TIMED = (hook: string): string => `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "global_timer_set" (func $set (param i64) (result i64)))
  (memory 1)
  (func (export "${hook}") (i32.store8 (i32.const 0) (i32.add (i32.load8_u (i32.const 0)) (i32.const 1))))
  (func (export "canister_update set")
    (i64.store (i32.const 8) (call $set (i64.const 1))) (call $append (i32.const 8) (i32.const 8)) (call $reply))
  (func (export "canister_query get") (call $append (i32.const 0) (i32.const 1)) (call $reply)))`;

test("a timer that cannot be paid for stays set, keeps nobody busy, and goes off when cycles come", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(TIMED("canister_global_timer"));
  const count = (): number => subnet.reply({ canisterId: id, method: "get" })[0] ?? -1;
  subnet.reply({ canisterId: id, method: "set" });
  subnet.round();
  assert.equal(count(), 1);
  const { meta } = subnet.canister(id);
  const { cycles } = meta;
  subnet.execution.edit(principalKey(id), (canister) => {
    canister.meta.globalTimer = subnet.state.time + SECOND;
    canister.meta.cycles = 1_000n;
  });
  for (let i = 0; i < 3; i++) subnet.round([], SECOND);
  assert.equal(subnet.results.at(-1)?.moreWork, false);
  assert.equal(subnet.results.at(-1)?.nextTimer, null);
  assert.notEqual(subnet.canister(id).meta.globalTimer, 0n);
  subnet.execution.edit(principalKey(id), (canister) => {
    canister.meta.cycles = cycles;
  });
  subnet.round();
  assert.equal(subnet.canister(id).meta.globalTimer, 0n);
  assert.equal(count(), 2);
});

test("the timer of a module without its hook stays set", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(TIMED("no_hook"));
  const before = (): number => subnet.reply({ canisterId: id, method: "set" })[0] ?? -1;
  assert.equal(before(), 0);
  subnet.round([], SECOND);
  assert.equal(before(), 1);
});

test("calls beyond the queue's capacity are refused and slots come back with answers", () => {
  const runner = new ScriptedRunner();
  const subnet = new TestSubnet({ runner });
  const [a, b] = [subnet.installed(MODULE, { cycles: 10n ** 18n }), subnet.installed(MODULE)] as [
    CanisterId,
    CanisterId,
  ];
  const [one] = calling({ to: principalKey(b), onReply: { ...REPLY, respond: "nothing" } }).calls as [
    ScriptedCall,
  ];
  const script: Script = { ...REPLY, respond: "nothing", calls: Array.from({ length: 600 }, () => one) };
  const request = subnet.submit({ canisterId: a, method: "run", arg: encodeScript(script) });
  subnet.settle(request);
  assert.equal(runner.executions, 1 + 500 + 500);
  assert.equal(subnet.canister(a).outstandingByCallee.size, 0);
});

test("calls to a canister that asks for cycles are refused without them, its own calls are not", () => {
  const runner = new ScriptedRunner();
  const subnet = new TestSubnet({ runner });
  const [a, b] = [subnet.installed(MODULE), subnet.installed(MODULE)] as [CanisterId, CanisterId];
  for (const id of [a, b]) {
    const { meta } = subnet.canister(id);
    meta.settings = { ...meta.settings, minimumIncomingCallCycles: 500n };
  }
  const call = (to: CanisterId, cycles: number): string =>
    subnet.call({
      canisterId: a,
      method: "run",
      arg: encodeScript(calling({ to: principalKey(to), cycles })),
    }).kind;
  assert.equal(call(b, 499), "rejected");
  assert.equal(call(b, 500), "replied");
  assert.equal(call(a, 0), "replied");
});

test("who waited longest goes first when a round is short", () => {
  const runner = new ScriptedRunner();
  const subnet = new TestSubnet({ runner, limits: { instructionsPerRound: 1n, partitions: 1 } });
  const ids = [1, 2, 3].map(() => subnet.installed(MODULE));
  const messages = ids.map((id) =>
    subnet.envelope({ canisterId: id, method: "run", arg: encodeScript(REPLY) }),
  );
  subnet.round(messages.map(({ bytes }) => bytes));
  const late = subnet.envelope({ canisterId: ids[0] as CanisterId, method: "run", arg: encodeScript(REPLY) });
  subnet.round([late.bytes]);
  subnet.round();
  for (const { id } of messages) assert.equal(subnet.status(id)?.kind, "replied");
  assert.equal(subnet.status(late.id)?.kind, "received");
  assert.equal(subnet.round().moreWork, false);
  assert.equal(subnet.status(late.id)?.kind, "replied");
});

test("under load the oldest answers are forgotten, never the fact that there was one", () => {
  const subnet = new TestSubnet({ runner: new ScriptedRunner(), limits: { ingressHistoryBytes: 100 } });
  const id = subnet.installed(MODULE);
  const requests = Array.from({ length: 40 }, () =>
    subnet.submit({ canisterId: id, method: "run", arg: encodeScript(REPLY) }),
  );
  const kinds = requests.map((request) => subnet.status(request)?.kind);
  // An answer has four bytes.
  assert.deepEqual(kinds, [...Array(15).fill("done"), ...Array(25).fill("replied")]);
  subnet.round([], 400n * SECOND);
  assert.equal(subnet.state.ingressHistory.size, 0);
});

test("a round has more room where the state lists several nodes, from the round after the one that says so", () => {
  const node = (i: number): { readonly nodeId: NodeId; readonly publicKey: Uint8Array } => ({
    nodeId: Uint8Array.of(i) as NodeId,
    publicKey: new Uint8Array(44),
  });
  const limits = { instructionsPerRound: 2n, instructionsPerAgreedRound: 5n, overheadPerMessage: 0n };
  const subnet = new TestSubnet({ runner: new ScriptedRunner(), limits, subnet: { nodes: [node(1)] } });
  const id = subnet.installed(MODULE);
  const calls = Array.from(
    { length: 20 },
    () => subnet.envelope({ canisterId: id, method: "run", arg: encodeScript(REPLY) }).bytes,
  );
  const answered = [
    subnet.round(calls),
    subnet.round([], 1n, { nodes: [node(1), node(2)] }),
    subnet.round(),
    subnet.round([], 1n, { nodes: [node(1)] }),
    subnet.round(),
  ].map((result) => result.answered.length);
  assert.deepEqual(answered, [2, 2, 5, 5, 2]);
});
