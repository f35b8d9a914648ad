/** Pages that canisters of one module have alike are there once, and each canister's own to change. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@orrery/base";
import type { CanisterState } from "@orrery/state";
import { Bench, reply } from "../testing/bench.testkit.ts";

/** Sixteen pages of data; init writes its argument into the first and fills the next with one value. */
const SOURCE = `(module
  (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (memory 2)
  (data (i32.const 65536) "${"data".repeat(16_384)}")
  (func (export "canister_init")
    (call $arg (i32.const 0) (i32.const 0) (i32.const 1))
    (memory.fill (i32.const 4096) (i32.const 7) (i32.const 4096)))
  (func (export "canister_update write")
    (call $arg (i32.const 65536) (i32.const 0) (i32.const 1))
    (call $reply))
  (func (export "canister_query read")
    (call $append (i32.const 0) (i32.const 1))
    (call $append (i32.const 65536) (i32.const 1))
    (call $reply)))`;

function idAt(canister: CanisterState, index: number): number {
  return canister.memory.heap.get(index);
}

test("what initialization makes alike is shared, what it makes different is not", () => {
  const bench = new Bench();
  const [a, b, c] = ["a", "b", "c"].map((arg) => bench.installed(SOURCE, utf8(arg)));
  assert.ok(a !== undefined && b !== undefined && c !== undefined);
  assert.equal(bench.arena.livePages, 16 + 1 + 3);
  for (let index = 1; index < 2 + 15; index++) {
    if (index !== 0 && idAt(a, index) !== 0) assert.equal(idAt(a, index), idAt(b, index));
  }
  assert.notEqual(idAt(a, 0), idAt(b, 0));
  const read = (canister: CanisterState): string =>
    new TextDecoder().decode(reply(bench.query(canister, "read")));
  bench.arena.advance(1);
  bench.update(b, "write", "B");
  assert.deepEqual([a, b, c].map(read), ["ad", "bB", "cd"]);
  for (const canister of [a, b, c]) bench.runner.evict(canister.meta.id);
  assert.deepEqual([a, b, c].map(read), ["ad", "bB", "cd"]);
  assert.equal(bench.arena.livePages, 16 + 1 + 3 + 1);
});

test("a version goes when the last canister has given it back", () => {
  const bench = new Bench();
  const [a, b] = ["a", "b"].map((arg) => bench.installed(SOURCE, utf8(arg)));
  assert.ok(a !== undefined && b !== undefined);
  bench.arena.advance(1);
  const other = `(module (func (export "canister_query nothing")))`;
  assert.equal(bench.install(b, other, { mode: "reinstall" }).error, null);
  bench.arena.reclaim(1);
  assert.equal(bench.arena.livePages, 16 + 2);
  assert.equal(bench.install(a, other, { mode: "reinstall" }).error, null);
  bench.arena.advance(2);
  bench.arena.reclaim(1);
  assert.equal(bench.arena.livePages, 0);
  // Nobody is left to share with; the table that was looked at is empty.
  assert.equal(bench.install(a, SOURCE, { mode: "reinstall", arg: utf8("x") }).error, null);
  assert.equal(bench.arena.livePages, 16 + 2);
});
