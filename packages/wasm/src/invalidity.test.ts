/**
 * What is told about invalid modules: by rule, with the place; the same whatever the engine says; and that there is a reason for
 * whatever the engine refuses, and none for what it accepts.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createEngine, decodeModule, validateModule } from "./index.ts";
import { invalidity, OPERANDS_MAX, UNEXPLAINED } from "./invalidity.ts";
import { InvalidModule } from "./reader.ts";
import { wat } from "./testing.ts";

const PREFIX = "Wasmtime failed to validate wasm module wasmtime::Module::validate() failed with ";

function told(wasm: Uint8Array): string {
  const result = validateModule(wasm);
  assert.ok(!result.ok, "accepted");
  assert.equal(result.error.kind, "engine_validation");
  assert.ok(result.error.message.startsWith(PREFIX), result.error.message);
  return result.error.message.slice(PREFIX.length);
}

/** The first `from` after the header becomes `to`. */
function changed(text: string, from: readonly number[], to: readonly number[]): Uint8Array {
  const bytes = [...wat(text)];
  const at = bytes.findIndex((_, i) => i >= 8 && from.every((byte, n) => bytes[i + n] === byte));
  assert.ok(at > 0);
  bytes.splice(at, from.length, ...to);
  return new Uint8Array(bytes);
}

/** A function of one instruction after `before`, in a module that has one of everything. */
function one(before: readonly number[], code: readonly number[], after: readonly number[] = []): Uint8Array {
  const body = [0, ...before, ...code, ...after, 0x0b];
  const sections = [
    [1, 8, 2, 0x60, 0, 0, 0x60, 1, 0x7f, 0],
    [3, 2, 1, 0],
    [4, 4, 1, 0x6f, 0, 1],
    [5, 3, 1, 0, 1],
    [6, 6, 1, 0x7f, 0, 0x41, 0, 0x0b],
    [10, body.length + 2, 1, body.length, ...body],
  ];
  return new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()]);
}

/** Where the code of `one` begins. */
const CODE_AT = 0x2e;
const at = (offset: number): string => ` (at offset 0x${(CODE_AT + offset).toString(16)})`;
const I32 = [0x41, 0];
const I64 = [0x42, 0];

describe("a reason and a place for every rule", () => {
  const rules: readonly (readonly [name: string, before: number[], code: number[], what: string])[] = [
    ["a type", [...I32], [0x7c], "type mismatch: expected i64, found i32"],
    ["too few operands", [], [0x1a], "type mismatch: expected a type but nothing on stack"],
    ["too few of a type", [], [0x45], "type mismatch: expected i32 but nothing on stack"],
    ["what is left", [...I32], [0x0b], "type mismatch: values remaining on stack at end of block"],
    ["a local", [], [0x20, 5], "unknown local 5: local index out of bounds"],
    ["a global", [], [0x23, 5], "unknown global: global index out of bounds"],
    ["a constant global", [...I32], [0x24, 0], "global is immutable: cannot modify it with `global.set`"],
    ["a function", [], [0x10, 5], "unknown function 5: function index out of bounds"],
    ["a label", [], [0x0c, 5], "unknown label: branch depth too large"],
    ["a block's type", [], [0x02, 5], "unknown type: type index out of bounds"],
    ["a table", [...I32], [0x25, 5], "unknown table 5: table index out of bounds"],
    [
      "a table of another kind",
      [...I32],
      [0x11, 0, 0],
      "type mismatch: indirect calls must go through a table with type <= funcref",
    ],
    ["an else", [], [0x05], "`else` found outside `If` block"],
    [
      "an alignment",
      [...I32],
      [0x28, 3, 0],
      "invalid memop alignment: alignment must not be larger than natural",
    ],
    ["a lane", [0xfd, 12, ...new Array<number>(16).fill(0)], [0xfd, 21, 16], "SIMD index out of bounds"],
    ["a selection", [...I32, ...I64, ...I32], [0x1b], "type mismatch: select operands have different types"],
    [
      "references to select",
      [0xd0, 0x70, 0xd0, 0x70, ...I32],
      [0x1b],
      "type mismatch: select only takes integral types",
    ],
    ["several results", [...I32, ...I32], [0x1c, 2, 0x7f, 0x7f], "invalid result arity"],
    ["no reference", [...I32], [0xd1], "type mismatch: expected ref but found i32"],
    ["a reference to a function", [], [0xd2, 0], "undeclared function reference"],
    [
      "segments without their number",
      [...I32, ...I32, ...I32],
      [0xfc, 8, 0, 0],
      "data count section required",
    ],
    ["an element segment", [], [0xfc, 13, 0], "unknown elem segment 0: segment index out of bounds"],
    [
      "labels of a jump",
      [0x02, 0x7f, ...I32],
      [0x0e, 1, 0, 1],
      "type mismatch: br_table target labels have different number of types",
    ],
    ["an offset", [...I32], [0x28, 0, 0x80, 0x80, 0x80, 0x80, 0x10], "offset out of range: must be <= 2**32"],
  ];
  for (const [name, before, code, what] of rules) {
    test(name, () => assert.equal(told(one(before, code)), `${what}${at(before.length)}`));
  }

  test("what comes after the end", () => {
    const what = "operators remaining after end of function body or expression";
    assert.equal(told(one([0x0b], [0x01])), `${what}${at(1)}`);
  });

  test("a body that does not end", () => {
    const what = "control frames remain at end of function body or expression";
    assert.equal(told(one([0x02], [0x40])), `${what}${at(3)}`);
  });

  const modules: readonly (readonly [name: string, wasm: () => Uint8Array, what: string])[] = [
    [
      "a memory",
      () => wat("(module (memory 65537))"),
      "memory size must be at most 0x10000 65536-byte pages (at offset 0xa)",
    ],
    [
      "a constant's type",
      () => changed("(module (global i32 (i32.const 1)))", [0x41, 1], [0x42, 1]),
      "type mismatch: expected i32, found i64 (at offset 0xf)",
    ],
    [
      "a start function",
      () => changed("(module (func) (func (param i32)) (start 0))", [8, 1, 0], [8, 1, 1]),
      "invalid start function type (at offset 0x19)",
    ],
    [
      "a name twice",
      () => changed('(module (func (export "a")) (func (export "b")))', [1, 0x62], [1, 0x61]),
      "duplicate export name `a` already defined (at offset 0x1a)",
    ],
    [
      "an exported memory",
      () => changed('(module (func (export "a")))', [1, 0x61, 0, 0], [1, 0x61, 2, 0]),
      "unknown memory 0: exported memory index out of bounds (at offset 0x15)",
    ],
    [
      "a segment without a table",
      () => new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 9, 6, 1, 0, 0x41, 0, 0x0b, 0]),
      "unknown table 0: table index out of bounds (at offset 0xb)",
    ],
    [
      "data without a memory",
      () => new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 11, 6, 1, 0, 0x41, 0, 0x0b, 0]),
      "unknown memory 0: memory index out of bounds (at offset 0xb)",
    ],
  ];
  for (const [name, wasm, what] of modules) test(name, () => assert.equal(told(wasm()), what));
});

test("a reason that takes too long to find is not looked for: one sentence, after as much work on every host", () => {
  const wasm = decodeModule(one([...I32], [0x7c]));
  assert.equal(invalidity(wasm, 1).reason.message, UNEXPLAINED);
  assert.notEqual(invalidity(wasm, 100).reason.message, UNEXPLAINED);
  assert.equal(OPERANDS_MAX, 20_000_000);
});

describe("the engine's words are nobody's business", () => {
  const PLANTED = "words of another version";
  /** The engine refuses everything, with words of its own. */
  function planted<T>(
    what: Partial<Pick<typeof WebAssembly, "Module" | "Instance" | "validate">>,
    act: () => T,
  ): T {
    const { Module, Instance, validate } = WebAssembly;
    Object.assign(WebAssembly, what);
    try {
      return act();
    } finally {
      Object.assign(WebAssembly, { Module, Instance, validate });
    }
  }
  const refusing = (error: new (text: string) => Error): never =>
    function refuse() {
      throw new error(PLANTED);
    } as never;
  const messageOf = (wasm: Uint8Array): string => {
    const result = createEngine().compile(wasm);
    return result.ok ? "compiled" : result.error.message;
  };
  const { CompileError, RuntimeError } = WebAssembly;

  test("when it finds a module invalid", () => {
    const wasm = one([...I32], [0x7c]);
    const Module = refusing(CompileError);
    const before = messageOf(wasm);
    assert.match(before, /expected i64, found i32/);
    assert.equal(
      planted({ Module }, () => messageOf(wasm)),
      before,
    );
    // A verdict for which there is no reason of ours.
    assert.equal(
      planted({ Module, validate: () => false }, () => messageOf(wat("(module)"))),
      UNEXPLAINED,
    );
  });

  test("when it does not take what became of a module", () => {
    assert.equal(
      planted({ Module: refusing(CompileError) }, () => messageOf(wat("(module (func))"))),
      "Wasm module exceeds the engine's limits: the engine does not take it",
    );
  });

  test("when a module cannot be instantiated", () => {
    const wasm = wat("(module (table 1 funcref) (elem (i32.const 1) $f) (func $f))");
    const before = messageOf(wasm);
    assert.equal(
      before,
      "Failed to instantiate module: wasm trap: undefined element: out of bounds table access",
    );
    assert.equal(
      planted({ Instance: refusing(RuntimeError) }, () => messageOf(wasm)),
      before,
    );
  });
});

const RICH = (type: string): Uint8Array =>
  wat(`(module
  (type $cb (func (param ${type})))
  (import "ic0" "msg_reply" (func $reply))
  (memory ${type === "i64" ? "i64" : ""} 2 10)
  (table 5 funcref) (table 3 externref)
  (elem (i32.const 1) $reply $callback $two) (elem func $two) (elem declare funcref (ref.func $go))
  (global $g (mut i32) (i32.const 7)) (global $h f64 (f64.const 1)) (global (mut v128) (v128.const i64x2 1 2))
  (data (${type}.const 100) "hello") (data "passive")
  (func $callback (type $cb) (drop (local.get 0)))
  (func $two (param i32) (result i32 i64) (if (result i32 i64) (local.get 0)
    (then (i32.const 1) (i64.const 2)) (else (return (i32.const 3) (i64.const 4)))))
  (func $go (local $i i32) (local $p ${type}) (local $v v128) (local $f f64) (local $s f32)
    (block $out (loop $again
      (br_table $again $out $out (i32.and (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1)))))
    (local.set $i (block (result i32) (br_if 0 (i32.const 1) (local.get $i))))
    (i64.store offset=3 (local.get $p) (i64.extend_i32_s (i32.load16_u (local.get $p))))
    (v128.store (local.get $p) (f32x4.add (local.get $v) (i32x4.splat (global.get $g))))
    (v128.store8_lane offset=1 3 (local.get $p) (i8x16.shl (local.get $v) (i32x4.extract_lane 2 (local.get $v))))
    (local.set $v (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31 (local.get $v) (local.get $v)))
    (local.set $f (f64.sqrt (f64.div (local.get $f) (f64.promote_f32 (f32.load (local.get $p))))))
    (local.set $i (i64.eqz (i64.reinterpret_f64 (global.get $h))))
    (memory.fill (local.get $p) (i32.const 0) (${type}.const 3)) (memory.init 1 (local.get $p) (i32.const 0) (i32.const 2))
    (memory.copy (local.get $p) (local.get $p) (memory.size))
    (drop (memory.grow (${type}.const 1))) (drop (ref.is_null (ref.func $go))) (drop (table.get 1 (i32.const 0)))
    (global.set $g (table.size 0)) (global.set $g (i32.trunc_sat_f64_s (local.get $f)))
    (call_indirect (type $cb) (local.get $p) (i32.const 2))
    (drop (drop (call $two (i32.const 1)))) (data.drop 1) (elem.drop 1)
    (drop (select (local.get $s) (f32.const 1) (i32.const 1)))
    (drop (select (result f64) (local.get $f) (f64.const nan) (i32.const 1))) (unreachable) (i32.add) (drop))
  (func (export "canister_update go") (call $go))
  (start $go))`);

/** What the host's engine accepts and canisters may not have. */
const LATER =
  /unsupported instruction|invalid heap type|invalid block type|invalid value type|zero byte expected/;

test("there is a reason for what the engine refuses, and none for what it accepts", () => {
  const seeds = [RICH("i32"), RICH("i64")];
  const counts = { refused: 0, accepted: 0 };
  const change = fc.record({ at: fc.nat(), byte: fc.nat(255), kind: fc.constantFrom("set", "add", "type") });
  const check = (seed: Uint8Array, changes: readonly { at: number; byte: number; kind: string }[]): void => {
    const bytes = seed.slice();
    for (const { at: place, byte, kind } of changes) {
      const i = 8 + (place % (bytes.length - 8));
      bytes[i] =
        kind === "set"
          ? byte
          : kind === "add"
            ? (bytes[i] as number) + (byte & 1) * 2 - 1
            : 0x7f - (byte & 3);
    }
    let decoded: ReturnType<typeof decodeModule>;
    try {
      decoded = decodeModule(bytes);
    } catch (error) {
      assert.ok(error instanceof InvalidModule);
      return;
    }
    const { message } = invalidity(decoded).reason;
    const valid = WebAssembly.validate(bytes);
    counts[valid ? "accepted" : "refused"]++;
    if (!valid) assert.notEqual(message, UNEXPLAINED);
    else if (message !== UNEXPLAINED) assert.match(message, LATER);
  };
  for (const seed of seeds) check(seed, []);
  assert.equal(counts.accepted, 2);
  fc.assert(fc.property(fc.constantFrom(...seeds), fc.array(change, { minLength: 1, maxLength: 3 }), check), {
    numRuns: 8_000,
    seed: 7,
  });
  assert.ok(counts.refused > 2_000 && counts.accepted > 800, JSON.stringify(counts));
});
