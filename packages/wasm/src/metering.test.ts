/** Counts computed by hand from the replica's rules: where runs start, what operators weigh, what is charged at traps. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Form } from "./index.ts";
import { run, start } from "./testing.ts";
import { WasmTrap } from "./traps.ts";

const FORMS: readonly Form[] = ["fast", "exact", "profile"];

interface Case {
  readonly name: string;
  readonly module: string;
  readonly used: bigint;
}

const update = (body: string, head = ""): string =>
  `(module ${head} (func (export "canister_update go") ${body}))`;

const CASES: readonly Case[] = [
  { name: "an empty function costs 1", module: update(""), used: 1n },
  { name: "constants and drop", module: update("(drop (i32.const 1))"), used: 3n },
  { name: "block is free", module: update("(block (block))"), used: 1n },
  {
    name: "float weights",
    module: update("(drop (f64.sqrt (f64.min (f64.const 1) (f64.const 2))))"),
    used: 1n + 1n + 1n + 18n + 8n + 1n,
  },
  {
    name: "conversions",
    module: update("(drop (f32.convert_i64_u (i64.trunc_sat_f64_s (f64.const 2))))"),
    used: 1n + 1n + 20n + 16n + 1n,
  },
  {
    name: "division",
    module: update("(drop (i64.rem_u (i64.const 7) (i64.const 2)))"),
    used: 1n + 2n + 10n + 1n,
  },
  {
    name: "if taken: the arm's run is charged when it is entered",
    module: update("(if (i32.const 1) (then (drop (i32.const 1))) (else (nop) (nop) (nop)))"),
    used: 1n + 1n + 2n + 2n,
  },
  {
    name: "else taken",
    module: update("(if (i32.const 0) (then (drop (i32.const 1))) (else (nop) (nop) (nop)))"),
    used: 1n + 1n + 2n + 3n,
  },
  {
    name: "a loop of three turns",
    module: update(`(local i32) (local.set 0 (i32.const 3))
      (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))`),
    used: 1n + 2n + 3n * (1n + 1n + 1n + 1n + 2n),
  },
  { name: "br leaves code behind it uncharged", module: update("(block (br 0) (nop) (nop))"), used: 1n + 2n },
  { name: "return leaves code behind it uncharged", module: update("(return) (nop) (nop)"), used: 2n },
  {
    name: "br_table",
    module: update("(block (block (block (br_table 0 1 2 (i32.const 1))) (nop)) (drop (i32.const 0)))"),
    used: 1n + 1n + 2n + 2n,
  },
  {
    name: "a call and its callee",
    module: `(module (func $f (result i32) (i32.const 5)) (func (export "canister_update go") (drop (call $f))))`,
    used: 1n + 5n + 1n + (1n + 1n),
  },
  {
    name: "an indirect call",
    module: `(module (type $t (func (param i32))) (table 1 funcref) (elem (i32.const 0) $f)
      (func $f (param i32)) (func (export "canister_update go") (call_indirect (type $t) (i32.const 1) (i32.const 0))))`,
    used: 1n + 2n + 10n + 1n,
  },
  {
    name: "globals, memory.size and table.size",
    module: update(
      "(global.set 0 (memory.size)) (drop (table.size 0))",
      "(memory 1) (table 2 funcref) (global (mut i32) (i32.const 0))",
    ),
    used: 1n + 20n + 2n + 100n + 1n,
  },
  {
    name: "memory.grow",
    module: update("(drop (memory.grow (i32.const 1)))", "(memory 1)"),
    used: 1n + 1n + 300n + 1n,
  },
  {
    name: "memory.fill charges its length",
    module: update("(memory.fill (i32.const 0) (i32.const 1) (i32.const 1000))", "(memory 1)"),
    used: 1n + 3n + 100n + 1000n,
  },
  {
    name: "memory.init and data.drop",
    module: update(
      `(memory.init 0 (i32.const 0) (i32.const 0) (i32.const 3)) (data.drop 0)`,
      `(memory 1) (data "abc")`,
    ),
    used: 1n + 3n + 100n + 3n + 300n,
  },
  {
    name: "a load in a 64-bit memory weighs 2",
    module: update("(drop (i64.load (i64.const 0)))", "(memory i64 1)"),
    used: 1n + 1n + 2n + 1n,
  },
  {
    name: "memory.copy in a 64-bit memory",
    module: update("(memory.copy (i64.const 0) (i64.const 8) (i64.const 16))", "(memory i64 1)"),
    used: 1n + 3n + 100n + 16n,
  },
  {
    name: "vector operators",
    module: update(
      "(drop (f32x4.div (v128.const i32x4 1 2 3 4) (i32x4.extmul_low_i16x8_s (v128.const i64x2 1 2) (v128.const i64x2 1 2))))",
    ),
    used: 1n + 3n + 2n + 10n + 1n,
  },
  {
    name: "ref.func and ref.is_null",
    module: update("(drop (ref.is_null (ref.func 0)))"),
    used: 1n + 130n + 5n + 1n,
  },
];

for (const { name, module, used } of CASES) {
  test(`counts: ${name}`, () => {
    for (const form of FORMS)
      assert.deepEqual(run(start(module, { form }), "go"), { used, error: null }, form);
  });
}

test("a System API call costs its static charge and what the function adds", () => {
  const module = `(module (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32))) (memory 1)
    (func (export "canister_update go") (call $copy (i32.const 0) (i32.const 0) (i32.const 10))))`;
  for (const form of FORMS) {
    const instance = start(module, {
      form,
      ic0: (self) => ({
        msg_arg_data_copy: (_dst: number, _offset: number, size: number) => self().charge(size),
      }),
    });
    assert.equal(run(instance, "go").used, 1n + 3n + 5n + 500n + 10n);
  }
});

test("the counter that an import sees includes its own call and the whole current run", () => {
  const module = `(module (import "ic0" "performance_counter" (func $pc (param i32) (result i64)))
    (func $f (nop)) (func (export "canister_update go") (call $f) (drop (call $pc (i32.const 0))) (nop) (nop)
      (loop (drop (call $pc (i32.const 0))))))`;
  for (const form of FORMS) {
    const seen: bigint[] = [];
    const instance = start(module, {
      form,
      ic0: (self) => ({
        performance_counter: () => {
          seen.push(1_000_000_000_000n - self().counter());
          return 0n;
        },
      }),
    });
    run(instance, "go");
    const first = 1n + 5n + 1n + 5n + 1n + 1n + 1n + (1n + 1n) + 200n;
    assert.deepEqual(seen, [first, first + 1n + 5n + 1n + 200n], form);
  }
});

test("an import called through the table is charged too", () => {
  const module = `(module (import "ic0" "msg_reply" (func $reply)) (type $t (func)) (table 1 funcref) (elem (i32.const 0) $reply)
    (func (export "canister_update go") (call_indirect (type $t) (i32.const 0))))`;
  for (const form of FORMS) {
    assert.equal(
      run(start(module, { form, ic0: { msg_reply: () => undefined } }), "go").used,
      1n + 1n + 10n + 500n,
    );
  }
});

test("at a trap the whole current run is paid; the fast form says when it does not know", () => {
  const load = update("(nop) (drop (i32.load (i32.const 100000))) (nop) (nop)", "(memory 1)");
  const exact = run(start(load, { form: "exact" }), "go");
  assert.equal(exact.used, 1n + 1n + 1n + 1n + 1n + 2n);
  assert.ok(
    exact.error instanceof WasmTrap && exact.error.kind === "heap_out_of_bounds" && exact.error.exactCounter,
  );
  const fast = run(start(load, { form: "fast" }), "go");
  assert.ok(fast.error instanceof WasmTrap && !fast.error.exactCounter);
  for (const form of FORMS) {
    const { used, error } = run(start(update("(block (nop) (unreachable))"), { form }), "go");
    assert.equal(used, 3n);
    assert.ok(error instanceof WasmTrap && error.kind === "unreachable" && error.exactCounter);
  }
});

test("running out is noticed at function entry, loop heads and dynamic charges only", () => {
  const straight = `(module (func (export "canister_update go") (block (nop) (br 0)) (nop) (nop) (nop)))`;
  const loop = update("(loop (br 0))");
  const fill = update("(memory.fill (i32.const 0) (i32.const 0) (i32.const -1))", "(memory 1)");
  for (const form of FORMS) {
    const tryWith = (module: string, limit: bigint): { error: unknown; counter: bigint } => {
      const instance = start(module, { form });
      instance.setCounter(limit);
      try {
        instance.call("canister_update go");
        return { error: null, counter: instance.counter() };
      } catch (error) {
        return { error, counter: instance.counter() };
      }
    };
    assert.deepEqual(tryWith(straight, 4n), { error: null, counter: -3n });
    const entry = tryWith(straight, 3n);
    assert.ok(
      entry.error instanceof WasmTrap &&
        entry.error.kind === "out_of_instructions" &&
        entry.error.exactCounter,
    );
    assert.equal(entry.counter, -1n);
    const inLoop = tryWith(loop, 100n);
    assert.ok(inLoop.error instanceof WasmTrap && inLoop.error.kind === "out_of_instructions");
    // The fast form may find out some turns later.
    if (form === "exact") assert.equal(inLoop.counter, -1n);
    else assert.ok(inLoop.counter < 0n);
    const dynamic = tryWith(fill, 10_000n);
    assert.ok(dynamic.error instanceof WasmTrap && dynamic.error.kind === "out_of_instructions");
    assert.equal(dynamic.counter, 10_000n - 104n - 0xffffffffn);
  }
});

test("the out-of-instructions hook may add instructions and go on", () => {
  const loop = update(
    "(local i32) (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000))))",
  );
  for (const form of FORMS) {
    let slices = 0;
    const instance = start(loop, {
      form,
      hooks: {
        outOfInstructions: () => {
          slices++;
          instance.setCounter(instance.counter() + 1000n);
        },
      },
    });
    instance.setCounter(1000n);
    instance.call("canister_update go");
    assert.equal(1000n + 1000n * BigInt(slices) - instance.counter(), 1n + 1000n * 8n);
  }
});
