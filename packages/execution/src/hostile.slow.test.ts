/**
 * Hostile modules and messages through whole rounds: each comes to the verdict and the text that are documented, and what is refused leaves
 * nothing behind but its price. Cases that take seconds run when `ORRERY_HOSTILE` is `all`, as `npm run hostile` sets it.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CanisterId, toHex } from "@orrery/base";
import { fullStateHash, type IngressStatus, type ReplicatedState } from "@orrery/state";
import { executionCost } from "./fees.ts";
import { ENDLESS_START, HOSTILE_MODULES } from "./testing/hostile.testkit.ts";
import { SMALL, TestSubnet } from "./testing/long.testkit.ts";

const CYCLES = 10n ** 18n;
const ROUNDS_MAX = 400;

/** Everything of the state that a message which came to nothing must leave as it was: all but time, price and what the user is told. */
function residue(subnet: TestSubnet): string {
  const { state, arena } = subnet;
  const canisters = [...state.canisters].map(
    ([key, canister]) =>
      [
        key,
        {
          ...canister,
          meta: { ...canister.meta, cycles: 0n, logBytes: 0 },
          logs: [],
          nextLogIdx: 0n,
          consumed: new Map(),
          priority: 0,
          priorityCredit: 0,
          chargedUntil: 0n,
          nextContextId: 0,
          nextCallbackId: 0,
        },
      ] as const,
  );
  const calm = {
    ...state,
    canisters: new Map(canisters),
    ingressHistory: new Map(),
    height: 0,
    time: 0n,
    randomness: new Uint8Array(32),
    nodeMetrics: [],
    consumedCyclesTotal: 0n,
    updateTransactionsTotal: 0n,
  } as unknown as ReplicatedState;
  return toHex(fullStateHash(calm, arena));
}

/** Rounds until the request is answered. */
function settled(subnet: TestSubnet, id: Uint8Array): IngressStatus {
  for (let i = 0; i < ROUNDS_MAX; i++) {
    const status = subnet.status(id);
    if (status !== null && status.kind !== "received" && status.kind !== "processing") return status;
    subnet.round();
  }
  throw new Error(`not answered after ${ROUNDS_MAX} rounds`);
}

function install(subnet: TestSubnet, id: CanisterId, wasm: Uint8Array, mode?: unknown): IngressStatus {
  const options = mode === undefined ? {} : { mode };
  return settled(
    subnet,
    subnet.submit({ method: "install_code", arg: subnet.installArg(id, wasm, options) }),
  );
}

function assertRejected(status: IngressStatus, errorCode: string, text: string): void {
  assert.equal(
    status.kind,
    "rejected",
    JSON.stringify(status, (_, v) => (typeof v === "bigint" ? `${v}` : v)),
  );
  if (status.kind !== "rejected") return;
  assert.equal(status.errorCode, errorCode, status.message);
  assert.equal(status.code, Number(errorCode[3]));
  assert.ok(status.message.includes(text), status.message);
}

describe("modules", () => {
  const subnet = new TestSubnet();
  const victim = subnet.create({ cycles: CYCLES });
  for (const { name, wasm, verdict, slow } of HOSTILE_MODULES) {
    if (slow === true && process.env["ORRERY_HOSTILE"] !== "all") continue;
    test(`${name}: ${verdict === "installed" ? "installed" : "refused"}`, () => {
      const before = residue(subnet);
      const status = install(subnet, victim, wasm());
      if (verdict === "installed") {
        assert.equal(status.kind, "replied", JSON.stringify(status));
        assert.equal(subnet.manage("uninstall_code", victim).kind, "replied");
        return;
      }
      assertRejected(
        status,
        "IC0505",
        `Error from Canister rwlgt-iiaaa-aaaaa-aaaaa-cai: Canister's Wasm module is not valid: ${verdict.refused}`,
      );
      assert.equal(residue(subnet), before);
    });
  }
});

const LOOP = "(loop $l (br $l))";
const endless = (name: string): string => `(module (memory 1) (func (export "${name}") ${LOOP}))`;
/** Grows, writes to every new page, and goes on as long as anybody lets it. */
const STORM = `(module
  (import "ic0" "stable64_grow" (func $sgrow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $swrite (param i64 i64 i64)))
  (memory 1)
  (func (export "canister_update heap") (local $at i32)
    (loop $l
      (local.set $at (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
      (if (i32.lt_s (local.get $at) (i32.const 0)) (then (unreachable)))
      (i32.store (local.get $at) (i32.const 1))
      (br $l)))
  (func (export "canister_update stable") (local $at i64)
    (loop $l
      (local.set $at (i64.mul (call $sgrow (i64.const 1)) (i64.const 65536)))
      (call $swrite (local.get $at) (i64.const 0) (i64.const 65536))
      (br $l)))
  (func (export "canister_update leap") (drop (memory.grow (i32.const 65535))) (i32.store (i32.const 4294901760) (i32.const 1)) unreachable)
  (func (export "canister_update recurse") (call $deep))
  (func $deep (call $deep)))`;
/** Its task writes and never ends; `ok` replies what was written. */
function endlessTask(hook: string): string {
  return `(module
    (import "ic0" "msg_reply" (func $r)) (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
    (import "ic0" "global_timer_set" (func $t (param i64) (result i64)))
    (memory 1)
    (func (export "canister_init") (drop (call $t (i64.const 1))))
    (func (export "canister_update ok") (call $append (i32.const 0) (i32.const 1)) (call $r))
    (func (export "canister_update grow") (drop (memory.grow (i32.const 6))) (call $r))
    (func (export "${hook}") (i32.store8 (i32.const 0) (i32.const 1)) ${LOOP}))`;
}
const SMALL_MESSAGE = 40_000_000n;
const MESSAGE_SLICES = 20;
const MESSAGE_LIMIT = "exceeded the limit of 40000000 instructions for single message execution.";
/** The limit that is named is what compiling left of it. */
const INSTALL_LIMIT = " instructions for single message execution.";

describe("what never ends", () => {
  const subnet = new TestSubnet({ limits: SMALL });

  for (const [name, wasm] of [
    ["a start function", ENDLESS_START()],
    ["canister_init", endless("canister_init")],
  ] as const) {
    test(`${name}: the installation is refused`, () => {
      const id = subnet.create({ cycles: CYCLES });
      const before = residue(subnet);
      const begun = subnet.submit({ method: "install_code", arg: subnet.installArg(id, wasm) });
      assertRejected(settled(subnet, begun), "IC0522", INSTALL_LIMIT);
      assert.equal(residue(subnet), before);
    });
  }

  for (const hook of ["canister_pre_upgrade", "canister_post_upgrade"]) {
    test(`${hook}: the upgrade is refused and the old code answers`, () => {
      const id = subnet.installed(
        `(module (import "ic0" "msg_reply" (func $r)) (memory 1) (func (export "canister_update ok") (call $r))
          ${hook === "canister_pre_upgrade" ? `(func (export "${hook}") ${LOOP})` : ""})`,
        { cycles: CYCLES },
      );
      const before = residue(subnet);
      const arg = subnet.installArg(id, endless(hook), { mode: { upgrade: [] } });
      const begun = subnet.submit({ method: "install_code", arg });
      assertRejected(settled(subnet, begun), "IC0522", INSTALL_LIMIT);
      assert.equal(residue(subnet), before);
      assert.equal(subnet.call({ canisterId: id, method: "ok" }).kind, "replied");
    });
  }

  for (const [hook, kind] of [
    ["canister_heartbeat", "heartbeat"],
    ["canister_global_timer", "global_timer"],
    ["canister_on_low_wasm_memory", "on_low_wasm_memory"],
  ] as const) {
    test(`${hook}: it is cut off, paid for and undone; its canister answers all the same, others at once`, () => {
      const beating = new TestSubnet({ limits: { ...SMALL, heartbeatIntervalNs: 0n } });
      const other = beating.installed(
        `(module (import "ic0" "msg_reply" (func $r)) (func (export "canister_update ok") (call $r)))`,
        { cycles: CYCLES },
      );
      const id = beating.installed(endlessTask(hook), { cycles: CYCLES });
      if (kind === "on_low_wasm_memory") {
        const { meta } = beating.canister(id);
        meta.settings = {
          ...meta.settings,
          wasmMemoryLimit: 10n * 65_536n,
          wasmMemoryThreshold: 5n * 65_536n,
        };
        settled(beating, beating.submit({ canisterId: id, method: "grow" }));
      }
      const spent = (): bigint => beating.canister(id).consumed.get("instructions") ?? 0n;
      const running = (): string | undefined => {
        const work = beating.canister(id).running;
        return work?.kind === "message" ? work.entry.kind : undefined;
      };
      const before = spent();
      let slices = 1;
      for (let rounds = 0; running() === undefined; rounds++) {
        assert.ok(rounds < ROUNDS_MAX, "it never began");
        beating.round();
      }
      for (; running() === kind; slices++) {
        assert.ok(slices < ROUNDS_MAX, "it never ended");
        const asked = beating.submit({ canisterId: other, method: "ok" });
        assert.equal(beating.status(asked)?.kind, "replied", "another canister is answered in its round");
      }
      assert.equal(slices, MESSAGE_SLICES);
      assert.equal(spent() - before, executionCost(beating.state.subnet, SMALL_MESSAGE, false));
      const answer = settled(beating, beating.submit({ canisterId: id, method: "ok" }));
      assert.ok(answer.kind === "replied" && answer.reply[0] === 0, "what it wrote is gone");
      assert.equal(beating.manage("stop_canister", id).kind, "replied");
      assert.equal(beating.manage("delete_canister", id).kind, "replied");
    });
  }

  test("an update, and what it wrote is gone", () => {
    const id = subnet.installed(
      `(module (memory 16) (func (export "canister_update write") (local $i i32)
        (loop $l (i32.store (local.get $i) (i32.const 1))
          (local.set $i (i32.and (i32.add (local.get $i) (i32.const 4096)) (i32.const 0xfffff))) (br $l))))`,
      { cycles: CYCLES },
    );
    const before = residue(subnet);
    const asked = subnet.submit({ canisterId: id, method: "write" });
    assertRejected(settled(subnet, asked), "IC0522", MESSAGE_LIMIT);
    assert.equal(residue(subnet), before);
  });
});

describe("allocation storms", () => {
  const subnet = new TestSubnet({ limits: SMALL });
  const id = subnet.installed(STORM, { cycles: CYCLES });
  for (const [method, code, text] of [
    ["heap", "IC0502", "Canister trapped: unreachable"],
    ["stable", "IC0522", MESSAGE_LIMIT],
    ["leap", "IC0539", "Canister exceeded its current Wasm memory limit of 3221225472 bytes"],
    ["recurse", "IC0502", "Canister trapped: stack overflow"],
  ] as const) {
    test(`${method}: ends, and the memory is what it was`, () => {
      const before = residue(subnet);
      const asked = subnet.submit({ canisterId: id, method });
      assertRejected(settled(subnet, asked), code, text);
      assert.equal(residue(subnet), before);
    });
  }
});

/** `go` makes the call that its argument asks for and replies "ok", or with the reject's text. */
const CALLER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
  (import "ic0" "msg_reject_msg_size" (func $rsize (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $rcopy (param i32 i32 i32)))
  (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
  (import "ic0" "canister_self_size" (func $selfsize (result i32)))
  (import "ic0" "canister_self_copy" (func $self (param i32 i32 i32)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data (param i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 200) (table 4 funcref)
  (elem (i32.const 0) $done $refused $typed)
  (data (i32.const 64) "echo")
  (func $arg (param $i i32) (result i32)
    (call $copy (i32.const 0) (i32.mul (local.get $i) (i32.const 4)) (i32.const 4)) (i32.load (i32.const 0)))
  (func $done (param i32) (call $append (i32.const 64) (i32.const 4)) (call $reply))
  (func $refused (param i32)
    (call $rcopy (i32.const 128) (i32.const 0) (call $rsize))
    (call $append (i32.const 128) (call $rsize)) (call $reply))
  (func $typed (param i64) (result i64) (local.get 0))
  (func (export "canister_update call")
    (call $self (i32.const 32) (i32.const 0) (call $selfsize))
    (call $new (i32.const 32) (call $selfsize) (i32.const 64) (call $arg (i32.const 0))
      (call $arg (i32.const 1)) (i32.const 0) (call $arg (i32.const 2)) (i32.const 0))
    (call $data (i32.const 131072) (call $arg (i32.const 3)))
    (if (call $perform) (then (call $append (i32.const 64) (i32.const 1)) (call $reply))))
  (func (export "canister_update reply") (call $append (i32.const 131072) (call $arg (i32.const 0))) (call $reply))
  (func (export "canister_query answer") (call $append (i32.const 131072) (call $arg (i32.const 0))) (call $reply))
  (func (export "canister_update certify") (call $certify (i32.const 131072) (call $arg (i32.const 0))) (call $reply))
  (func (export "canister_update echo") (call $reply)))`;

function words(...values: readonly number[]): Uint8Array {
  const out = new Uint8Array(4 * values.length);
  for (const [i, value] of values.entries()) new DataView(out.buffer).setUint32(4 * i, value, true);
  return out;
}

interface MessageCase {
  readonly name: string;
  readonly method: string;
  readonly arg: Uint8Array;
  readonly error: readonly [code: string, text: string] | null;
  /** It is the callback that fails: what the message before it did stays. */
  readonly inCallback?: boolean;
}

const MIB = 1024 * 1024;
const [REPLY, REJECT, ILL_TYPED, NULL, OUTSIDE] = [0, 1, 2, 3, 1_000_000] as const;
const call = (name: number, reply: number, reject: number, payload: number): Uint8Array =>
  words(name, reply, reject, payload);
const MESSAGES: readonly MessageCase[] = [
  { name: "a call", method: "call", arg: call(4, REPLY, REJECT, 0), error: null },
  {
    name: "a null reply callback",
    method: "call",
    arg: call(4, NULL, REJECT, 0),
    error: ["IC0513", "Canister requested to invoke a non-existent Wasm function"],
    inCallback: true,
  },
  {
    name: "a reply callback outside the table",
    method: "call",
    arg: call(4, OUTSIDE, REJECT, 0),
    error: ["IC0513", "Canister requested to invoke a non-existent Wasm function"],
    inCallback: true,
  },
  {
    name: "an ill-typed reply callback",
    method: "call",
    arg: call(4, ILL_TYPED, REJECT, 0),
    error: ["IC0504", "Canister violated contract: function invocation does not match its signature"],
    inCallback: true,
  },
  {
    name: "a null reject callback",
    method: "call",
    arg: call(3, REPLY, NULL, 0),
    error: ["IC0513", "Canister requested to invoke a non-existent Wasm function"],
    inCallback: true,
  },
  { name: "a method name of 20,000 bytes", method: "call", arg: call(20_000, REPLY, REJECT, 0), error: null },
  {
    name: "a method name of 20,001 bytes",
    method: "call",
    arg: call(20_001, REPLY, REJECT, 0),
    error: ["IC0504", "20001"],
  },
  { name: "a request of 10 MiB", method: "call", arg: call(4, REPLY, REJECT, 10 * MIB - 4), error: null },
  {
    name: "a request of 10 MiB and a byte",
    method: "call",
    arg: call(4, REPLY, REJECT, 10 * MIB - 3),
    error: ["IC0504", "has a payload size of 10485761, which exceeds the allowed limit of 10485760"],
  },
  { name: "a reply of 2 MiB", method: "reply", arg: words(2 * MIB), error: null },
  {
    name: "a reply of 2 MiB and a byte",
    method: "reply",
    arg: words(2 * MIB + 1),
    error: ["IC0504", "application payload size (2097153) cannot be larger than 2097152"],
  },
  { name: "32 bytes certified", method: "certify", arg: words(32), error: null },
  { name: "33 bytes certified", method: "certify", arg: words(33), error: ["IC0504", "33"] },
];

describe("messages", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(CALLER, { cycles: CYCLES });
  for (const { name, method, arg, error, inCallback } of MESSAGES) {
    test(`${name}: ${error === null ? "answered" : "refused"}`, () => {
      const before = residue(subnet);
      const status = settled(subnet, subnet.submit({ canisterId: id, method, arg }));
      if (error === null) {
        assert.equal(status.kind, "replied", JSON.stringify(status));
        return;
      }
      assertRejected(status, ...error);
      const { callContexts, callbacks, running } = subnet.canister(id);
      assert.deepEqual([callContexts.size, callbacks.size, running], [0, 0, null]);
      if (inCallback !== true) assert.equal(residue(subnet), before);
    });
  }
});
