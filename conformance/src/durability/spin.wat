;; A canister whose message, or installation, takes as long as it is told, in the middle of which a node may be killed.
;; canister_init: argument one u32; turns a loop so often, adds it to the total.
;; canister_update spin: argument one u32; turns a loop so often, adds it to the total and replies the total.
;; canister_query total: replies the total.
(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_copy" (func $argcopy (param i32 i32 i32)))
  (memory 1)
  (global $total (mut i32) (i32.const 0))
  (func $tell
    (i32.store (i32.const 0) (global.get $total))
    (call $append (i32.const 0) (i32.const 4))
    (call $reply))
  (func $spin
    (local $left i32)
    (call $argcopy (i32.const 0) (i32.const 0) (i32.const 4))
    (local.set $left (i32.load (i32.const 0)))
    (block $end
      (br_if $end (i32.eqz (local.get $left)))
      (loop $next
        (i32.store (i32.const 64) (local.get $left))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br_if $next (local.get $left))))
    (global.set $total (i32.add (global.get $total) (i32.load (i32.const 0)))))
  (func (export "canister_init") (call $spin))
  (func (export "canister_update spin") (call $spin) (call $tell))
  (func (export "canister_query total") (call $tell)))
