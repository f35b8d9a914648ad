/** Commit, rollback and instruction counts of single messages, over page tables and pooled instances. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toHex, utf8 } from "@orrery/base";
import type { CanisterState } from "@orrery/state";
import { Bench, context, reply } from "../testing/bench.testkit.ts";
import { read, STATEFUL, words } from "../testing/stateful.testkit.ts";
import type { MessageOutcome } from "../types.ts";

/** Everything that a message may change, tables included. */
function fingerprint(bench: Bench, canister: CanisterState): string {
  const { meta, memory } = canister;
  const page = (id: number): string => toHex(bench.arena.view(id));
  const pages = [memory.heap, memory.stable].map((table) =>
    [...table.entries()].map(([index, id]) => [index, page(id)]),
  );
  return JSON.stringify([pages, meta.globals.map(String), meta.heapPages, meta.stablePages]);
}

const after = (n: bigint): bigint[] => [n, n, n * 0x0101010101010101n, n, 2n];

describe("messages", () => {
  test("an update commits memory, globals and stable memory, straddling stores included", () => {
    const bench = new Bench();
    const canister = bench.installed(STATEFUL);
    assert.deepEqual(words(reply(bench.update(canister, "inc"))), after(1n));
    assert.deepEqual(words(reply(bench.update(canister, "inc"))), after(2n));
    assert.deepEqual(read(bench, canister), after(2n));
    assert.equal(canister.meta.stablePages, 1);
    assert.deepEqual(canister.meta.globals, [2n]);
    bench.runner.evict(canister.meta.id);
    assert.deepEqual(read(bench, canister), after(2n));
  });

  for (const method of ["trap", "unreachable", "divide", "bounds", "growtrap", "spin"]) {
    test(`a message that ends in ${method} leaves no trace`, () => {
      const bench = new Bench();
      const canister = bench.installed(STATEFUL);
      bench.update(canister, "inc");
      const before = fingerprint(bench, canister);
      const live = bench.arena.livePages;
      const outcome = bench.update(canister, method, "", { instructionLimit: 1_000_000n });
      assert.notEqual(outcome.error, null);
      assert.equal(outcome.effects, null);
      assert.equal(fingerprint(bench, canister), before);
      assert.equal(bench.arena.livePages, live);
      assert.deepEqual(read(bench, canister), after(1n));
      assert.deepEqual(words(reply(bench.update(canister, "inc"))), after(2n));
    });
  }

  test("a query and a replicated query leave no trace", () => {
    const bench = new Bench();
    const canister = bench.installed(STATEFUL);
    bench.update(canister, "inc");
    const before = fingerprint(bench, canister);
    assert.deepEqual(words(reply(bench.query(canister, "touch"))), after(2n));
    assert.deepEqual(words(reply(bench.update(canister, "touch"))), after(2n));
    assert.equal(fingerprint(bench, canister), before);
    assert.deepEqual(read(bench, canister), after(1n));
  });

  test("growth is kept and survives eviction", () => {
    const bench = new Bench({ instancesMax: 1 });
    const [one, two] = [bench.installed(STATEFUL), bench.installed(STATEFUL)];
    bench.update(one, "grow");
    bench.update(two, "inc");
    assert.equal(bench.runner.liveInstances, 1);
    assert.equal(one.meta.heapPages, 5);
    assert.deepEqual(read(bench, one), [...after(1n).slice(0, 4), 5n]);
    assert.deepEqual(read(bench, two), after(1n));
    bench.update(one, "inc");
    assert.deepEqual(read(bench, one), [...after(2n).slice(0, 4), 5n]);
  });

  test("pages of the same epoch are overwritten in place, older ones get new versions", () => {
    const bench = new Bench();
    const canister = bench.installed(STATEFUL);
    bench.update(canister, "inc");
    const ids = [...canister.memory.heap.entries()];
    const pages = bench.arena.livePages;
    bench.update(canister, "inc");
    assert.deepEqual([...canister.memory.heap.entries()], ids);
    bench.arena.advance(1);
    bench.update(canister, "inc");
    const moved = [...canister.memory.heap.entries()];
    assert.notDeepEqual(moved, ids);
    // Old versions live on until their epoch is reclaimed.
    assert.ok(bench.arena.livePages > pages);
    bench.arena.advance(2);
    bench.arena.reclaim(1);
    assert.equal(bench.arena.livePages, pages);
  });

  test("pages that a message writes back unchanged keep their version", () => {
    const bench = new Bench();
    const canister = bench.installed(`(module
      (import "ic0" "msg_reply" (func $reply)) (memory 1)
      (func (export "canister_update same") (i32.store (i32.const 5000) (i32.const 5)) (call $reply)))`);
    bench.update(canister, "same");
    bench.arena.advance(1);
    canister.memory.heap.takeDelta();
    bench.update(canister, "same");
    assert.equal(canister.memory.heap.takeDelta().length, 0);
    assert.equal([...canister.memory.heap.entries()].length, 1);
  });
});

const COUNTED = `(module
  (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "performance_counter" (func $counter (param i32) (result i64)))
  (import "ic0" "stable64_grow" (func $sgrow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $swrite (param i64 i64 i64)))
  (memory 1)
  (func (export "canister_update copy") (call $copy (i32.const 0) (i32.const 0) (i32.const 7)))
  (func (export "canister_update div") (drop (i32.div_u (i32.const 1) (i32.const 0))))
  (func (export "canister_update unreachable") (local $i i32)
    (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_u (local.get $i) (i32.const 10))))
    (if (local.get $i) (then unreachable)))
  (func (export "canister_update nested") (call $inner (i32.const 0)))
  (func $inner (param i32) (local.set 0 (i32.const 3)) (drop (i32.div_u (i32.const 1) (i32.const 0))))
  (func (export "canister_update never") (loop $l (br $l)))
  (func (export "canister_update stable")
    (drop (call $sgrow (i64.const 1)))
    (call $swrite (i64.const 4095) (i64.const 0) (i64.const 2))
    (call $swrite (i64.const 4095) (i64.const 0) (i64.const 2)))
  (func (export "canister_update counter")
    (i64.store (i32.const 0) (call $counter (i32.const 0)))
    (i64.store (i32.const 8) (call $counter (i32.const 1)))
    (call $append (i32.const 0) (i32.const 16)) (call $reply)))`;

function instructionsOf(outcome: MessageOutcome): bigint {
  return outcome.instructions;
}

describe("instruction counts", () => {
  const bench = new Bench();
  const canister = bench.installed(COUNTED);

  test("a copy of n bytes costs 1 + 3 + 5 + 500 + n", () => {
    const outcome = bench.update(canister, "copy", "1234567");
    assert.equal(outcome.error, null);
    assert.equal(instructionsOf(outcome), 1n + 3n + 5n + 500n + 7n);
  });

  test("a failing copy costs the same", () => {
    const outcome = bench.update(canister, "copy", "123456");
    assert.match(
      outcome.error?.message ?? "",
      /ic0\.msg_arg_data_copy payload: src=0 \+ length=7 exceeds the slice size=6/,
    );
    assert.equal(instructionsOf(outcome), 1n + 3n + 5n + 500n + 7n);
  });

  test("a native trap is counted exactly", () => {
    const outcome = bench.update(canister, "div");
    assert.match(
      outcome.error?.message ?? "",
      /Canister trapped: integer division by 0\.\nConsider gracefully/,
    );
    assert.equal(outcome.error?.code, 502);
    assert.equal(instructionsOf(outcome), 1n + 1n + 1n + 10n + 1n);
    assert.equal(
      instructionsOf(bench.update(canister, "nested")),
      1n + 1n + 5n + 1n + (1n + 1n + 1n + 1n + 10n + 1n),
    );
  });

  test("a message that never ends costs its limit", () => {
    const outcome = bench.update(canister, "never", "", { instructionLimit: 12_345n });
    assert.equal(outcome.error?.code, 522);
    assert.match(
      outcome.error?.message ?? "",
      /Canister exceeded the limit of 12345 instructions for single message execution\.\.\nTry/,
    );
    assert.equal(instructionsOf(outcome), 12_345n);
  });

  test("stable pages cost 1,000 when first written", () => {
    const calls = 1n + (1n + 5n + 100n + 1n) + 2n * (3n + 5n + 20n + 2n);
    assert.equal(instructionsOf(bench.update(canister, "stable")), calls + 2n * 1_000n);
  });

  test("performance counters include themselves and, on demand, the context's earlier messages", () => {
    const outcome = bench.update(canister, "counter", "", { contextInstructions: 1_000_000n });
    const [own, all] = words(reply(outcome)) as [bigint, bigint];
    // The whole body is one run, paid at its start.
    const run = 1n + (1n + 1n + 5n + 1n) * 2n + (1n + 1n + 5n) + 5n;
    assert.equal(own, run + 200n);
    assert.equal(all, 1_000_000n + run + 400n);
  });
});

describe("memory limits", () => {
  const GROW = `(module
    (import "ic0" "msg_reply" (func $reply)) (memory 1)
    (func $grow (drop (memory.grow (i32.const 100))))
    (func (export "canister_update grow") (call $grow) (call $reply))
    (func (export "canister_query grow_q") (call $grow) (call $reply)))`;

  test("the Wasm memory limit traps in updates and not in queries", () => {
    const bench = new Bench();
    const canister = bench.installed(GROW);
    canister.meta.settings = { ...canister.meta.settings, wasmMemoryLimit: 1_000_000n };
    const outcome = bench.update(canister, "grow");
    assert.equal(outcome.error?.code, 539);
    assert.match(
      outcome.error?.message ?? "",
      /current Wasm memory limit of 1000000 bytes\. The peak Wasm memory usage was 6619136 bytes\./,
    );
    // The refusal comes from the host and is counted exactly: 11 for the update, 303 for the function that grows.
    assert.equal(outcome.instructions, 314n);
    assert.equal(canister.meta.heapPages, 1);
    reply(bench.query(canister, "grow_q"));
    assert.equal(canister.meta.heapPages, 1);
  });

  test("growth beyond what the subnet has or the balance allows is an error", () => {
    const bench = new Bench();
    const canister = bench.installed(GROW);
    assert.equal(bench.update(canister, "grow", "", { subnetMemoryAvailable: 100n }).error?.code, 507);
    canister.meta.settings = { ...canister.meta.settings, freezingThreshold: 1n << 40n };
    canister.meta.cycles = 1n;
    const outcome = bench.update(canister, "grow");
    assert.equal(outcome.error?.code, 532);
    assert.match(
      outcome.error?.message ?? "",
      /cannot grow memory by 6553600 bytes due to insufficient cycles\. At least \d+ additional cycles are required\./,
    );
  });
});

describe("entry points", () => {
  test("missing methods and modules are told in the replica's words", () => {
    const bench = new Bench();
    const canister = bench.installed(`(module (func (export "canister_composite_query c")))`);
    const missing = bench.update(canister, "nope").error;
    assert.equal(missing?.code, 536);
    assert.match(missing?.message ?? "", /Canister has no update method 'nope'\.\.\nCheck that the method/);
    assert.equal(bench.query(canister, "nope").error?.code, 536);
    assert.equal(bench.update(canister, "c").error?.code, 527);
    assert.equal(bench.update(bench.empty(), "c").error?.code, 537);
  });

  test("callbacks run table entries with their environment", () => {
    for (const is64 of [false, true]) {
      const type = is64 ? "i64" : "i32";
      const bench = new Bench();
      const canister = bench.installed(`(module
        (import "ic0" "msg_reply" (func $reply))
        (import "ic0" "msg_reply_data_append" (func $append (param ${type} ${type})))
        (memory ${is64 ? "i64" : ""} 1) (table 3 funcref) (elem (i32.const 1) $one) (elem (i32.const 2) $bad)
        (func $one (param ${type}) (${type}.store (${type}.const 0) (local.get 0))
          (call $append (${type}.const 0) (${type}.const ${is64 ? 8 : 4})) (call $reply))
        (func $bad))`);
      const run = (fun: number, env: bigint): MessageOutcome =>
        bench.runner.execute(
          canister,
          { kind: "reply_callback", closure: { fun, env }, arg: new Uint8Array(0) },
          context(),
        );
      const env = is64 ? 0xfedcba9876543210n : 0xfedcba98n;
      const bytes = reply(run(1, env)).slice().reverse();
      assert.equal(toHex(bytes), env.toString(16));
      assert.equal(run(0, 0n).error?.code, 513);
      assert.match(
        run(9, 0n).error?.message ?? "",
        /non-existent Wasm function 9 from table 0\.\nIf you are running/,
      );
      assert.match(
        run(2, 0n).error?.message ?? "",
        /violated contract: function invocation does not match its signature/,
      );
    }
  });

  test("trap texts and logs", () => {
    const bench = new Bench();
    const canister = bench.installed(`(module
      (import "ic0" "debug_print" (func $print (param i32 i32)))
      (import "ic0" "trap" (func $trap (param i32 i32)))
      (memory 1) (data (i32.const 0) "hello")
      (func (export "canister_update t") (call $print (i32.const 0) (i32.const 5)) (call $print (i32.const 65536) (i32.const 1))
        (call $trap (i32.const 0) (i32.const 4)))
      (func (export "canister_update silent") (call $trap (i32.const 0) (i32.const 0)))
      (func (export "canister_update far") (call $trap (i32.const -1) (i32.const 4))))`);
    const outcome = bench.update(canister, "t");
    assert.equal(outcome.error?.code, 503);
    assert.match(
      outcome.error?.message ?? "",
      /^Error from Canister [a-z0-9-]+: Canister called `ic0\.trap` with message: 'hell'\.\nConsider gracefully handling/,
    );
    assert.deepEqual(
      outcome.logs,
      ["hello", "(debug_print message out of memory bounds)", "[TRAP]: hell"].map(utf8),
    );
    assert.deepEqual(bench.update(canister, "silent").logs, [utf8("[TRAP]: (no message)")]);
    assert.match(bench.update(canister, "far").error?.message ?? "", /trap message out of memory bounds/);
  });
});

describe("modules that drop segments", () => {
  test("find their segments again in every message", () => {
    const bench = new Bench();
    const canister = bench.installed(`(module
      (import "ic0" "msg_reply" (func $reply))
      (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
      (memory 1) (data $d "once") (global $n (mut i32) (i32.const 0))
      (func (export "canister_update use")
        (global.set $n (i32.add (global.get $n) (i32.const 1)))
        (memory.init $d (i32.mul (global.get $n) (i32.const 4)) (i32.const 0) (i32.const 4)) (data.drop $d)
        (call $append (i32.const 4) (i32.const 12)) (call $reply))
      (func (export "canister_update twice")
        (data.drop $d) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 4))))`);
    assert.deepEqual(reply(bench.update(canister, "use")), utf8("once\0\0\0\0\0\0\0\0"));
    assert.equal(bench.update(canister, "twice").error?.code, 502);
    assert.deepEqual(reply(bench.update(canister, "use")), utf8("onceonce\0\0\0\0"));
    assert.deepEqual(reply(bench.update(canister, "use")), utf8("onceonceonce"));
  });
});
