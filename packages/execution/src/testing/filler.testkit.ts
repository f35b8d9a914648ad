/** A canister that makes calls until one is refused, and pairs of it on subnets of two kinds. */
import { type CanisterId, concatBytes, utf8DecodeLossy } from "@orrery/base";
import type { CanisterState, SubnetType } from "@orrery/state";
import type { ExecutionLimits } from "../limits.ts";
import type { TestSubnet } from "./subnet.testkit.ts";
import { TestSubnets } from "./subnets.testkit.ts";

export const CYCLES: bigint = 10n ** 16n;

/** `fill`: makes calls to `echo` until one is refused or all are made, and replies with their number. Rejects are printed. */
export const FILLER: string = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reject_code" (func $reject_code (result i32)))
  (import "ic0" "msg_reject_msg_size" (func $reject_size (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $reject_copy (param i32 i32 i32)))
  (import "ic0" "debug_print" (func $print (param i32 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data (param i32 i32)))
  (import "ic0" "call_with_best_effort_response" (func $best_effort (param i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1) (table funcref (elem $on_reply $on_reject)) (data (i32.const 1000) "echo")
  (func $on_reply (param i32))
  (func $on_reject (param i32)
    (call $reject_copy (i32.const 1) (i32.const 0) (call $reject_size))
    (i32.store8 (i32.const 0) (i32.add (i32.const 48) (call $reject_code)))
    (call $print (i32.const 0) (i32.add (i32.const 1) (call $reject_size))))
  (func (export "canister_update fill") (local $made i32)
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (block $full (loop $more
      (br_if $full (i32.eq (local.get $made) (i32.load8_u (i32.const 0))))
      (call $call_new (i32.const 2) (i32.sub (call $arg_size) (i32.const 2)) (i32.const 1000) (i32.const 4)
        (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
      (if (i32.load8_u (i32.const 1)) (then (call $best_effort (i32.const 30))))
      (if (i32.eq (i32.load8_u (i32.const 1)) (i32.const 2)) (then (call $data (i32.const 0) (i32.const 40000))))
      (br_if $full (i32.ne (call $perform) (i32.const 0)))
      (local.set $made (i32.add (local.get $made) (i32.const 1)))
      (br $more)))
    (i32.store8 (i32.const 0) (local.get $made))
    (call $append (i32.const 0) (i32.const 1)) (call $reply))
  (func (export "canister_update echo") (call $reply)))`;

export interface Pair {
  readonly net: TestSubnets;
  /** On the first subnet. */
  readonly a: CanisterId;
  /** On the second, which only sees what is sent when it has a round. */
  readonly b: CanisterId;
}

export function pair(
  limits: Partial<ExecutionLimits>,
  types: readonly SubnetType[] = ["application", "application"],
): Pair {
  const net = new TestSubnets({ types, limits });
  const [a, b] = [0, 1].map((i) => net.at(i).installed(FILLER, { cycles: CYCLES })) as [
    CanisterId,
    CanisterId,
  ];
  return { net, a, b };
}

/** How many of `count` calls were made. */
export function fill(
  subnet: TestSubnet,
  from: CanisterId,
  options: { readonly to: CanisterId; readonly count: number; readonly bestEffort?: boolean | "long" },
): number {
  const { to, count, bestEffort = false } = options;
  const arg = concatBytes(Uint8Array.of(count, bestEffort === "long" ? 2 : Number(bestEffort)), to);
  return subnet.reply({ canisterId: from, method: "fill", arg })[0] ?? -1;
}

export function printed(canister: CanisterState): string[] {
  return canister.logs.map(({ content }) => utf8DecodeLossy(content));
}
