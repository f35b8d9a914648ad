/**
 * Random batches of long and short messages, traps, installations, settings and snapshots: workers that know canisters from earlier
 * jobs, one that is given nearly everything and several, come to the hashes of the calling thread in every round.
 */
import { test } from "node:test";
import { Principal } from "@icp-sdk/core/principal";
import type { CanisterId } from "@orrery/base";
import {
  encode,
  IDL,
  passArg,
  record,
  SMALL,
  SPINNER,
  type TestSubnet,
  u32,
} from "@orrery/execution/testing";
import { sameAtEveryWorkerCount } from "./worker-counts.testkit.ts";

const SECOND = 1_000_000_000n;
const CYCLES = 90_000_000_000_000n;
const SEEDS = [104_729, 209_458];
const ROUNDS = 60;

/** Adds to words all over its heap, reads what it finds in stable memory and writes the sum back: old pages show. */
const TALLY = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_copy" (func $argcopy (param i32 i32 i32)))
  (import "ic0" "stable64_grow" (func $sgrow (param i64) (result i64)))
  (import "ic0" "stable64_size" (func $ssize (result i64)))
  (import "ic0" "stable64_write" (func $swrite (param i64 i64 i64)))
  (import "ic0" "stable64_read" (func $sread (param i64 i64 i64)))
  (memory 2)
  (func $bump (param $at i32)
    (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (i32.const 1))))
  (func $work (local $i i32)
    (call $argcopy (i32.const 0) (i32.const 0) (i32.const 4))
    (local.set $i (i32.load (i32.const 0)))
    (loop $next
      (call $bump (i32.add (i32.const 4096)
        (i32.and (i32.mul (local.get $i) (i32.const 4100)) (i32.const 0xfffc))))
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (br_if $next (i32.gt_s (local.get $i) (i32.const 0))))
    (if (i64.eqz (call $ssize)) (then (drop (call $sgrow (i64.const 1)))))
    (call $sread (i64.const 600) (i64.const 8192) (i64.const 8))
    (i64.store (i32.const 600) (i64.add (i64.load (i32.const 600)) (i64.load (i32.const 8192))))
    (call $swrite (i64.const 8192) (i64.const 600) (i64.const 8)))
  (func (export "canister_init") (call $bump (i32.const 8192)))
  (func (export "canister_update spin") (call $work)
    (call $append (i32.const 600) (i32.const 8)) (call $reply))
  (func (export "canister_update burn") (call $work) unreachable))`;

const Settings = IDL.Record({ compute_allocation: IDL.Opt(IDL.Nat) });
const Update = IDL.Record({ canister_id: IDL.Principal, settings: Settings });
const Take = IDL.Record({ canister_id: IDL.Principal });
const Load = IDL.Record({ canister_id: IDL.Principal, snapshot_id: IDL.Vec(IDL.Nat8) });

/** A generator of pseudorandom numbers below `n`: one seed, one workload. */
function dice(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

function snapshotOf(subnet: TestSubnet, id: CanisterId, roll: (n: number) => number): Uint8Array | null {
  const owner = Principal.fromUint8Array(id).toText();
  const own = [...subnet.state.snapshots.values()].filter(
    ({ canisterId }) => Principal.fromUint8Array(canisterId).toText() === owner,
  );
  return own[roll(Math.max(1, own.length))]?.id ?? null;
}

function workload(seed: number): (subnet: TestSubnet) => void {
  return (subnet) => {
    const roll = dice(seed);
    const codes = [SPINNER, TALLY, TALLY, TALLY];
    const ids = codes.map((code) => subnet.installed(code, { arg: u32(10), cycles: CYCLES }));
    const turns = (): number => roll(roll(3) === 0 ? 300_000 : 30_000);
    const one = (): Uint8Array => {
      const which = roll(ids.length);
      const id = ids[which] as CanisterId;
      const canister_id = Principal.fromUint8Array(id);
      const call = (canisterId: CanisterId, method: string, arg: Uint8Array): Uint8Array =>
        subnet.envelope({ canisterId, method, arg }).bytes;
      const manage = (method: string, arg: Uint8Array): Uint8Array => subnet.envelope({ method, arg }).bytes;
      const kind = roll(14);
      if (kind < 7) return call(id, "spin", u32(turns()));
      if (kind === 7)
        return call(ids[0] as CanisterId, "pass", passArg(turns(), turns(), ids[roll(4)] as CanisterId));
      if (kind === 8) return call(id, "burn", u32(turns()));
      if (kind === 9) {
        const settings = { compute_allocation: [BigInt(roll(40))] };
        return manage("update_settings", encode([Update], [{ canister_id, settings }]));
      }
      if (kind === 10) {
        const mode = roll(2) === 0 ? { reinstall: null } : { upgrade: [] };
        return manage(
          "install_code",
          subnet.installArg(id, codes[which] as string, { arg: u32(turns()), mode }),
        );
      }
      const snapshot_id = kind === 11 ? null : snapshotOf(subnet, id, roll);
      if (snapshot_id === null) return manage("take_canister_snapshot", encode([Take], [{ canister_id }]));
      return manage("load_canister_snapshot", encode([Load], [{ canister_id, snapshot_id }]));
    };
    for (let round = 0; round < ROUNDS; round++) {
      const batch = Array.from({ length: roll(6) }, one);
      subnet.round(batch, [1_000_000n, 10n * SECOND, 1_000n * SECOND][roll(3)]);
    }
    for (let i = 0; i < 300 && subnet.results.at(-1)?.moreWork === true; i++) subnet.round();
  };
}

for (const seed of SEEDS) {
  const recording = record(SMALL, workload(seed));
  // With fewer workers nearly everything is left to them.
  for (const [workers, probeInstructions] of [
    [1, 1_000n],
    [2, 30_000n],
    [4, 300_000n],
  ] as const) {
    test(`seed ${seed}, ${workers} workers`, () =>
      sameAtEveryWorkerCount(recording, { counts: [workers], probeInstructions }));
  }
}
