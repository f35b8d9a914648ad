/** A canister with state in memory, a global and stable memory, and methods that end in every way a message can end. */
import type { CanisterState } from "@orrery/state";
import { type Bench, reply } from "./bench.testkit.ts";

/** Every update adds one to all of its state before it ends; `state` replies with five words. */
export const STATEFUL: string = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "stable64_grow" (func $sgrow (param i64) (result i64)))
  (import "ic0" "stable64_size" (func $ssize (result i64)))
  (import "ic0" "stable64_write" (func $swrite (param i64 i64 i64)))
  (import "ic0" "stable64_read" (func $sread (param i64 i64 i64)))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (memory 2)
  (global $count (mut i64) (i64.const 0))
  (data (i32.const 100) "boom")
  (func $touch
    (global.set $count (i64.add (global.get $count) (i64.const 1)))
    (i64.store (i32.const 0) (global.get $count))
    ;; Straddles the boundary of pages 1 and 2.
    (i64.store (i32.const 8188) (i64.mul (global.get $count) (i64.const 0x0101010101010101)))
    (if (i64.eqz (call $ssize)) (then (drop (call $sgrow (i64.const 1)))))
    (call $swrite (i64.const 4090) (i64.const 0) (i64.const 12)))
  (func $state
    (i64.store (i32.const 200) (global.get $count))
    (i64.store (i32.const 208) (i64.load (i32.const 0)))
    (i64.store (i32.const 216) (i64.load (i32.const 8188)))
    (if (i64.eqz (call $ssize)) (then (i64.store (i32.const 224) (i64.const 0)))
      (else (call $sread (i64.const 224) (i64.const 4090) (i64.const 8))))
    (i64.store (i32.const 232) (i64.extend_i32_u (memory.size)))
    (call $append (i32.const 200) (i32.const 40))
    (call $reply))
  (func (export "canister_update inc") (call $touch) (call $state))
  (func (export "canister_update grow") (call $touch) (drop (memory.grow (i32.const 3)))
    (i32.store (i32.const 200000) (i32.const 77)) (call $state))
  (func (export "canister_query read") (call $state))
  (func (export "canister_query touch") (call $touch) (call $state))
  (func (export "canister_update trap") (call $touch) (call $trap (i32.const 100) (i32.const 4)))
  (func (export "canister_update unreachable") (call $touch) unreachable)
  (func (export "canister_update divide") (call $touch) (drop (i32.div_u (i32.const 1) (i32.load (i32.const 1000)))))
  (func (export "canister_update bounds") (call $touch) (i32.store (i32.const -4) (i32.const 1)))
  (func (export "canister_update growtrap") (call $touch) (drop (memory.grow (i32.const 1)))
    (i32.store (i32.const 131072) (i32.const 1)) unreachable)
  (func (export "canister_update spin") (call $touch) (loop $again (br $again))))`;

/** Little-endian 64-bit words. */
export function words(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 8 }, (_, i) => view.getBigUint64(8 * i, true));
}

/** What the canister says of its state. */
export function read(bench: Bench, canister: CanisterState): bigint[] {
  return words(reply(bench.query(canister, "read")));
}
