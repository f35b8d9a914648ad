/** Stable memory imports: sparse, bounded on both sides, in both widths. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toHex } from "@orrery/base";
import { Bench, reply } from "../testing/bench.testkit.ts";
import { failure, little, moduleText, ran } from "../testing/wat.testkit.ts";

const GIB = 1024 ** 3;

describe("stable memory", () => {
  const STABLE = [
    "stable64_grow(i64) i64",
    "stable64_size() i64",
    "stable64_write(i64 i64 i64)",
    "stable64_read(i64 i64 i64)",
    "stable_size() i32",
    "stable_grow(i32) i32",
    "stable_write(i32 i32 i32)",
    "stable_read(i32 i32 i32)",
  ];
  const stable = (body: string): string => moduleText(STABLE, body, '(data (i32.const 0) "abcdefgh")');

  test("is sparse up to 500 GiB", () => {
    const text = stable(`(drop (call $stable64_grow (i64.const 8192000)))
      (call $stable64_write (i64.const 536870911996) (i64.const 0) (i64.const 4))
      (call $stable64_read (i64.const 64) (i64.const 536870911994) (i64.const 6))
      (i64.store (i32.const 72) (call $stable64_grow (i64.const 1)))
      (call $append (i32.const 64) (i32.const 16)) (call $reply)`);
    const { outcome, canister, bench } = ran(text, { subnetMemoryAvailable: 1n << 50n }, (one) => {
      one.meta.cycles = 1n << 80n;
      one.meta.settings = { ...one.meta.settings, reservedCyclesLimit: 1n << 80n };
    });
    const bytes = reply(outcome);
    assert.deepEqual(bytes.subarray(0, 6), Uint8Array.of(0, 0, 97, 98, 99, 100));
    assert.equal(little(bytes.subarray(8)), (1n << 64n) - 1n);
    assert.equal(canister.meta.stablePages, 8_192_000);
    assert.equal(canister.memory.stable.pageCount, 1);
    assert.ok(bench.arena.livePages < 10);
  });

  test("bounds are checked on both sides", () => {
    const out = /Canister trapped: stable memory out of bounds/;
    assert.match(failure(stable("(call $stable64_write (i64.const 0) (i64.const 0) (i64.const 1))")), out);
    assert.match(
      failure(
        stable(
          "(drop (call $stable64_grow (i64.const 1))) (call $stable64_read (i64.const 0) (i64.const -1) (i64.const 2))",
        ),
      ),
      out,
    );
    const heap = /Canister trapped: heap out of bounds/;
    assert.match(
      failure(
        stable(
          "(drop (call $stable64_grow (i64.const 2))) (call $stable64_write (i64.const 0) (i64.const 65530) (i64.const 10))",
        ),
      ),
      heap,
    );
    assert.match(
      failure(
        stable(
          "(drop (call $stable64_grow (i64.const 2))) (call $stable_read (i32.const 65530) (i32.const 0) (i32.const 10))",
        ),
      ),
      heap,
    );
  });

  test("a length of zero is never out of bounds, but for stable_write beside the stable memory", () => {
    const far = "(i64.const -1) (i64.const -1) (i64.const 0)";
    const near = "(i32.const -1) (i32.const -1) (i32.const 0)";
    const grow = "(drop (call $stable64_grow (i64.const 65537)))";
    for (const body of [
      `(call $stable64_read ${far})`,
      `(call $stable64_write ${far})`,
      `(call $stable_read ${near})`,
      `${grow} (call $stable_read ${near})`,
      "(call $stable_write (i32.const 0) (i32.const -1) (i32.const 0))",
    ])
      reply(ran(stable(`${body} (call $reply)`)).outcome);
    assert.match(failure(stable(`(call $stable_write ${near})`)), /stable memory out of bounds/);
    assert.match(failure(stable(`${grow} (call $stable_write ${near})`)), /larger than 4GB/);
  });

  test("32-bit functions refuse more than 4 GiB", () => {
    const grow = "(drop (call $stable64_grow (i64.const 65537)))";
    assert.match(
      failure(stable(`${grow} (drop (call $stable_size))`)),
      /32 bit stable memory api used on a memory larger than 4GB/,
    );
    const full =
      stable(`(drop (call $stable_grow (i32.const 65536))) (i32.store (i32.const 64) (call $stable_grow (i32.const 1)))
      (i32.store (i32.const 68) (call $stable_size)) (call $append (i32.const 64) (i32.const 8)) (call $reply)`);
    assert.equal(toHex(reply(ran(full).outcome)), "ffffffff00000100");
  });

  test("growth that the subnet cannot hold answers -1", () => {
    const text = stable(
      "(i64.store (i32.const 64) (call $stable64_grow (i64.const 9))) (call $append (i32.const 64) (i32.const 8)) (call $reply)",
    );
    assert.equal(little(reply(ran(text, { subnetMemoryAvailable: 500_000n }).outcome)), (1n << 64n) - 1n);
  });

  /** Reads a byte of each page, writes one page, and writes the page after them when the argument has two bytes. */
  const touching = (gib: number): string => `(module
    (import "ic0" "msg_arg_data_size" (func $more (result i32)))
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
    (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
    (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
    (memory 1)
    (func $touch (local $at i64)
      (drop (call $grow (i64.const ${gib * 16_384 + 1})))
      (loop $next
        (call $read (i64.const 0) (local.get $at) (i64.const 1))
        (br_if $next (i64.lt_u (local.tee $at (i64.add (local.get $at) (i64.const 4096))) (i64.const ${gib * GIB}))))
      (call $write (i64.const 0) (i64.const 0) (i64.const 1))
      (if (i32.eq (call $more) (i32.const 2)) (then (call $write (local.get $at) (i64.const 0) (i64.const 1)))))
    (func (export "canister_init") (if (call $more) (then (call $touch))))
    (func (export "canister_update touch") (call $touch) (call $reply))
    (func (export "canister_query touch_q") (call $touch) (call $reply)))`;
  const LIMIT = new RegExp(
    "Canister exceeded memory access limits: Exceeded the limit for the number of accessed pages in the stable memory in a " +
      "single message execution: limit 2097152 KB for regular messages and 1048576 KB for queries\\.",
  );

  test("a message touches 2 GiB of it, a query 1 GiB, and not a page more", () => {
    const bench = new Bench();
    const change = bench.installed(touching(2));
    const ask = bench.installed(touching(1));
    assert.equal(bench.update(change, "touch").error, null);
    assert.equal(bench.query(ask, "touch_q").error, null);
    for (const refused of [bench.update(change, "touch", "12"), bench.query(ask, "touch_q", "12")]) {
      assert.equal(refused.error?.code, 524);
      assert.match(refused.error?.message ?? "", LIMIT);
    }
    assert.equal(bench.query(change, "touch_q").error?.code, 524);
  });

  test("an installation touches 8 GiB, and not a page more", () => {
    const bench = new Bench();
    assert.equal(bench.install(bench.empty(), touching(8), { arg: new Uint8Array(1) }).error, null);
    const outcome = bench.install(bench.empty(), touching(8), { arg: new Uint8Array(2) });
    assert.equal(outcome.error?.code, 524);
    assert.match(outcome.error?.message ?? "", LIMIT);
  });
});
