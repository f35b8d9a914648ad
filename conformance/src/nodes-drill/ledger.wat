;; The canister of the drill of nodes: a list of entries, each an update's own number, that only grows. What is certified of it is its length
;; and a hash over all of it, so that every certified read names one beginning of the list. Arguments and replies are little-endian bytes.
;;
;; Memory: 0 argument · 0x100 length and hash (eight bytes each) · 0x1000 certificate · 0x10000 entries (eight bytes each).
(module
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
  (import "ic0" "data_certificate_size" (func $certificate_size (result i32)))
  (import "ic0" "data_certificate_copy" (func $certificate_copy (param i32 i32 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $call_data (param i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))

  (memory 80)
  (table funcref (elem $on_reply $on_reject))
  (data (i32.const 0x200) "add")

  (func $argument (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size)))
  (func $reply_length
    (call $append (i32.const 0x100) (i32.const 8))
    (call $reply))

  (func (export "canister_init")
    (i64.store (i32.const 0x108) (i64.const 0xcbf29ce484222325))
    (call $certify (i32.const 0x100) (i32.const 16)))

  ;; entry u64 → its place in the list u64, from 1.
  (func (export "canister_update add")
    (call $argument)
    (i64.store
      (i32.add (i32.const 0x10000) (i32.shl (i32.load (i32.const 0x100)) (i32.const 3)))
      (i64.load (i32.const 0)))
    (i64.store (i32.const 0x100) (i64.add (i64.load (i32.const 0x100)) (i64.const 1)))
    (i64.store (i32.const 0x108)
      (i64.mul
        (i64.xor (i64.load (i32.const 0x108)) (i64.load (i32.const 0)))
        (i64.const 0x100000001b3)))
    (call $certify (i32.const 0x100) (i32.const 16))
    (call $reply_length))

  ;; → length u64. An update: agreed on like all others.
  (func (export "canister_update length") (call $reply_length))

  ;; entry u64, length of a canister's id u8, id → what that one says to `add`.
  (func (export "canister_update relay")
    (call $argument)
    (call $call_new (i32.const 9) (i32.load8_u (i32.const 8)) (i32.const 0x200) (i32.const 3)
      (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
    (call $call_data (i32.const 0) (i32.const 8))
    (if (call $perform) (then unreachable)))

  (func $on_reply (param i32)
    (call $argument)
    (call $append (i32.const 0) (call $arg_size))
    (call $reply))

  (func $on_reject (param i32) unreachable)

  ;; → certificate of length and hash.
  (func (export "canister_query certified")
    (call $certificate_copy (i32.const 0x1000) (i32.const 0) (call $certificate_size))
    (call $append (i32.const 0x1000) (call $certificate_size))
    (call $reply))

  ;; first place u32 from 0, count u32 → entries.
  (func (export "canister_query entries")
    (call $argument)
    (call $append
      (i32.add (i32.const 0x10000) (i32.shl (i32.load (i32.const 0)) (i32.const 3)))
      (i32.shl (i32.load (i32.const 4)) (i32.const 3)))
    (call $reply)))
