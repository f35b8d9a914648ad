/**
 * A canister that calls the management canister for a test and replies with what came back: reject code (0: none), cycles refunded,
 * data or text.
 */
import assert from "node:assert/strict";
import { type CanisterId, concatBytes, utf8, utf8DecodeLossy } from "@orrery/base";
import type { IngressStatus } from "@orrery/state";
import type { TestSubnet } from "./subnet.testkit.ts";

export const ASKER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reject_code" (func $code (result i32)))
  (import "ic0" "msg_reject_msg_size" (func $reject_size (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $reject_copy (param i32 i32 i32)))
  (import "ic0" "msg_cycles_refunded" (func $refunded (result i64)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data (param i32 i32)))
  (import "ic0" "call_cycles_add" (func $cycles (param i64)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (memory 80) (table funcref (elem $on_reply $on_reject))
  (func $head
    (i32.store8 (i32.const 0) (call $code))
    (i64.store (i32.const 1) (call $refunded))
    (call $append (i32.const 0) (i32.const 9)))
  (func $on_reply (param i32)
    (call $head)
    (call $arg_copy (i32.const 16) (i32.const 0) (call $arg_size))
    (call $append (i32.const 16) (call $arg_size)) (call $reply))
  (func $on_reject (param i32)
    (call $head)
    (call $reject_copy (i32.const 16) (i32.const 0) (call $reject_size))
    (call $append (i32.const 16) (call $reject_size)) (call $reply))
  (func (export "canister_update ask") (local $name i32) (local $at i32)
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (local.set $name (i32.load8_u (i32.const 8)))
    (local.set $at (i32.add (i32.const 9) (local.get $name)))
    (call $call_new (i32.const 0) (i32.const 0) (i32.const 9) (local.get $name)
      (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
    (call $data (local.get $at) (i32.sub (call $arg_size) (local.get $at)))
    (call $cycles (i64.load (i32.const 0)))
    (drop (call $perform)))
  ;; Transforms: what it is given as it is; a trap; a reply too long for any limit below 3 MiB.
  (func (export "canister_query same")
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (call $append (i32.const 0) (call $arg_size)) (call $reply))
  (func (export "canister_query boom") (call $trap (i32.const 5242000) (i32.const 4)))
  (func (export "canister_query long") (call $append (i32.const 0) (i32.const 2000001)) (call $reply))
  (data (i32.const 5242000) "boom"))`;

export interface Asked {
  /** 0: replied. */
  readonly code: number;
  readonly refunded: bigint;
  readonly data: Uint8Array;
  readonly text: string;
}

export function askArg(method: string, payload: Uint8Array, cycles = 0n): Uint8Array {
  const head = new Uint8Array(9);
  new DataView(head.buffer).setBigUint64(0, cycles, true);
  head[8] = method.length;
  return concatBytes(head, utf8(method), payload);
}

export function asked(status: IngressStatus): Asked {
  assert.equal(status.kind, "replied", status.kind === "rejected" ? status.message : status.kind);
  const { reply } = status as Extract<IngressStatus, { kind: "replied" }>;
  const data = reply.slice(9);
  const view = new DataView(reply.buffer, reply.byteOffset);
  return {
    code: reply[0] as number,
    refunded: view.getBigUint64(1, true),
    data,
    text: utf8DecodeLossy(data),
  };
}

export function ask(
  subnet: TestSubnet,
  from: CanisterId,
  call: { readonly method: string; readonly payload: Uint8Array; readonly cycles?: bigint },
): Asked {
  const arg = askArg(call.method, call.payload, call.cycles);
  return asked(subnet.call({ canisterId: from, method: "ask", arg }));
}
