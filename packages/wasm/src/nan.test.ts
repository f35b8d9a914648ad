/** Canonical NaNs: every float result that is a NaN has the same bits on every host; copies keep a NaN's bits. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Form } from "./index.ts";
import { run, start } from "./testing.ts";

const FORMS: readonly Form[] = ["fast", "exact"];
const CANON32 = 0x7fc00000n;
const CANON64 = 0x7ff8000000000000n;
const ODD32 = "f32.const -nan:0x600001";
const ODD64 = "f64.const -nan:0xc000000000001";

function bits(expression: string, type: "f32" | "f64" | "v128"): bigint[] {
  const zero = type === "v128" ? "v128.const i64x2 0 0" : `${type}.const 0`;
  const module = `(module (global (mut ${type}) (${zero})) (func (export "canister_update go") (global.set 0 ${expression})))`;
  return FORMS.map((form) => {
    const instance = start(module, { form });
    assert.equal(run(instance, "go").error, null);
    return instance.readGlobals()[0] as bigint;
  });
}

test("scalar arithmetic on an odd NaN gives the canonical one", () => {
  for (const type of ["f32", "f64"] as const) {
    const odd = type === "f32" ? ODD32 : ODD64;
    const canonical = type === "f32" ? CANON32 : CANON64;
    for (const op of ["add", "sub", "mul", "div", "min", "max"]) {
      for (const operands of [`(${odd}) (${type}.const 1)`, `(${type}.const 1) (${odd})`]) {
        assert.deepEqual(bits(`(${type}.${op} ${operands})`, type), [canonical, canonical], `${type}.${op}`);
      }
    }
    for (const op of ["ceil", "floor", "trunc", "nearest", "sqrt"]) {
      assert.deepEqual(bits(`(${type}.${op} (${odd}))`, type), [canonical, canonical], `${type}.${op}`);
    }
    assert.deepEqual(bits(`(${type}.div (${type}.const 0) (${type}.const 0))`, type), [canonical, canonical]);
    assert.deepEqual(bits(`(${type}.sqrt (${type}.const -1))`, type), [canonical, canonical]);
    // Chains, where only the last result needs to be made canonical.
    assert.deepEqual(bits(`(${type}.add (${type}.const 1) (${type}.mul (${odd}) (${type}.const 2)))`, type), [
      canonical,
      canonical,
    ]);
    assert.deepEqual(
      bits(`(${type}.neg (${type}.mul (${odd}) (${type}.const 2)))`, type),
      Array(2).fill(canonical | (type === "f32" ? 1n << 31n : 1n << 63n)),
    );
    assert.deepEqual(
      bits(`(${type}.copysign (${type}.add (${odd}) (${type}.const 2)) (${type}.const -1))`, type),
      Array(2).fill(canonical | (type === "f32" ? 1n << 31n : 1n << 63n)),
    );
  }
  assert.deepEqual(bits(`(f32.demote_f64 (${ODD64}))`, "f32"), [CANON32, CANON32]);
  assert.deepEqual(bits(`(f64.promote_f32 (${ODD32}))`, "f64"), [CANON64, CANON64]);
});

test("operations on bits keep a NaN as it is", () => {
  const odd32 = 0xffe00001n;
  const odd64 = 0xfffc000000000001n;
  assert.deepEqual(bits(`(${ODD32})`, "f32"), [odd32, odd32]);
  assert.deepEqual(bits(`(f32.neg (${ODD32}))`, "f32"), Array(2).fill(odd32 ^ (1n << 31n)));
  assert.deepEqual(bits(`(f64.abs (${ODD64}))`, "f64"), Array(2).fill(odd64 ^ (1n << 63n)));
  assert.deepEqual(
    bits(`(f64.copysign (${ODD64}) (f64.const 1))`, "f64"),
    Array(2).fill(odd64 ^ (1n << 63n)),
  );
  assert.deepEqual(
    bits(`(f64.reinterpret_i64 (i64.const 0xfff0000000000001))`, "f64"),
    Array(2).fill(0xfff0000000000001n),
  );
  assert.deepEqual(bits(`(select (${ODD64}) (f64.const 1) (i32.const 1))`, "f64"), [odd64, odd64]);
});

test("numbers are left alone", () => {
  assert.deepEqual(bits("(f64.add (f64.const 1) (f64.const 2))", "f64"), Array(2).fill(0x4008000000000000n));
  assert.deepEqual(bits("(f32.min (f32.const -0) (f32.const 0))", "f32"), Array(2).fill(0x80000000n));
  assert.deepEqual(
    bits("(f32x4.mul (v128.const f32x4 1 2 3 4) (v128.const f32x4 2 2 2 2))", "v128"),
    bits("(v128.const f32x4 2 4 6 8)", "v128"),
  );
});

test("vectors: NaN lanes become canonical, lane by lane", () => {
  const odd32 = "(v128.const f32x4 -nan:0x600001 1 nan:0x400002 2)";
  const canonical32 = (i: number): bigint => (i % 2 === 0 ? CANON32 : 0n);
  for (const op of ["add", "sub", "mul", "div", "min", "max"]) {
    for (const value of bits(`(f32x4.${op} ${odd32} (v128.const f32x4 1 1 1 1))`, "v128")) {
      for (const lane of [0, 2])
        assert.equal((value >> BigInt(32 * lane)) & 0xffffffffn, canonical32(lane), `f32x4.${op}`);
    }
  }
  for (const op of ["sqrt", "ceil", "floor", "trunc", "nearest"]) {
    for (const value of bits(`(f32x4.${op} ${odd32})`, "v128"))
      assert.equal(value & 0xffffffffn, CANON32, op);
    for (const value of bits(`(f64x2.${op} (v128.const f64x2 1 -nan:0xc000000000001))`, "v128"))
      assert.equal(value >> 64n, CANON64, op);
  }
  const demoted = bits("(f32x4.demote_f64x2_zero (v128.const f64x2 -nan:0xc000000000001 1))", "v128");
  for (const value of demoted) assert.equal(value, CANON32 | (0x3f800000n << 32n));
  const promoted = bits(`(f64x2.promote_low_f32x4 ${odd32})`, "v128");
  for (const value of promoted) assert.equal(value & ((1n << 64n) - 1n), CANON64);
  // The bits of an f32x4 result read as f64x2 operands are made canonical first.
  const mixed = bits(`(f64x2.abs (f32x4.add ${odd32} (v128.const f32x4 0 0 0 0)))`, "v128");
  assert.deepEqual(mixed[0], mixed[1]);
  assert.equal((mixed[0] as bigint) & 0xffffffffn, CANON32);
  const pmin = bits(`(f32x4.pmin ${odd32} (v128.const f32x4 1 1 1 1))`, "v128");
  for (const value of pmin) assert.equal(value & 0xffffffffn, 0xffe00001n);
});

/** The bits that \`body\`, which has locals $x, $y and $z of the type, leaves in the global. */
function left(type: "f32" | "f64", body: string): bigint {
  const module = `(module (memory 1) (global $g (mut ${type}) (${type}.const 0))
    (func $same (param ${type}) (result ${type}) (local.get 0))
    (func (export "canister_update go") (local $x ${type}) (local $y ${type}) (local $z ${type}) (local $i i32) ${body}))`;
  const [fast, exact] = FORMS.map((form) => {
    const instance = start(module, { form });
    assert.equal(run(instance, "go").error, null);
    return instance.readGlobals()[0] as bigint;
  });
  assert.equal(fast, exact);
  return fast as bigint;
}

test("a local that arithmetic alone sets shows canonical NaNs wherever it is seen", () => {
  for (const type of ["f32", "f64"] as const) {
    const odd = type === "f32" ? ODD32 : ODD64;
    const canonical = type === "f32" ? CANON32 : CANON64;
    const sign = type === "f32" ? 1n << 31n : 1n << 63n;
    // Three turns of arithmetic for one look, so that the local is worth leaving as it is.
    const sum = `(loop (local.set $x (${type}.add (local.get $x) (${odd})))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3))))`;
    const int = type === "f32" ? "i32" : "i64";
    const sights: readonly [string, bigint][] = [
      ["(global.set $g (local.get $x))", canonical],
      ["(global.set $g (local.tee $y (local.get $x)))", canonical],
      [`(global.set $g (${type}.neg (local.get $x)))`, canonical | sign],
      [`(global.set $g (${type}.copysign (local.get $x) (${type}.const -1)))`, canonical | sign],
      [`(global.set $g (select (local.get $x) (${type}.const 1) (i32.const 1)))`, canonical],
      [`(global.set $g (block (result ${type}) (local.get $x)))`, canonical],
      [`(global.set $g (block (result ${type}) (br 0 (local.get $x))))`, canonical],
      [`(global.set $g (block (result ${type}) (br_if 0 (local.get $x) (i32.const 1))))`, canonical],
      [
        `(global.set $g (if (result ${type}) (i32.const 1) (then (local.get $x)) (else (${odd}))))`,
        canonical,
      ],
      ["(global.set $g (call $same (local.get $x)))", canonical],
      [`(global.set $g (${type}.reinterpret_${int} (${int}.reinterpret_${type} (local.get $x))))`, canonical],
      [
        `(${type}.store (i32.const 8) (local.get $x)) (global.set $g (${type}.load (i32.const 8)))`,
        canonical,
      ],
      [`(global.set $g (${type}.mul (local.get $x) (${type}.const 2)))`, canonical],
      [
        `(local.set $y (local.get $x)) (local.set $z (local.get $y)) (global.set $g (local.get $z))`,
        canonical,
      ],
    ];
    for (const [look, expected] of sights) assert.equal(left(type, sum + look), expected, look);
  }
});

test("a local that may hold a value from elsewhere keeps its bits", () => {
  for (const type of ["f32", "f64"] as const) {
    const odd = type === "f32" ? ODD32 : ODD64;
    const bits = type === "f32" ? 0xffe00001n : 0xfffc000000000001n;
    const often = (
      local: string,
    ): string => `(loop (local.set ${local} (${type}.add (local.get ${local}) (${type}.const 1)))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3))))`;
    const load = `(${type}.store (i32.const 8) (${odd})) `;
    const moves: readonly string[] = [
      `${often("$x")} (local.set $x (${odd})) (global.set $g (local.get $x))`,
      `${load} ${often("$x")} (local.set $x (${type}.load (i32.const 8))) (global.set $g (local.get $x))`,
      `${load} ${often("$x")} (global.set $g (local.tee $x (${type}.load (i32.const 8))))`,
      `${often("$x")} (local.set $x (call $same (${odd}))) (global.set $g (local.get $x))`,
      `${often("$y")} (local.set $x (${odd})) (local.set $y (local.get $x)) (global.set $g (local.get $y))`,
      `${often("$z")} (local.set $x (${odd})) (local.set $y (local.get $x)) (local.set $z (local.get $y))
        (global.set $g (local.get $z))`,
      `${often("$x")} (local.set $x (select (local.get $x) (${odd}) (i32.const 0))) (global.set $g (local.get $x))`,
      `${often("$x")} (local.set $x (block (result ${type}) (${odd}))) (global.set $g (local.get $x))`,
    ];
    for (const move of moves) assert.equal(left(type, move), bits, move);
  }
});

test("a local that serves two variables shows each as it is", () => {
  for (const type of ["f32", "f64"] as const) {
    const odd = type === "f32" ? ODD32 : ODD64;
    const bits = type === "f32" ? 0xffe00001n : 0xfffc000000000001n;
    const canonical = type === "f32" ? CANON32 : CANON64;
    const look = "(global.set $g (local.get $x))";
    const turns = (body: string): string => `(local.set $i (i32.const 0)) (loop ${body}
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3))))`;
    const sum = turns(`(local.set $x (${type}.add (local.get $x) (${odd})))`);
    const set = `(local.set $x (${odd}))`;
    const add = `(local.set $x (${type}.add (local.get $x) (${odd})))`;
    const cases: readonly [string, bigint][] = [
      [`${sum} ${set} ${look}`, bits],
      [`${set} ${sum} ${look}`, canonical],
      [`${set} (local.set $x (${type}.const 1)) ${sum} ${look}`, canonical],
      [`${sum} (block ${set}) ${look}`, bits],
      [`${sum} (if (i32.const 0) (then ${set})) ${look}`, canonical],
      [`${sum} (if (i32.const 0) (then (nop)) (else ${set})) ${look}`, bits],
      [`(if (i32.const 1) (then ${set}) (else ${sum})) ${look}`, bits],
      [`(if (i32.const 0) (then ${set}) (else ${sum})) ${look}`, canonical],
      [`(block ${sum} (br_if 0 (i32.const 1)) ${set}) ${look}`, canonical],
      [`(block ${set} (br_if 0 (i32.const 1)) ${sum}) ${look}`, bits],
      [`(block ${set} (br_if 0 (i32.const 1)) ${add} ${add} ${add}) ${look}`, bits],
      [`(block (block ${set} (br_if 1 (i32.const 1)) ${add} ${add}) ${add}) ${look}`, bits],
      [
        `(loop ${look} (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (block ${set} (br_if 1 (i32.lt_u (local.get $i) (i32.const 3))) ${add} ${add} ${add}))`,
        bits,
      ],
      [`${sum} (block ${set} (local.set $y (local.get $x))) (global.set $g (local.get $y))`, bits],
      [`${sum} ${look} (block ${set})`, canonical],
      [
        `(if (i32.const 1) (then ${set} (local.set $y (local.get $x))) (else ${add} ${add} ${add})) ${look}`,
        bits,
      ],
      // What the last turn set is read at the start of the next one.
      [turns(`${look} ${set} (local.set $y (local.get $x))`), bits],
      [turns(`${look} (local.set $x (${type}.add (local.get $y) (${odd})))`), canonical],
      [`${turns(`(if (i32.eq (local.get $i) (i32.const 2)) (then ${look})) ${set}`)}`, bits],
      [`${turns(`(block ${look} (br_if 0 (i32.const 1)) ${sum}) ${set}`)}`, bits],
    ];
    for (const [body, expected] of cases) assert.equal(left(type, body), expected, body);
  }
});
