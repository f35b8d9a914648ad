/** Canisters whose messages take long, or write to very many pages: their next message begins with a short slice. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { principalKey } from "@orrery/base";
import { type ExecutionLimits, HEAVY_HEAP_PAGES } from "../limits.ts";
import { record, replay, SMALL, SPINNER, TestSubnet, u32 } from "../testing/long.testkit.ts";

const CYCLES = 10n ** 15n;
/** Some 230,000 instructions, and 32 pages. */
const SOME = u32(10_000);
const LIMITS: Partial<ExecutionLimits> = {
  ...SMALL,
  instructionsPerFirstSlice: 1_000_000n,
  instructionsPerHeavySlice: 100_000n,
};

/** Messages may take long. */
const WIDE: Partial<ExecutionLimits> = {
  ...LIMITS,
  instructionsPerRound: 16_000_000n,
  instructionsPerSlice: 8_000_000n,
  instructionsPerFirstSlice: null,
};
/**
 * `paint` writes another number to every 64th byte of as many pages as its argument says, but for the first three,
 * so that the last turn stands for copies of the loop whose stores, which do not come, would be in the page behind.
 */
const PAINTER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (memory ${Math.ceil(HEAVY_HEAP_PAGES / 16) + 1}) (global $times (mut i32) (i32.const 0))
  (func (export "canister_update paint") (local $at i32) (local $end i32)
    (call $arg_copy (i32.const 0) (i32.const 0) (i32.const 8))
    (local.set $end (i32.mul (i32.load (i32.const 0)) (i32.const 4096)))
    (global.set $times (i32.add (global.get $times) (i32.const 1)))
    (local.set $at (i32.const 192))
    (loop $on
      (i32.store (local.get $at) (global.get $times))
      (local.set $at (i32.add (local.get $at) (i32.const 64)))
      (br_if $on (i32.lt_u (local.get $at) (local.get $end))))
    (if (i32.load8_u (i32.const 4)) (then (unreachable)))
    (call $reply)))`;

function rounds(
  subnet: TestSubnet,
  canisterId: ReturnType<TestSubnet["installed"]>,
  arg: Uint8Array,
): number {
  const before = subnet.state.height;
  subnet.reply({ canisterId, method: "spin", arg });
  return subnet.state.height - before;
}

describe("a canister that was heavy", () => {
  test("is answered a round later once, and at once when it was light again", () => {
    const subnet = new TestSubnet({ limits: LIMITS });
    const id = subnet.installed(SPINNER, { arg: u32(0), cycles: CYCLES });
    assert.equal(rounds(subnet, id, SOME), 1);
    assert.equal(rounds(subnet, id, u32(100_000)), 2);
    assert.equal(rounds(subnet, id, SOME), 2);
    assert.equal(rounds(subnet, id, SOME), 1);
  });

  test("is so as well by the pages that it changes", () => {
    const subnet = new TestSubnet({ limits: WIDE });
    const id = subnet.installed(PAINTER, { cycles: CYCLES });
    for (const [pages, heavy] of [
      [HEAVY_HEAP_PAGES - 1, undefined],
      [HEAVY_HEAP_PAGES, true],
      [1, undefined],
    ] as const) {
      subnet.reply({ canisterId: id, method: "paint", arg: u32(pages, 0) });
      assert.equal(subnet.state.canisters.get(principalKey(id))?.heavy, heavy, `${pages} pages`);
    }
  });

  test("is so by what it would have changed, had it not failed", () => {
    const subnet = new TestSubnet({ limits: WIDE });
    const id = subnet.installed(PAINTER, { cycles: CYCLES });
    for (const [pages, heavy] of [
      [HEAVY_HEAP_PAGES - 1, undefined],
      [HEAVY_HEAP_PAGES, true],
    ] as const) {
      subnet.rejection({ canisterId: id, method: "paint", arg: u32(pages, 1) });
      assert.equal(subnet.state.canisters.get(principalKey(id))?.heavy, heavy, `${pages} pages`);
    }
  });

  test("is so whatever form its module runs in", () => {
    const recording = record(WIDE, (subnet) => {
      const canisterId = subnet.installed(PAINTER, { cycles: CYCLES });
      for (const pages of [HEAVY_HEAP_PAGES - 1, HEAVY_HEAP_PAGES, 1, HEAVY_HEAP_PAGES - 1])
        subnet.reply({ canisterId, method: "paint", arg: u32(pages, 0) });
      for (const pages of [HEAVY_HEAP_PAGES, HEAVY_HEAP_PAGES - 1])
        subnet.rejection({ canisterId, method: "paint", arg: u32(pages, 1) });
    });
    replay(recording, { profiling: () => true });
  });

  test("never is where no limit says so", () => {
    const subnet = new TestSubnet({ limits: { ...LIMITS, instructionsPerHeavySlice: null } });
    const id = subnet.installed(SPINNER, { arg: u32(0), cycles: CYCLES });
    assert.equal(rounds(subnet, id, u32(100_000)), 2);
    assert.equal(rounds(subnet, id, SOME), 1);
  });

  test("is known as such after a restart", () => {
    const recording = record(LIMITS, (subnet) => {
      const canisterId = subnet.installed(SPINNER, { arg: u32(0), cycles: CYCLES });
      for (const turns of [100_000, 10_000, 10_000])
        subnet.reply({ canisterId, method: "spin", arg: u32(turns) });
    });
    replay(recording, { restart: () => true });
  });
});
