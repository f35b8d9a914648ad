/**
 * Long messages at a thousandth of their size, a canister that executes as much as it is told, and runs of whole workloads that
 * can be compared: the same batches on other executors, with restarts in between, must give the same hashes in every round.
 */
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { type Batch, type CanisterId, toHex } from "@orrery/base";
import { decodeCanister, encodeCanister, fullStateHash, type ReplicatedState } from "@orrery/state";
import { createEngine } from "@orrery/wasm";
import { createExecution } from "../apply-batch.ts";
import type { ExecutionLimits } from "../limits.ts";
import { type RunnerOptions, WasmRunner } from "../runner/runner.ts";
import { inlineExecutor } from "../scheduler/round.ts";
import type { BatchResult, Executor } from "../types.ts";
import { TestSubnet, type TestSubnetOptions } from "./subnet.testkit.ts";

export { IDL } from "@icp-sdk/core/candid";
export { encode, TestSubnet } from "./subnet.testkit.ts";
export { TestSubnets } from "./subnets.testkit.ts";
export { totalCycles } from "./total-cycles.testkit.ts";

export const SMALL: Partial<ExecutionLimits> = {
  instructionsPerRound: 4_000_000n,
  instructionsPerSlice: 2_000_000n,
  instructionsPerInstallSlice: 2_000_000n,
  instructionsPerMessage: 40_000_000n,
  instructionsPerInstall: 300_000_000n,
  overheadPerMessage: 2_000n,
};

/** Instructions of one turn of the spinner's loop. */
export const SPIN_INSTRUCTIONS = 23;

/**
 * `spin` turns its loop as often as its argument says, writing all over its heap and once to stable memory, and replies with its
 * turns so far (u32), the time and its performance counter (u64 each). `burn` traps at the end. `pass` calls `spin` of the canister
 * in its argument's tail and spins in the callback. Installation spins as often as its argument says.
 */
export const SPINNER: string = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $argsize (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $argcopy (param i32 i32 i32)))
  (import "ic0" "time" (func $time (result i64)))
  (import "ic0" "performance_counter" (func $perf (param i32) (result i64)))
  (import "ic0" "debug_print" (func $print (param i32 i32)))
  (import "ic0" "stable64_grow" (func $sgrow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $swrite (param i64 i64 i64)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data (param i32 i32)))
  (import "ic0" "call_on_cleanup" (func $cleanup (param i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (table funcref (elem $replied $rejected $cleaned))
  (memory 4)
  (data (i32.const 40) "spin")
  (global $turns (mut i32) (i32.const 0))
  (func $spin (param $n i32)
    (local $i i32)
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (local.get $n)))
      (i32.store
        (i32.add (i32.const 65536) (i32.and (i32.mul (local.get $i) (i32.const 68)) (i32.const 0x1fffc)))
        (i32.add (local.get $i) (global.get $turns)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    (global.set $turns (i32.add (global.get $turns) (local.get $n))))
  (func $n (result i32) (call $argcopy (i32.const 0) (i32.const 0) (i32.const 4)) (i32.load (i32.const 0)))
  (func $answer
    (i32.store (i32.const 8) (global.get $turns))
    (i64.store (i32.const 12) (call $time))
    (i64.store (i32.const 20) (call $perf (i32.const 0)))
    (call $append (i32.const 8) (i32.const 20)) (call $reply))
  (func (export "canister_init") (call $spin (call $n)))
  (func (export "canister_pre_upgrade") (call $spin (i32.const 150000)))
  (func (export "canister_post_upgrade") (call $spin (call $n)))
  (func (export "canister_update spin")
    (call $spin (call $n))
    (drop (call $sgrow (i64.const 1)))
    (call $swrite (i64.const 100) (i64.const 65536) (i64.const 5000))
    (call $print (i32.const 40) (i32.const 4))
    (call $answer))
  (func (export "canister_update burn") (call $spin (call $n)) unreachable)
  (func (export "canister_update pass")
    (call $argcopy (i32.const 0) (i32.const 0) (call $argsize))
    (call $new (i32.const 8) (i32.sub (call $argsize) (i32.const 8)) (i32.const 40) (i32.const 4)
      (i32.const 0) (i32.load (i32.const 4)) (i32.const 1) (i32.const 0))
    (call $data (i32.const 0) (i32.const 4))
    (call $cleanup (i32.const 2) (i32.const 100000))
    (drop (call $perform)))
  (func $replied (param $n i32)
    (call $spin (local.get $n))
    (if (i32.and (local.get $n) (i32.const 1)) (then (unreachable)))
    (call $answer))
  (func $rejected (param i32) (call $answer))
  (func $cleaned (param $n i32) (call $spin (local.get $n)))
  (func (export "canister_query look") (call $spin (call $n)) (call $answer))
  (func (export "canister_query turns")
    (i32.store (i32.const 8) (global.get $turns)) (call $append (i32.const 8) (i32.const 4)) (call $reply)))`;

export function u32(...values: readonly number[]): Uint8Array {
  const out = new Uint8Array(4 * values.length);
  const view = new DataView(out.buffer);
  for (const [i, value] of values.entries()) view.setUint32(4 * i, value, true);
  return out;
}

/** Argument of `pass`: the callee spins `there` times, the callback `here` times; an odd number traps at the end. */
export function passArg(there: number, here: number, callee: CanisterId): Uint8Array {
  return new Uint8Array([...u32(there, here), ...callee]);
}

/** What one round came to. */
export interface RoundHashes {
  readonly root: string;
  readonly full: string;
  readonly instructions: bigint;
  readonly more: boolean;
  /** Canisters in the middle of a message or an installation. */
  readonly running: number;
}

export interface Recording {
  /** Of the subnet that a replay begins with. */
  readonly options: TestSubnetOptions;
  readonly batches: readonly Batch[];
  readonly hashes: readonly RoundHashes[];
}

function hashesOf(subnet: Pick<TestSubnet, "state" | "arena">, result: BatchResult): RoundHashes {
  return {
    root: toHex(result.rootHash),
    full: toHex(fullStateHash(subnet.state, subnet.arena)),
    instructions: result.instructions,
    more: result.moreWork,
    running: [...subnet.state.canisters.values()].filter(({ running }) => running !== null).length,
  };
}

/** Keeps the batches and hashes of a subnet from now on; to be called before its first round. */
export function keep(subnet: TestSubnet): Recording {
  const batches: Batch[] = [];
  const hashes: RoundHashes[] = [];
  const { execution, options } = subnet;
  subnet.execution = {
    ...execution,
    applyBatch(batch): BatchResult {
      const result = execution.applyBatch(batch);
      batches.push(batch);
      hashes.push(hashesOf(subnet, result));
      return result;
    },
  };
  return { options, batches, hashes };
}

/** Plays a workload on the calling thread and keeps its batches and hashes. */
export function record(
  limits: Partial<ExecutionLimits>,
  workload: (subnet: TestSubnet) => void,
  options: Omit<TestSubnetOptions, "limits"> = {},
): Recording {
  const subnet = new TestSubnet({ ...options, limits });
  const recording = keep(subnet);
  workload(subnet);
  return recording;
}

/** What an executor of another kind is made from. */
export interface ReplayParts {
  readonly state: ReplicatedState;
  readonly arena: TestSubnet["arena"];
  readonly runner: WasmRunner;
  readonly limits: Partial<ExecutionLimits>;
}

/** Every record as its durable form says, in other objects and another order: what a restart leaves. */
function reloadRecords({ canisters }: ReplicatedState): void {
  for (const [key, canister] of [...canisters].reverse()) {
    canisters.delete(key);
    canisters.set(key, decodeCanister(encodeCanister(canister), canister.memory));
  }
}

/**
 * Applies the batches again with another executor, a new one after each round for which `restart` says so, and compares every
 * round's hashes.
 */
export function replay(
  recording: Recording,
  options: {
    readonly executor?: (parts: ReplayParts) => Executor;
    readonly restart?: (round: number) => boolean;
    /** Told of an executor that a restart leaves behind. */
    readonly left?: (executor: Executor) => void;
    /** Told before each round. */
    readonly before?: (round: number, executor: Executor, state: ReplicatedState) => void;
    /** Which canisters run in the profiling form. */
    readonly profiling?: RunnerOptions["profiling"];
  } = {},
): void {
  const { restart = () => false } = options;
  const { limits = {}, chainKeys } = recording.options;
  const subnet = new TestSubnet(recording.options);
  const { state, arena } = subnet;
  const open = (): Executor => {
    const runner = new WasmRunner({
      engine: createEngine(),
      pages: arena,
      modules: state.blobs,
      inflate: (bytes, max) => new Uint8Array(gunzipSync(bytes, { maxOutputLength: max })),
      ...(options.profiling === undefined ? {} : { profiling: options.profiling }),
    });
    const executor = options.executor?.({ state, arena, runner, limits }) ?? inlineExecutor;
    subnet.execution = createExecution(state, {
      runner,
      executor,
      arena,
      limits,
      ...(chainKeys === undefined ? {} : { chainKeys }),
    });
    return executor;
  };
  let executor = open();
  for (const [round, batch] of recording.batches.entries()) {
    options.before?.(round, executor, state);
    const result = subnet.execution.applyBatch(batch);
    arena.advance(batch.height);
    // Versions that were given up are free for others, as in a node.
    arena.reclaim(batch.height - 1);
    assert.deepEqual(hashesOf(subnet, result), recording.hashes[round], `round ${round}`);
    if (!restart(round)) continue;
    options.left?.(executor);
    reloadRecords(state);
    executor = open();
  }
}
