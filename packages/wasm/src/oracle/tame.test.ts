/** Taming of references: what it replaces, that operands are still computed, and that the rest stays as it is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { validateModule } from "../index.ts";
import { wat } from "../testing.ts";
import { tamed } from "./tame.testing.ts";

test("instructions that change a table drop their operands, in order", () => {
  assert.equal(
    tamed(
      "(module (func (table.set $0 (call $a) (ref.null func)) (table.grow $0 (ref.func $b) (i32.const 1))))",
    ),
    "(module (func (block (drop (call $a)) (drop (ref.null func))) " +
      "(block (result i32) (drop (ref.func $b)) (drop (i32.const 1)) (i32.const -1))))",
  );
});

test("globals that hold references are nulls, imported ones too", () => {
  const text = `(module
    (import "a" "b" (global $imported externref)) ;; a comment
    (global $own (mut funcref) (ref.null nofunc))
    (global $kept (mut i32) (i32.const 5))
    (export "own" (global $own)) (export "(kept\\"" (global $kept))
    (func (drop (global.get $imported)) (global.set $own (global.get $own)) (global.set $kept (global.get $kept))))`;
  assert.equal(
    tamed(text),
    '(module (global $kept (mut i32) (i32.const 5)) (export "(kept\\"" (global $kept)) ' +
      "(func (drop (ref.null noextern)) (drop (ref.null nofunc)) (global.set $kept (global.get $kept))))",
  );
});

test("narrower types are those of all references", () => {
  assert.equal(
    tamed("(module (type (func (param nullfuncref (ref (exact $0))) (result nullexternref))))"),
    "(module (type (func (param funcref funcref) (result externref))))",
  );
});

test("what was refused is accepted", () => {
  const text = `(module (memory 1) (table $0 2 funcref) (func (table.set $0 (i32.const 0) (ref.null func))
    (drop (table.get $0 (i32.const 1)))))`;
  const [before, after] = [validateModule(wat(text)), validateModule(wat(tamed(text)))];
  assert.match(before.ok ? "" : before.error.message, /unsupported instruction table\.set/);
  assert.ok(after.ok);
});
