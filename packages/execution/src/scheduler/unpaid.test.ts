/**
 * What a canister does that cannot pay for a whole message (the replica's prepayment): heartbeats are skipped, a timer stays set, the
 * low-memory hook stays ready, calls are refused with their cycles; and once it can pay, each runs that waited.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { type CanisterId, MANAGEMENT_CANISTER, principalKey, utf8DecodeLossy } from "@orrery/base";
import { freezingThresholdCycles } from "../cycles.ts";
import { executionCost } from "../fees.ts";
import { limitsOf } from "../limits.ts";
import { encode, TestSubnet } from "../testing/subnet.testkit.ts";
import { RELAY, relayArg, relayResult } from "../testing/subnets.testkit.ts";
import { ExecutionIndex } from "./execution-index.ts";

const SECOND = 1_000_000_000n;
const RICH = 10n ** 15n;
const PAGE = 65_536n;
const Deposit = IDL.Record({ canister_id: IDL.Principal });

/** Counts heartbeats, timers, hooks and calls, in this order, and shows them in a query. */
const COUNTER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_cycles_accept" (func $accept (param i64) (result i64)))
  (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
  (memory 1) (data (i32.const 8) "a page")
  (func $count (param $at i32) (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1))))
  (func (export "canister_heartbeat") (call $count (i32.const 0)))
  (func (export "canister_global_timer") (call $count (i32.const 1)))
  (func (export "canister_on_low_wasm_memory") (call $count (i32.const 2)))
  (func (export "canister_update echo") (call $count (i32.const 3)) (drop (call $accept (i64.const 1))) (call $reply))
  (func (export "canister_update arm") (drop (call $timer (i64.const 1))) (call $reply))
  (func (export "canister_update grow") (drop (memory.grow (i32.const 100))) (call $reply))
  (func (export "canister_query counts") (call $append (i32.const 0) (i32.const 4)) (call $reply)))`;

interface World {
  readonly subnet: TestSubnet;
  readonly id: CanisterId;
  counts(): number[];
  /** Leaves the canister what a message costs above its threshold, and so much more. */
  leave(more: bigint): void;
  needsRounds(): boolean;
}

function world(): World {
  const { instructionsPerMessage } = limitsOf("application");
  const subnet = new TestSubnet();
  const counted = subnet.installed(COUNTER, { cycles: RICH });
  return {
    subnet,
    id: counted,
    counts: () => [...subnet.arena.view(subnet.canister(counted).memory.heap.get(0)).subarray(0, 4)],
    leave: (more) =>
      void subnet.execution.edit(principalKey(counted), ({ meta }) => {
        const cost = executionCost(subnet.state.subnet, instructionsPerMessage, false);
        meta.cycles = freezingThresholdCycles(subnet.state.subnet, meta) + cost + more;
      }),
    needsRounds: () => subnet.results.at(-1)?.moreWork === true,
  };
}

describe("a canister that cannot pay for a message", () => {
  test("skips its heartbeats", () => {
    const { subnet, counts, leave } = world();
    const before = counts()[0] ?? 0;
    leave(-1n);
    subnet.round([], 2n * SECOND);
    assert.equal(counts()[0], before);
    leave(0n);
    subnet.round([], 2n * SECOND);
    assert.equal(counts()[0], before + 1);
  });

  test("keeps its timer, which goes off once it can pay", () => {
    const { subnet, id, counts, leave } = world();
    subnet.execution.edit(principalKey(id), ({ meta }) => {
      meta.globalTimer = 1n;
    });
    leave(-1n);
    for (let i = 0; i < 3; i++) subnet.round();
    assert.deepEqual([counts()[1], subnet.canister(id).meta.globalTimer], [0, 1n]);
    leave(0n);
    subnet.round();
    assert.deepEqual([counts()[1], subnet.canister(id).meta.globalTimer], [1, 0n]);
  });

  test("keeps its low-memory hook ready, which runs once it can pay; meanwhile nothing is done for it", () => {
    const { subnet, id, counts, leave, needsRounds } = world();
    subnet.execution.edit(principalKey(id), ({ meta }) => {
      meta.settings = {
        ...meta.settings,
        wasmMemoryLimit: 200n * PAGE,
        wasmMemoryThreshold: 199n * PAGE + 1n,
      };
      meta.lowMemoryHook = "ready";
    });
    leave(-1n);
    for (let i = 0; i < 3; i++) subnet.round();
    const { meta } = subnet.canister(id);
    assert.deepEqual([counts()[2], meta.lowMemoryHook, needsRounds()], [0, "ready", false]);
    assert.equal(new ExecutionIndex(subnet.state).lowMemory.size, 0);
    // Messages go on to be refused, not to wait behind it.
    const refused = subnet.rejection({ canisterId: id, method: "echo" });
    assert.equal(refused.errorCode, "IC0207");
    assert.equal(meta.lowMemoryHook, "ready");
    // A restart finds it too.
    subnet.reload(subnet.runner);
    leave(0n);
    subnet.round();
    assert.deepEqual([counts()[2], meta.lowMemoryHook], [1, "executed"]);
    subnet.round();
    assert.equal(counts()[2], 1);
  });

  test("runs its low-memory hook in the round that brings it the cycles", () => {
    const { subnet, id, counts, leave } = world();
    const giver = subnet.installed(RELAY, { cycles: RICH });
    subnet.execution.edit(principalKey(id), ({ meta }) => {
      meta.settings = { ...meta.settings, wasmMemoryLimit: 200n * PAGE, wasmMemoryThreshold: 200n * PAGE };
      meta.lowMemoryHook = "ready";
    });
    leave(-1n);
    subnet.round();
    assert.equal(counts()[2], 0);
    const arg = relayArg({
      to: MANAGEMENT_CANISTER,
      method: "deposit_cycles",
      cycles: 5_000n,
      arg: encode([Deposit], [{ canister_id: Principal.fromUint8Array(id) }]),
    });
    const { cycles } = subnet.canister(id).meta;
    subnet.submit({ canisterId: giver, method: "relay", arg });
    for (let i = 0; i < 5 && subnet.canister(id).meta.cycles === cycles; i++) subnet.round();
    assert.equal(counts()[2], 1);
  });

  for (const timeoutSeconds of [0, 60]) {
    test(`refuses calls that are ${timeoutSeconds === 0 ? "guaranteed" : "best-effort"}, with all their cycles`, () => {
      const { subnet, id, counts, leave } = world();
      const caller = subnet.installed(RELAY, { cycles: RICH });
      const call = () => {
        const arg = relayArg({ to: id, method: "echo", cycles: 5_000n, timeoutSeconds });
        return relayResult(subnet.call({ canisterId: caller, method: "relay", arg }));
      };
      leave(-1n);
      const { cycles } = subnet.canister(id).meta;
      const refused = call();
      assert.deepEqual([refused.code, refused.refunded], [2, 5_000n]);
      assert.match(
        utf8DecodeLossy(refused.data),
        /^IC0207: Canister rwlgt-iiaaa-aaaaa-aaaaa-cai is out of cycles/,
      );
      assert.deepEqual([counts()[3], subnet.canister(id).meta.cycles], [0, cycles]);
      // Room for the response raises the threshold.
      leave(RICH);
      assert.deepEqual([call().refunded, counts()[3]], [4_999n, 1]);
    });
  }
});
