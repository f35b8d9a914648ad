/** The engine: traps, callbacks, growth, globals, pooled memories, and canisters posted to threads with a large stack. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { OrreryError } from "@orrery/base";
import { createEngine, ENGINE_STACK_MB, type Form, type TrapKind, WasmTrap } from "./index.ts";
import { compile, instantiate, run, start, wat } from "./testing.ts";

const FORMS: readonly Form[] = ["fast", "exact", "profile"];

function trapOf(run: () => unknown): WasmTrap {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof WasmTrap, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: "no trap" });
}

test("traps have the replica's texts, and the exact form is final", () => {
  const cases: readonly (readonly [body: string, kind: TrapKind, text: string, exactInFast: boolean])[] = [
    ["(unreachable)", "unreachable", "unreachable", true],
    ["(drop (i32.load (i32.const -1)))", "heap_out_of_bounds", "heap out of bounds", false],
    [
      "(memory.fill (i32.const 0) (i32.const 0) (i32.const 70000))",
      "heap_out_of_bounds",
      "heap out of bounds",
      false,
    ],
    [
      "(memory.init 0 (i32.const 0) (i32.const 0) (i32.const 7))",
      "heap_out_of_bounds",
      "heap out of bounds",
      false,
    ],
    [
      "(drop (i32.div_s (i32.const 1) (i32.const 0)))",
      "integer_division_by_zero",
      "integer division by 0",
      false,
    ],
    [
      "(drop (i64.rem_u (i64.const 1) (i64.const 0)))",
      "integer_division_by_zero",
      "integer division by 0",
      false,
    ],
    ["(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", "other", "unknown", false],
    ["(drop (i32.trunc_f64_s (f64.const nan)))", "other", "unknown", false],
    ["(call_indirect (type $t) (i32.const 9))", "table_out_of_bounds", "table out of bounds", false],
    ["(drop (table.get 0 (i32.const 9)))", "table_out_of_bounds", "table out of bounds", false],
    [
      "(call_indirect (param i32) (i32.const 0) (i32.const 0))",
      "bad_signature",
      "function invocation does not match its signature",
      false,
    ],
  ];
  const moduleOf = (body: string): string =>
    `(module (type $t (func)) (memory 1) (table 2 funcref) (elem (i32.const 0) $f) (data "abc") (func $f) (func (export "canister_update go") ${body}))`;
  for (const [body, kind, text, exactInFast] of cases) {
    for (const form of FORMS) {
      const { error } = run(start(moduleOf(body), { form }), "go");
      assert.ok(error instanceof WasmTrap, body);
      assert.deepEqual(
        [error.kind, error.message, error.exactCounter],
        [kind, text, form !== "fast" || exactInFast],
        body,
      );
    }
  }
  const toNull = moduleOf("(call_indirect (type $t) (i32.const 1))");
  assert.equal((run(start(toNull, { form: "fast" }), "go").error as WasmTrap).exactCounter, false);
  assert.equal((run(start(toNull, { form: "exact" }), "go").error as WasmTrap).kind, "other");
});

test("exceptions of the host pass through untouched, with an exact counter", () => {
  const module = `(module (import "ic0" "msg_reply" (func $r)) (func $f (call $r) (nop)) (func (export "canister_update go") (nop) (call $f)))`;
  const thrown = new Error("from the host");
  for (const form of FORMS) {
    const instance = start(module, {
      form,
      ic0: {
        msg_reply: () => {
          throw thrown;
        },
      },
    });
    assert.deepEqual(run(instance, "go"), { error: thrown, used: 1n + 1n + 5n + 1n + 5n + 1n + 500n });
  }
});

test("callbacks: found, absent, of a wrong type; 32 and 64 bits", () => {
  for (const type of ["i32", "i64"] as const) {
    const module = `(module (memory ${type === "i64" ? "i64" : ""} 1) (table 4 funcref) (elem (i32.const 1) $ok $wrong)
      (global (mut ${type}) (${type}.const 0)) (func $ok (param ${type}) (global.set 0 (local.get 0)) (drop (${type}.load (local.get 0)))) (func $wrong))`;
    for (const form of FORMS) {
      const instance = start(module, { form });
      instance.setCounter(1000n);
      instance.callTable(1, type === "i64" ? 2n : 2);
      assert.deepEqual(instance.readGlobals(), [2n]);
      assert.equal(1000n - instance.counter(), 1n + 1n + 2n + 1n + (type === "i64" ? 2n : 1n) + 1n);
      assert.equal(trapOf(() => instance.callTable(1, 0xffffffff)).kind, "heap_out_of_bounds");
      assert.deepEqual(instance.readGlobals(), [0xffffffffn]);
      for (const index of [0, 3, 4, 0xffffffff])
        assert.equal(trapOf(() => instance.callTable(index, 0)).kind, "function_not_found");
      assert.equal(trapOf(() => instance.callTable(2, 0)).kind, "bad_signature");
    }
  }
  const bare = start("(module)");
  assert.equal(trapOf(() => bare.callTable(0, 0)).kind, "function_not_found");
});

test("memory.grow: up to the module's maximum, announced after it happened, refused by an exception", () => {
  for (const type of ["i32", "i64"] as const) {
    const module = `(module (memory ${type === "i64" ? "i64" : ""} 1 4) (global (mut ${type}) (${type}.const 9))
      (func (export "canister_update go") (global.set 0 (memory.grow (${type}.const 2))))
      (func (export "canister_update huge") (global.set 0 (memory.grow (${type}.const -1)))))`;
    for (const form of FORMS) {
      const grown: number[][] = [];
      const instance = start(module, {
        form,
        hooks: { memoryGrown: (...args) => void grown.push([...args, instance.memoryBytes().length]) },
      });
      run(instance, "go");
      assert.deepEqual(instance.readGlobals(), [1n]);
      run(instance, "go");
      assert.deepEqual(instance.readGlobals(), [BigInt.asUintN(type === "i64" ? 64 : 32, -1n)]);
      run(instance, "huge");
      assert.deepEqual(instance.readGlobals(), [BigInt.asUintN(type === "i64" ? 64 : 32, -1n)]);
      assert.deepEqual(grown, [[1, 2, 3 * 65536]]);
      const refusal = new Error("memory limit");
      const refusing = start(module, {
        form,
        hooks: {
          memoryGrown: () => {
            throw refusal;
          },
        },
      });
      assert.equal(run(refusing, "go").error, refusal);
    }
  }
});

test("the start function runs when asked, and instantiation does not run it", () => {
  const module = `(module (global (mut i32) (i32.const 1)) (func $s (global.set 0 (i32.const 2))) (start $s))`;
  const instance = start(module);
  assert.deepEqual(instance.readGlobals(), [1n]);
  instance.setCounter(100n);
  instance.start();
  assert.deepEqual([instance.readGlobals(), instance.counter()], [[2n], 96n]);
  assert.doesNotThrow(() => start("(module)").start());
});

test("globals of every type are saved and restored bit by bit", () => {
  const module = `(module (global (mut i32) (i32.const -1)) (global i32 (i32.const 5)) (global (mut i64) (i64.const -2))
    (global (mut f32) (f32.const -nan:0x1)) (global (mut f64) (f64.const nan:0x1)) (global (mut v128) (v128.const i64x2 -3 7))
    (func (export "canister_update go") (global.set 0 (i32.const 0)) (global.set 5 (v128.const i64x2 0 0))))`;
  const instance = start(module);
  const saved = instance.readGlobals();
  const v128 = (7n << 64n) | 0xfffffffffffffffdn;
  assert.deepEqual(saved, [0xffffffffn, 0xfffffffffffffffen, 0xff800001n, 0x7ff0000000000001n, v128]);
  run(instance, "go");
  instance.writeGlobals(saved);
  assert.deepEqual(instance.readGlobals(), saved);
  assert.throws(
    () => instance.writeGlobals([]),
    (error) => error instanceof OrreryError && error.code === "wasm_globals_mismatch",
  );
});

test("missing imports, memories and exports are refused by name", () => {
  const engine = createEngine();
  const compiled = compile(`(module (import "ic0" "time" (func (result i64))) (memory 1))`, engine);
  const code = (expected: string) => (error: unknown) =>
    error instanceof OrreryError && error.code === expected;
  assert.throws(() => instantiate(engine, compiled), code("wasm_import_missing"));
  assert.throws(
    () => engine.instantiate(compiled, { memory: null, ic0: { time: () => 0n } }),
    code("wasm_memory_missing"),
  );
  assert.throws(() => start("(module)").call("canister_update x"), code("wasm_export_missing"));
});

test("initial memory comes from the image, and active segments are dropped", () => {
  const module = `(module (memory 3) (data (i32.const 4094) "abcd") (data (i32.const 4095) "X") (data (i32.const 70000) "\\00\\00") (data "keep")
    (func (export "canister_update passive") (memory.init 3 (i32.const 8) (i32.const 0) (i32.const 4)))
    (func (export "canister_update active") (memory.init 0 (i32.const 8) (i32.const 0) (i32.const 1)))
    (func (export "canister_update empty") (memory.init 0 (i32.const 8) (i32.const 0) (i32.const 0))))`;
  const engine = createEngine();
  const compiled = compile(module, engine);
  assert.deepEqual(compiled.image.pages, [0, 1]);
  const instance = instantiate(engine, compiled);
  assert.equal(Buffer.from(instance.memoryBytes().subarray(4093, 4099)).toString("latin1"), "\0aXcd\0");
  assert.equal(run(instance, "passive").error, null);
  assert.equal(Buffer.from(instance.memoryBytes().subarray(8, 12)).toString(), "keep");
  assert.equal(run(instance, "empty").error, null);
  assert.equal((run(instance, "active").error as WasmTrap).kind, "heap_out_of_bounds");
});

test("a module that cannot be instantiated is refused when it is compiled", () => {
  for (const offset of ["(i32.const 2)", "(i32.const -1)", "(i32.add (i32.const 1) (i32.const 8))"]) {
    const module = wat(`(module (table 2 funcref) (elem ${offset} $f) (func $f))`);
    const result = createEngine().compile(module);
    assert.ok(!result.ok && result.error.kind === "instantiation", offset);
    assert.match(result.error.message, /^Failed to instantiate module: /);
  }
  assert.ok(createEngine().compile(wat("(module (table 2 funcref) (elem (i32.const 1) $f) (func $f))")).ok);
});

test("pooled memories come back zeroed and of the right size", () => {
  const { memories } = createEngine();
  for (const is64 of [false, true]) {
    const first = memories.acquire({ is64, pages: 2 });
    new Uint8Array(first.buffer).fill(7, 4096, 8192);
    memories.release(first, is64, [1]);
    const larger = memories.acquire({ is64, pages: 5 });
    assert.equal(larger, first);
    const bytes = new Uint8Array(larger.buffer);
    assert.equal(bytes.length, 5 * 65_536);
    assert.ok(bytes.every((b) => b === 0));
    bytes.fill(1);
    memories.release(larger, is64, "all");
    assert.notEqual(memories.acquire({ is64, pages: 4 }), larger);
    const again = memories.acquire({ is64, pages: 5 });
    assert.equal(again, larger);
    assert.ok(new Uint8Array(again.buffer).every((b) => b === 0));
  }
});

test("compiled canisters run in other threads, where deep recursion ends in our trap, not in the engine's", async () => {
  const posted = compile(`(module (memory 1) (func (export "canister_update go") (nop)))`);
  const worker = new Worker(new URL("./stack.testing.ts", import.meta.url), {
    resourceLimits: { stackSizeMb: ENGINE_STACK_MB },
    workerData: { posted },
  });
  const [{ foreign, shapes }] = (await once(worker, "message")) as [
    { foreign: bigint; shapes: [string, ...string[]][] },
  ];
  await worker.terminate();
  assert.equal(foreign, 2n);
  for (const [name, ...outcomes] of shapes) assert.deepEqual(outcomes, ["stack_overflow true"], name);
});
