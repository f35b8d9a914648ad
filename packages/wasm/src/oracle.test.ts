/**
 * The oracle against the two instrumented forms and the plain engine: every control construct by hand, and a slice of the random
 * programs that `oracle.fuzz.ts` runs at length.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createEngine } from "./index.ts";
import { compare } from "./oracle/compare.testing.ts";
import { generateModule } from "./oracle/generate.testing.ts";
import { OracleMachine } from "./oracle/machine.ts";
import { wat } from "./testing.ts";

const UNLIMITED = 10n ** 12n;

/** A method's body and other fields, its outcome, and what it uses, counted by hand from the metering rules. */
const BY_HAND: readonly (readonly [string, string, string, string, bigint])[] = [
  ["an empty body: 1 to open, nothing for end", "", "", "returned", 1n],
  ["a block ends no run", "(block (drop (i32.const 1)))", "", "returned", 1n + 2n],
  ["a branch out of a block ends a run", "(block (br 0) (nop)) (nop)", "", "returned", 1n + 2n + 1n],
  [
    "a branch not taken goes on with the next run",
    "(block (br_if 0 (i32.const 0)) (nop))",
    "",
    "returned",
    1n + 3n + 1n,
  ],
  ["if without else, not taken", "(if (i32.const 0) (then (nop) (nop))) (nop)", "", "returned", 1n + 3n + 1n],
  ["if and else, taken", "(if (i32.const 1) (then (nop)) (else (nop) (nop)))", "", "returned", 1n + 3n + 1n],
  [
    "if and else, not taken",
    "(if (i32.const 0) (then (nop)) (else (nop) (nop)))",
    "",
    "returned",
    1n + 3n + 2n,
  ],
  [
    "a loop's run is paid at every turn",
    "(local i32) (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 3))))",
    "",
    "returned",
    1n + 3n * 8n,
  ],
  [
    "a table of branches, the default too",
    "(block (block (br_table 0 1 0 (i32.const 1))) (nop)) (block (br_table 0 (i32.const 9))) (nop)",
    "",
    "returned",
    1n + 3n + 3n + 1n,
  ],
  ["return ends a run", "(nop) (return) (nop)", "", "returned", 1n + 2n],
  ["unreachable is paid with its run", "(nop) (unreachable) (nop)", "", "unreachable", 1n + 2n],
  ["a call ends no run", "(nop) (call $f) (nop)", "(func $f (nop))", "returned", 1n + 7n + 2n],
  [
    "the run is paid whole before a trap inside it",
    "(drop (i32.div_u (i32.const 1) (i32.const 0))) (nop)",
    "",
    "integer_division_by_zero",
    1n + 14n,
  ],
  [
    "an indirect call",
    "(call_indirect (i32.const 0))",
    "(table 1 funcref) (elem (i32.const 0) $f) (func $f)",
    "returned",
    1n + 11n + 1n,
  ],
  ["an indirect call to null", "(call_indirect (i32.const 0)) (nop)", "(table 1 funcref)", "other", 1n + 12n],
  [
    "an indirect call to nowhere",
    "(call_indirect (i32.const 1)) (nop)",
    "(table 1 funcref)",
    "table_out_of_bounds",
    1n + 12n,
  ],
  [
    "an indirect call of another type",
    "(call_indirect (i32.const 0)) (nop)",
    "(table 1 funcref) (elem (i32.const 0) $f) (func $f (param i32))",
    "bad_signature",
    1n + 12n + 0n,
  ],
  [
    "a length is paid before the operator runs",
    "(memory.fill (i32.const 0) (i32.const 1) (i32.const 50)) (nop)",
    '(memory (export "memory") 1)',
    "returned",
    1n + 3n + 100n + 50n + 1n,
  ],
  [
    "a length is paid when its range is not in memory",
    "(memory.copy (i32.const 65530) (i32.const 0) (i32.const 50)) (nop)",
    '(memory (export "memory") 1)',
    "heap_out_of_bounds",
    1n + 3n + 100n + 50n + 1n,
  ],
  [
    "64-bit addresses cost accesses twice",
    "(i32.store (i64.const 0) (i32.load (i64.const 0)))",
    '(memory (export "memory") i64 1)',
    "returned",
    1n + 2n + 2n + 2n,
  ],
  [
    "an import",
    "(drop (call $time))",
    '(import "ic0" "time" (func $time (result i64)))',
    "returned",
    1n + 6n + 500n,
  ],
  [
    "several values through blocks and branches",
    "(block (result i32 i32) (i32.const 1) (i32.const 2) (br_if 0 (i32.const 1)) (drop) (drop) (i32.const 3) (i32.const 4)) (drop) (drop)",
    "",
    "returned",
    1n + 5n + 2n,
  ],
  [
    "a loop with a parameter",
    "(local i32) (i32.const 3) (loop (param i32) (i32.const 1) (i32.sub) (local.tee 0) (local.get 0) (br_if 0) (drop))",
    "",
    "returned",
    1n + 1n + 3n * 6n + 1n,
  ],
];

test("counts of every control construct, by hand", () => {
  for (const [title, body, fields, outcome, used] of BY_HAND) {
    const imports = fields.startsWith("(import") ? fields : "";
    const wasm = wat(
      `(module ${imports} ${imports === "" ? fields : ""} (func (export "canister_update go") ${body}))`,
    );
    for (const agreed of compare(wasm, { limit: UNLIMITED, refills: 0, plain: true }))
      assert.deepEqual(agreed, { outcome, used }, title);
  }
});

const OPTIONS = { numRuns: 60, seed: 20_261_122 };
const seeds = fc.noShrink(fc.nat(2 ** 31 - 1));
const sizes = fc.integer({ min: 3, max: 90 });

test("a callback costs what its function costs", () => {
  const wasm = wat(`(module (import "ic0" "global_timer_set" (func $set (param i64) (result i64)))
    (table 3 funcref) (elem (i32.const 1) $f $g) (global $seen (mut i64) (i64.const 0))
    (func $f (param i32) (global.set $seen (call $set (i64.extend_i32_s (local.get 0)))))
    (func $g (param i32) (unreachable)))`);
  const compiled = createEngine().compile(wasm);
  assert.ok(compiled.ok);
  const machine = new OracleMachine(wasm, {
    imports: { global_timer_set: (time) => [(time as bigint) * 3n] },
    importCosts: { global_timer_set: 500 },
  });
  const engine = createEngine();
  for (const form of ["fast", "exact"] as const) {
    const ic0 = { global_timer_set: (time: bigint): bigint => time * 3n };
    const instance = engine.instantiate(compiled.value, { memory: null, ic0, form });
    for (const [entry, index] of [
      [1, 1],
      [2, 2],
    ] as const) {
      instance.setCounter(UNLIMITED);
      machine.counter = UNLIMITED;
      const outcomes = [
        (): void => instance.callTable(entry, -7),
        (): unknown => machine.run(index, [-7]),
      ].map((run) => {
        try {
          run();
          return "returned";
        } catch (error) {
          return (error as Error).message;
        }
      });
      assert.equal(outcomes[0], outcomes[1], form);
      assert.equal(instance.counter(), machine.counter, form);
    }
    assert.deepEqual(instance.readGlobals(), [BigInt.asUintN(64, -21n)]);
    assert.equal(machine.globals[0], -21n);
  }
});

for (const is64 of [false, true]) {
  const bits = is64 ? 64 : 32;
  test(`random modules agree with the plain engine too (${bits}-bit memory)`, () => {
    let returned = 0;
    fc.assert(
      fc.property(seeds, sizes, (seed, size) => {
        const wasm = generateModule({ seed, size, is64, guarded: true, vectors: false });
        if (compare(wasm, { limit: UNLIMITED, refills: 0, plain: true })[0]?.outcome === "returned")
          returned++;
      }),
      OPTIONS,
    );
    assert.ok(returned > 10, `only ${returned} returned`);
  });

  test(`modules with vectors and odd NaNs (${bits}-bit memory)`, () => {
    const property = fc.property(seeds, sizes, (seed, size) => {
      const wasm = generateModule({ seed, size, is64, guarded: false, vectors: true });
      compare(wasm, { limit: UNLIMITED, refills: 0, plain: false });
    });
    fc.assert(property, OPTIONS);
  });

  test(`modules that run out, at once or after some slices (${bits}-bit memory)`, () => {
    const limits = fc.integer({ min: 0, max: 4000 });
    const refills = fc.integer({ min: 0, max: 6 });
    const property = fc.property(seeds, sizes, limits, refills, (seed, size, limit, times) => {
      const wasm = generateModule({ seed, size, is64, guarded: false, vectors: seed % 2 === 0 });
      compare(wasm, { limit: BigInt(limit), refills: times, plain: false });
    });
    fc.assert(property, OPTIONS);
  });
}
