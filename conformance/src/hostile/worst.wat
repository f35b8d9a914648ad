;; A canister that does its worst, or the least, as it is told. Counts its updates.
(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_method_name_size" (func $name_size (result i32)))
  (import "ic0" "accept_message" (func $accept))
  (import "ic0" "stable64_grow" (func $sgrow (param i64) (result i64)))
  (import "ic0" "stable64_size" (func $ssize (result i64)))
  (import "ic0" "stable64_write" (func $swrite (param i64 i64 i64)))
  (memory 1)
  (global $count (mut i32) (i32.const 0))
  (global $beat (mut i32) (i32.const 0))
  (func $answer
    (i32.store (i32.const 0) (global.get $count))
    (call $append (i32.const 0) (i32.const 4)) (call $reply))
  (func (export "canister_update count")
    (global.set $count (i32.add (global.get $count) (i32.const 1))) (call $answer))
  (func (export "canister_query total") (call $answer))
  (func (export "canister_query endless") (loop $l (br $l)))
  ;; Some seconds, then an answer.
  (func (export "canister_query long") (local $i i64)
    (loop $l
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $l (i64.lt_u (local.get $i) (i64.const 300000000))))
    (call $answer))
  (func (export "canister_update spin") (loop $l (br $l)))
  (func (export "canister_update beat") (global.set $beat (i32.const 1)) (call $reply))
  (func (export "canister_update rest") (global.set $beat (i32.const 0)) (call $reply))
  (func (export "canister_update grow") (local $at i32)
    (loop $l
      (local.set $at (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
      (if (i32.lt_s (local.get $at) (i32.const 0)) (then (unreachable)))
      (i32.store (local.get $at) (i32.const 1))
      (br_if $l (i32.lt_u (local.get $at) (i32.const 1000000000)))) unreachable)
  (func (export "canister_update stable") (local $i i32)
    (loop $l
      (call $swrite (i64.mul (call $sgrow (i64.const 1)) (i64.const 65536)) (i64.const 0) (i64.const 65536))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 2000)))) unreachable)
  ;; The same for good: each call writes 64 MiB of 256 MiB anew.
  (func (export "canister_update keep") (local $i i32)
    (if (i64.lt_u (call $ssize) (i64.const 4096)) (then (drop (call $sgrow (i64.const 1024)))))
    (loop $l
      (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
      (memory.fill (i32.const 16) (i32.load8_u (i32.const 8)) (i32.const 65000))
      (call $swrite
        (i64.mul
          (i64.extend_i32_u (i32.rem_u (i32.load (i32.const 8)) (i32.wrap_i64 (call $ssize))))
          (i64.const 65536))
        (i64.const 0) (i64.const 65536))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 1024))))
    (call $answer))
  (func (export "canister_update inspected") (call $answer))
  (func (export "canister_heartbeat")
    (if (global.get $beat) (then (loop $l (br $l)))))
  ;; A name of nine bytes is "inspected": that one is looked at for ever.
  (func (export "canister_inspect_message")
    (if (i32.eq (call $name_size) (i32.const 9)) (then (loop $l (br $l))))
    (call $accept)))
