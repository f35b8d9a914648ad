;; The canister of the kill drill: every kind of durable thing with its own count, so that a lost, doubled or half-done message
;; shows. Arguments and replies are little-endian bytes. A slot is the drill's number of a request, used once.
;;
;; Heap: 0x400 numbers of the report · 0x10000 executed · 0x20000 done · 0x30000 fired · 0x40000 received (a byte a slot each)
;; · 0x60000 amounts · 0xA0000 queue of slots to fire · 0xE0000 32 pages that hold `a` · 0x100000 b.
;; Stable: 0 a · 0x10000 executed · 0x20000 8 pages that hold `a` · 0x30000 the heap over an upgrade.
(module
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $call_data (param i32 i32)))
  (import "ic0" "call_cycles_add" (func $call_cycles (param i64)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (import "ic0" "msg_cycles_available" (func $available (result i64)))
  (import "ic0" "msg_cycles_accept" (func $accept (param i64) (result i64)))
  (import "ic0" "msg_cycles_refunded" (func $refunded (result i64)))
  (import "ic0" "canister_cycle_balance" (func $cycles (result i64)))
  (import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $stable_write (param i64 i64 i64)))
  (import "ic0" "stable64_read" (func $stable_read (param i64 i64 i64)))
  (import "ic0" "global_timer_set" (func $set_timer (param i64) (result i64)))
  (import "ic0" "time" (func $time (result i64)))

  (memory 17)
  (table funcref (elem $nothing $on_transfer $on_transfer_reject $on_random $on_random_reject))
  (data (i32.const 0x300) "receive")
  (data (i32.const 0x310) "raw_rand")
  (data (i32.const 0x320) "DIDL\00\00")
  (data (i32.const 0x330) "\ff\ff\ff\ff")

  (func $nothing (param i32))
  (func $bump64 (param $at i32) (param $by i64)
    (i64.store (local.get $at) (i64.add (i64.load (local.get $at)) (local.get $by))))
  (func $bump8 (param $at i32)
    (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1))))
  ;; Of a table's size, whatever the argument.
  (func $slot (result i32) (i32.and (i32.load (i32.const 0)) (i32.const 0xFFFF)))

  ;; Counts the execution of a slot, in the heap and, from its own count there, in stable memory.
  (func $mark
    (local $at i64)
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (call $bump8 (i32.add (i32.const 0x10000) (call $slot)))
    (local.set $at (i64.add (i64.const 0x10000) (i64.extend_i32_u (call $slot))))
    (call $stable_read (i64.const 0x200) (local.get $at) (i64.const 1))
    (call $bump8 (i32.const 0x200))
    (call $stable_write (local.get $at) (i64.const 0x200) (i64.const 1)))

  (func $spin (param $n i32)
    (loop $again
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $again (i32.gt_s (local.get $n) (i32.const 0)))))

  (func (export "canister_init")
    (drop (call $stable_grow (i64.const 20)))
    (i64.store (i32.const 0x408) (i64.const 1000000000))
    (call $mark))

  (func (export "canister_pre_upgrade")
    (call $stable_write (i64.const 0x30000) (i64.const 0x400) (i64.const 0x10FC00)))

  (func (export "canister_post_upgrade")
    (call $stable_read (i64.const 0x400) (i64.const 0x30000) (i64.const 0x10FC00))
    (call $bump64 (i32.const 0x448) (i64.const 1))
    (call $mark)
    (i64.store (i32.const 0x460) (i64.const 0))
    (if (i64.ne (i64.load (i32.const 0x440)) (i64.const 0)) (then (call $arm (i64.const 1000000)))))

  ;; slot u32, iterations u32 → a u64. Writes a, 32 pages, stable memory, b, with work in between: all of it or nothing.
  (func (export "canister_update bump")
    (local $p i32) (local $a i64)
    (call $mark)
    (call $bump64 (i32.const 0x400) (i64.const 1))
    (local.set $a (i64.load (i32.const 0x400)))
    (call $stable_write (i64.const 0) (i64.const 0x400) (i64.const 8))
    (loop $heap
      (i64.store (i32.add (i32.const 0xE0000) (i32.shl (local.get $p) (i32.const 12))) (local.get $a))
      (local.set $p (i32.add (local.get $p) (i32.const 1)))
      (br_if $heap (i32.lt_u (local.get $p) (i32.const 32))))
    (call $spin (i32.load (i32.const 4)))
    (local.set $p (i32.const 0))
    (loop $stable
      (call $stable_write
        (i64.add (i64.const 0x20000) (i64.extend_i32_u (i32.shl (local.get $p) (i32.const 12))))
        (i64.const 0x400) (i64.const 8))
      (local.set $p (i32.add (local.get $p) (i32.const 1)))
      (br_if $stable (i32.lt_u (local.get $p) (i32.const 8))))
    (i64.store (i32.const 0x100000) (local.get $a))
    (call $append (i32.const 0x400) (i32.const 8))
    (call $reply))

  ;; slot u32, amount u32, cycles u64, length of the peer's id u8, id. Replies with the slot once the peer has it.
  (func (export "canister_update transfer")
    (local $amount i64)
    (call $mark)
    (local.set $amount (i64.load32_u (i32.const 4)))
    (i32.store (i32.add (i32.const 0x60000) (i32.shl (call $slot) (i32.const 2))) (i32.load (i32.const 4)))
    (call $bump64 (i32.const 0x408) (i64.sub (i64.const 0) (local.get $amount)))
    (call $bump64 (i32.const 0x410) (local.get $amount))
    (call $call_new (i32.const 17) (i32.load8_u (i32.const 16)) (i32.const 0x300) (i32.const 7)
      (i32.const 1) (call $slot) (i32.const 2) (call $slot))
    (call $call_data (i32.const 0) (i32.const 8))
    (call $call_cycles (i64.load (i32.const 8)))
    (call $bump64 (i32.const 0x428) (i64.load (i32.const 8)))
    (if (call $perform) (then unreachable)))

  (func $settle (param $slot i32) (result i64)
    (local $amount i64)
    (local.set $amount (i64.load32_u (i32.add (i32.const 0x60000) (i32.shl (local.get $slot) (i32.const 2)))))
    (call $bump64 (i32.const 0x410) (i64.sub (i64.const 0) (local.get $amount)))
    (call $bump64 (i32.const 0x430) (call $refunded))
    (call $bump8 (i32.add (i32.const 0x20000) (local.get $slot)))
    (local.get $amount))

  (func $on_transfer (param $slot i32)
    (call $bump64 (i32.const 0x418) (call $settle (local.get $slot)))
    (i32.store (i32.const 0) (local.get $slot))
    (call $append (i32.const 0) (i32.const 4))
    (call $reply))

  (func $on_transfer_reject (param $slot i32)
    (call $bump64 (i32.const 0x408) (call $settle (local.get $slot)))
    (call $bump64 (i32.const 0x458) (i64.const 1))
    (call $append (i32.const 0x330) (i32.const 4))
    (call $reply))

  ;; slot u32, amount u32, from a peer: keeps the amount and three quarters of the cycles.
  (func (export "canister_update receive")
    (local $amount i64)
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (local.set $amount (i64.load32_u (i32.const 4)))
    (call $bump8 (i32.add (i32.const 0x40000) (call $slot)))
    (call $bump64 (i32.const 0x408) (local.get $amount))
    (call $bump64 (i32.const 0x420) (local.get $amount))
    (call $bump64 (i32.const 0x438)
      (call $accept (i64.sub (call $available) (i64.shr_u (call $available) (i64.const 2)))))
    (call $reply))

  ;; slot u32 → 32 random bytes. Its call context is open from one round to a later one.
  (func (export "canister_update random")
    (call $mark)
    (call $call_new (i32.const 0) (i32.const 0) (i32.const 0x310) (i32.const 8)
      (i32.const 3) (call $slot) (i32.const 4) (call $slot))
    (call $call_data (i32.const 0x320) (i32.const 6))
    (if (call $perform) (then unreachable)))

  (func $on_random (param $slot i32)
    (call $bump8 (i32.add (i32.const 0x20000) (local.get $slot)))
    (call $arg_copy (i32.const 0) (i32.sub (call $arg_size) (i32.const 32)) (i32.const 32))
    (call $append (i32.const 0) (i32.const 32))
    (call $reply))

  (func $on_random_reject (param $slot i32)
    (call $append (i32.const 0x330) (i32.const 4))
    (call $reply))

  (func $arm (param $delay i64)
    (drop (call $set_timer (i64.add (call $time) (local.get $delay))))
    (i64.store (i32.const 0x460) (i64.const 1)))

  ;; slot u32, padding u32, delay in nanoseconds u64 → u64 time. The timer counts the slot as fired once.
  (func (export "canister_update schedule")
    (call $mark)
    (i32.store
      (i32.add (i32.const 0xA0000) (i32.shl (i32.load (i32.const 0x440)) (i32.const 2)))
      (call $slot))
    (call $bump64 (i32.const 0x440) (i64.const 1))
    (if (i64.eqz (i64.load (i32.const 0x460))) (then (call $arm (i64.load (i32.const 8)))))
    (i64.store (i32.const 0) (call $time))
    (call $append (i32.const 0) (i32.const 8))
    (call $reply))

  (func (export "canister_global_timer")
    (local $i i32)
    (call $bump64 (i32.const 0x450) (i64.const 1))
    (i64.store (i32.const 0x460) (i64.const 0))
    (block $empty
      (loop $next
        (br_if $empty (i32.ge_u (local.get $i) (i32.load (i32.const 0x440))))
        (call $bump8 (i32.add (i32.const 0x30000)
          (i32.load (i32.add (i32.const 0xA0000) (i32.shl (local.get $i) (i32.const 2))))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (i64.store (i32.const 0x440) (i64.const 0)))

  ;; Completes the 18 numbers at 0x400.
  (func $report
    (local $p i32)
    (i64.store (i32.const 0x468) (call $cycles))
    (call $stable_read (i64.const 0x470) (i64.const 0) (i64.const 8))
    (i64.store (i32.const 0x478) (i64.load (i32.const 0x100000)))
    (i64.store (i32.const 0x480) (i64.const 0))
    (i64.store (i32.const 0x488) (i64.const 0))
    (loop $heap
      (if (i64.ne (i64.load (i32.const 0x400))
                  (i64.load (i32.add (i32.const 0xE0000) (i32.shl (local.get $p) (i32.const 12)))))
        (then (call $bump64 (i32.const 0x480) (i64.const 1))))
      (local.set $p (i32.add (local.get $p) (i32.const 1)))
      (br_if $heap (i32.lt_u (local.get $p) (i32.const 32))))
    (local.set $p (i32.const 0))
    (loop $stable
      (call $stable_read (i64.const 0x200)
        (i64.add (i64.const 0x20000) (i64.extend_i32_u (i32.shl (local.get $p) (i32.const 12))))
        (i64.const 8))
      (if (i64.ne (i64.load (i32.const 0x400)) (i64.load (i32.const 0x200)))
        (then (call $bump64 (i32.const 0x488) (i64.const 1))))
      (local.set $p (i32.add (local.get $p) (i32.const 1)))
      (br_if $stable (i32.lt_u (local.get $p) (i32.const 8)))))

  ;; first slot u32, count u32 → 18 numbers u64, then a byte a slot: executed, executed as stable memory says, done, fired,
  ;; received. One query, so that all of it is of one height.
  (func (export "canister_query look")
    (call $arg_copy (i32.const 0) (i32.const 0) (i32.const 8))
    (call $report)
    (call $append (i32.const 0x400) (i32.const 0x90))
    (call $stable_read (i64.const 0x50000)
      (i64.add (i64.const 0x10000) (i64.load32_u (i32.const 0)))
      (i64.load32_u (i32.const 4)))
    (call $append (i32.add (i32.const 0x10000) (call $slot)) (i32.load (i32.const 4)))
    (call $append (i32.const 0x50000) (i32.load (i32.const 4)))
    (call $append (i32.add (i32.const 0x20000) (call $slot)) (i32.load (i32.const 4)))
    (call $append (i32.add (i32.const 0x30000) (call $slot)) (i32.load (i32.const 4)))
    (call $append (i32.add (i32.const 0x40000) (call $slot)) (i32.load (i32.const 4)))
    (call $reply)))
