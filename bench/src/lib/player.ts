/** Two canisters of one module that call each other: what ping-pong between canisters and between subnets is measured with. */

/** `play` calls the canister whose id is its argument, and again with each reply, `hops` times in all. */
export function playerSource(hops: number): string {
  return `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1)
  (table funcref (elem $replied $rejected))
  (data (i32.const 0) "pong")
  (global $peer (mut i32) (i32.const 0))
  (func $ask (param $left i32)
    (call $new (i32.const 100) (global.get $peer) (i32.const 0) (i32.const 4)
      (i32.const 0) (local.get $left) (i32.const 1) (i32.const 0))
    (if (call $perform) (then (unreachable))))
  (func $replied (param $left i32)
    (if (local.get $left)
      (then (call $ask (i32.sub (local.get $left) (i32.const 1))))
      (else (call $reply))))
  (func $rejected (param i32) (unreachable))
  (func (export "canister_update play")
    (global.set $peer (call $size))
    (call $arg (i32.const 100) (i32.const 0) (global.get $peer))
    (call $ask (i32.const ${hops - 1})))
  (func (export "canister_update pong") (call $reply)))`;
}
