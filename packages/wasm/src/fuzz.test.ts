/** Damaged modules: refused by a result, never by an exception or a hang; whatever is accepted instruments to a valid module. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeModule, functionNames, instrument, validateModule } from "./index.ts";
import { InvalidModule } from "./reader.ts";
import { wat } from "./testing.ts";
import { describeModule } from "./validate.ts";

const RICH = (type: string): Uint8Array =>
  wat(`(module
  (type $cb (func (param ${type})))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param ${type} ${type})))
  (memory ${type === "i64" ? "i64" : ""} 2 10)
  (table 5 funcref)
  (elem (i32.const 1) $reply $callback $two)
  (elem func $two)
  (elem declare funcref (ref.func $go))
  (global $g (mut i32) (i32.const 7)) (global (mut f64) (f64.const 1)) (global (mut v128) (v128.const i64x2 1 2))
  (data (${type}.const 100) "hello") (data "passive")
  (func $callback (type $cb) (call $append (${type}.const 0) (local.get 0)))
  (func $two (param i32) (result i32 i64) (if (result i32 i64) (local.get 0)
    (then (i32.const 1) (i64.const 2)) (else (return (i32.const 3) (i64.const 4)))))
  (func $go (local $i i32) (local $p ${type}) (local $v v128) (local $f f64)
    (block $out (loop $again
      (br_table $again $out $out (i32.and (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1)))))
    (i64.store offset=3 (local.get $p) (i64.const 5))
    (v128.store (${type}.add (local.get $p) (${type}.const 8)) (f32x4.add (local.get $v) (local.get $v)))
    (v128.store8_lane offset=1 3 (local.get $p) (local.get $v))
    (local.set $f (f64.sqrt (f64.div (local.get $f) (f64.const 0))))
    (memory.fill (local.get $p) (i32.const 0) (${type}.const 3)) (memory.init 1 (local.get $p) (i32.const 0) (i32.const 2))
    (drop (memory.grow (${type}.const 1))) (drop (ref.is_null (ref.func $go)))
    (call_indirect (type $cb) (local.get $p) (i32.const 2))
    (drop (drop (call $two (i32.const 1)))) (data.drop 1)
    (drop (select (result f64) (local.get $f) (f64.const nan) (i32.const 1))))
  (func (export "canister_update go") (call $go))
  (start $go))`);

const SEEDS = [RICH("i32"), RICH("i64")];

test("the seeds are accepted and their instrumented forms are valid", () => {
  for (const seed of SEEDS) {
    const result = validateModule(seed);
    assert.ok(result.ok, result.ok ? "" : result.error.message);
    for (const form of ["fast", "exact"] as const)
      new WebAssembly.Module(instrument(decodeModule(seed), { form }));
  }
});

const mutation = fc.record({
  at: fc.nat(),
  byte: fc.nat(255),
  kind: fc.constantFrom("set", "insert", "delete", "truncate", "copy"),
});

function mutate(
  seed: Uint8Array,
  mutations: readonly { at: number; byte: number; kind: string }[],
): Uint8Array {
  let bytes = [...seed];
  for (const { at, byte, kind } of mutations) {
    const i = 8 + (at % Math.max(1, bytes.length - 8));
    if (kind === "set") bytes[i] = byte;
    else if (kind === "insert") bytes.splice(i, 0, byte);
    else if (kind === "delete") bytes.splice(i, 1 + (byte % 4));
    else if (kind === "truncate" && byte < 8) bytes = bytes.slice(0, i);
    else if (kind === "copy") bytes.splice(i, 0, ...bytes.slice(i, i + byte));
  }
  return new Uint8Array(bytes);
}

test("mutated modules give a result", () => {
  let accepted = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...SEEDS),
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      (seed, mutations) => {
        const bytes = mutate(seed, mutations);
        functionNames(bytes);
        const result = validateModule(bytes);
        if (!result.ok) return;
        accepted++;
        for (const form of ["fast", "exact"] as const) {
          const out = instrument(decodeModule(bytes), { form });
          assert.ok(WebAssembly.validate(out), `${form}: invalid after instrumentation`);
        }
      },
    ),
    { numRuns: 6000, seed: 3 },
  );
  assert.ok(accepted > 200, `only ${accepted} mutations were acceptable modules`);
});

test("the decoder alone, without the engine's validation, throws only its own error", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...SEEDS),
      fc.array(mutation, { minLength: 1, maxLength: 8 }),
      (seed, mutations) => {
        try {
          describeModule(decodeModule(mutate(seed, mutations)));
        } catch (error) {
          assert.ok(error instanceof InvalidModule, String(error));
        }
      },
    ),
    { numRuns: 6000, seed: 4 },
  );
});

test("random bytes after the header", () => {
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      validateModule(new Uint8Array([...header, ...bytes]));
    }),
    { numRuns: 5000, seed: 5 },
  );
});
