/** A canister that sends what it is told to `aaaaa-aa` (or another callee), and gives the answer back. */
import { type CanisterId, concatBytes, utf8 } from "@orrery/base";
import type { IngressStatus } from "@orrery/state";
import type { TestSubnet } from "./subnet.testkit.ts";

/** Sends its argument on to aaaaa-aa: 8 bytes of cycles, a length byte and a method name, the payload. */
export const FORWARDER: string = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reject" (func $reject (param i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reject_msg_size" (func $reject_size (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $reject_copy (param i32 i32 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data (param i32 i32)))
  (import "ic0" "call_cycles_add" (func $cycles (param i64)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (import "ic0" "debug_print" (func $print (param i32 i32)))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (memory 4) (table funcref (elem $on_reply $on_reject))
  (func $on_reply (param i32)
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (call $append (i32.const 0) (call $arg_size)) (call $reply))
  (func $on_reject (param i32)
    (call $reject_copy (i32.const 0) (i32.const 0) (call $reject_size))
    (call $reject (i32.const 0) (call $reject_size)))
  (func (export "canister_update forward") (local $name i32) (local $at i32)
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (local.set $name (i32.load8_u (i32.const 8)))
    (local.set $at (i32.add (i32.const 9) (local.get $name)))
    (call $call_new (i32.const 0) (i32.const 0) (i32.const 9) (local.get $name)
      (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
    (call $data (local.get $at) (i32.sub (call $arg_size) (local.get $at)))
    (call $cycles (i64.load (i32.const 0)))
    (if (i32.ne (call $perform) (i32.const 0)) (then unreachable)))
  (func (export "canister_update log")
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (call $print (i32.const 0) (call $arg_size)) (call $reply))
  (func (export "canister_update boom") (call $trap (i32.const 0) (i32.const 0))))`;

export function forwardArg(method: string, payload: Uint8Array, cycles = 0n): Uint8Array {
  const head = new Uint8Array(9);
  new DataView(head.buffer).setBigUint64(0, cycles, true);
  head[8] = method.length;
  return concatBytes(head, utf8(method), payload);
}

export function forward(
  subnet: TestSubnet,
  from: CanisterId,
  method: string,
  payload: Uint8Array,
  cycles = 0n,
): IngressStatus {
  return subnet.call({ canisterId: from, method: "forward", arg: forwardArg(method, payload, cycles) });
}
