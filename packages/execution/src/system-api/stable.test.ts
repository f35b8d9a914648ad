/** Stable memory imports: sparse, bounded on both sides, in both widths. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toHex } from "@orrery/base";
import { reply } from "../testing/bench.testkit.ts";
import { failure, little, moduleText, ran } from "../testing/wat.testkit.ts";

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
    ran(stable("(call $stable64_read (i64.const 0) (i64.const 0) (i64.const 0)) (call $reply)"));
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
});
