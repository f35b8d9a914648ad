;; A canister whose stable memory is as large as is wanted, with nothing in it twice. Arguments are little-endian bytes.
;;
;; Memory: 0 argument · 0x10000 a piece of what is written, 64 KiB.
(module
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "stable64_size" (func $size (result i64)))
  (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))

  (memory 2)
  (global $random (mut i64) (i64.const 1))

  (func $piece (local $at i32)
    (local.set $at (i32.const 0x10000))
    (loop $next
      (global.set $random (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 13))))
      (global.set $random (i64.xor (global.get $random) (i64.shr_u (global.get $random) (i64.const 7))))
      (global.set $random (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 17))))
      (i64.store (local.get $at) (global.get $random))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 0x20000)))))

  ;; number u32 → : writes those 64 MiB.
  (func (export "canister_update fill") (local $at i64) (local $end i64)
    (call $arg_copy (i32.const 0) (i32.const 0) (i32.const 4))
    (local.set $at (i64.shl (i64.load32_u (i32.const 0)) (i64.const 26)))
    (local.set $end (i64.add (local.get $at) (i64.const 0x4000000)))
    (if (i64.lt_u (i64.shl (call $size) (i64.const 16)) (local.get $end))
      (then
        (if (i64.lt_s
              (call $grow (i64.sub (i64.shr_u (local.get $end) (i64.const 16)) (call $size)))
              (i64.const 0))
          (then unreachable))))
    (loop $next
      (call $piece)
      (call $write (local.get $at) (i64.const 0x10000) (i64.const 0x10000))
      (local.set $at (i64.add (local.get $at) (i64.const 0x10000)))
      (br_if $next (i64.lt_u (local.get $at) (local.get $end))))
    (call $reply)))
