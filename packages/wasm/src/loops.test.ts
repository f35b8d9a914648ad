/** Loops in the forms that compilers give them: both forms agree on results, counts and on running out, for every limit. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createEngine, type Form, WasmTrap } from "./index.ts";
import { compile, instantiate } from "./testing.ts";

const COUNT = "(local.set $i (i32.add (local.get $i) (i32.const 1)))";
const SUM = "(local.set $s (i32.add (i32.mul (local.get $s) (i32.const 3)) (local.get $i)))";
const STORE = "(i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $s))";
const MORE = (turns: number): string => `(i32.lt_u (local.get $i) (i32.const ${turns}))`;
const DONE = (turns: number): string => `(i32.ge_u (local.get $i) (i32.const ${turns}))`;
const ODD = "(i32.and (local.get $i) (i32.const 1))";

/** Bodies by the number of turns. */
const FORMS_OF_LOOPS: Readonly<Record<string, (turns: number) => string>> = {
  "condition at the end": (n) => `(loop ${SUM} ${STORE} ${COUNT} (br_if 0 ${MORE(n)}))`,
  "condition before a jump back": (n) => `(loop (if ${MORE(n)} (then ${SUM} ${COUNT} (br 1))))`,
  "exit at the start": (n) => `(block (loop (br_if 1 ${DONE(n)}) ${SUM} ${COUNT} (br 0)))`,
  "exit in the middle": (n) =>
    `(block (loop ${COUNT} ${SUM} (br_if 1 ${DONE(n)}) ${STORE} ${SUM} (br_if 0 ${ODD}) ${SUM} (br 0)))`,
  "two ways that meet": (n) =>
    `(loop ${COUNT} (if ${ODD} (then ${SUM}) (else ${STORE} ${SUM})) ${SUM} (br_if 0 ${MORE(n)}))`,
  "a part left out": (n) => `(loop ${COUNT} (block (br_if 0 ${ODD}) ${SUM}) (br_if 0 ${MORE(n)}) ${SUM})`,
  "a way around an exit": (n) =>
    `(block (loop ${COUNT} (block (br_if 0 ${MORE(n)}) ${SUM} (br 2)) ${SUM} (br 0)))`,
  "ways around an exit and a part": (n) =>
    `(block (loop (block (block (br_if 0 ${DONE(n)}) ${SUM} (br 1)) ${STORE} (br 2)) ${COUNT} ${SUM} (br 0)))`,
  "a way around, an if and a table": (n) =>
    `(block (loop ${COUNT} (if ${ODD} (then (block (br_if 0 ${MORE(n)}) (br 3)) ${SUM}) (else (br_if 2 ${DONE(n)})))
      (block (block (br_table 0 1 ${ODD})) ${STORE}) (br 0)))`,
  "an if without else": (n) => `(loop ${COUNT} (if ${ODD} (then ${SUM} ${STORE})) (br_if 0 ${MORE(n)}))`,
  "a table of ways": (n) =>
    `(block (loop ${COUNT} (block (block (br_table 0 1 ${ODD})) ${SUM}) (br_if 1 ${DONE(n)}) (br 0)))`,
  "a result": (n) =>
    `(local.set $s (loop (result i32) ${COUNT} ${SUM} (br_if 0 ${MORE(n)}) (i32.add (local.get $s) (i32.const 1))))`,
  "an exit with a value": (n) =>
    `(local.set $s (block (result i32) (loop ${COUNT} ${SUM} (drop (br_if 1 (local.get $s) ${DONE(n)})) (br 0))
      (i32.const 5)))`,
  "a result that is never reached": (n) =>
    `(local.set $s (block (result i32) (loop (result i32) ${COUNT} ${SUM} (br_if 0 ${MORE(n)})
      (br 1 (local.get $s)) (i32.const 7))))`,
  "a return": (n) =>
    `(loop ${COUNT} ${SUM} (if ${DONE(n)} (then (global.set 0 (local.get $s)) (return))) (br 0))`,
  unreachable: (n) => `(loop ${COUNT} ${SUM} (if ${DONE(n)} (then (unreachable))) (br 0))`,
  "code that is never reached": (n) =>
    `(block (loop (block (br_if 1 ${MORE(n)}) (br 2) (br_if 3 (i32.const 1)) (br_table 0 1 2 (i32.const 1))) ${SUM}))
     (loop ${COUNT} (br_if 0 ${MORE(n)}))`,
};

/** The same for loops that are not copied. */
const LOOPS_WITH_CALLS: Readonly<Record<string, (turns: number) => string>> = {
  "a call": (n) => `(loop ${COUNT} (call $leaf) (br_if 0 ${MORE(n)}))`,
  "a call by the table": (n) => `(loop ${COUNT} (call_indirect (i32.const 0)) ${SUM} (br_if 0 ${MORE(n)}))`,
  "a call that is left out": (n) =>
    `(loop ${COUNT} (if ${ODD} (then (call $leaf))) ${SUM} (br_if 0 ${MORE(n)}))`,
  "a growth of memory before a call": (n) =>
    `(loop ${COUNT} (drop (memory.grow (i32.const 1))) (call $leaf) (br_if 0 ${MORE(n)}))`,
  "a call before a growth of memory": (n) =>
    `(loop ${COUNT} (call $leaf) (drop (memory.grow (i32.const 1))) (br_if 0 ${MORE(n)}))`,
  "a call in a loop in a loop": (n) =>
    `(loop (loop ${COUNT} (call $leaf) (br_if 0 ${ODD})) ${SUM} (br_if 0 ${MORE(n)}))`,
  "a call of itself": (n) => `(loop ${COUNT} (call $down (i32.const ${n})) (br_if 0 ${MORE(3)}))`,
};

const engine = createEngine();

/** What the program does with `limit` instructions. */
function outcome(text: string, form: Form, limits: readonly bigint[]): readonly string[] {
  const instance = instantiate(engine, compile(text, engine), { form });
  return limits.map((limit) => {
    instance.setCounter(limit);
    instance.writeGlobals([0n]);
    try {
      instance.call("canister_update go");
    } catch (error) {
      assert.ok(error instanceof WasmTrap, String(error));
      return error.kind === "out_of_instructions" ? error.kind : `${error.kind} ${instance.counter()}`;
    }
    return `${instance.readGlobals()[0]} ${instance.counter()}`;
  });
}

for (const [name, body] of Object.entries({ ...FORMS_OF_LOOPS, ...LOOPS_WITH_CALLS })) {
  test(`loops: ${name}`, () => {
    for (const turns of [0, 1, 2, 3, 4, 5, 7, 8, 9]) {
      const text = `(module (memory 1 3) (global (mut i32) (i32.const 0)) (table funcref (elem $leaf))
        (func $leaf (global.set 0 (i32.add (global.get 0) (i32.const 1))))
        (func $down (param i32) (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "canister_update go") (local $i i32) (local $s i32) ${body(turns)} (global.set 0 (local.get $s))))`;
      const limits = [...Array.from({ length: 320 }, (_, i) => BigInt(i)), 1_000_000n];
      assert.deepEqual(outcome(text, "fast", limits), outcome(text, "exact", limits), `${turns} turns`);
    }
  });
}

test("a small loop is checked once in some turns", () => {
  const text = `(module (func (export "canister_update go") (local $i i32)
    (loop ${COUNT} (br_if 0 ${MORE(1000)}))))`;
  const left = (["fast", "exact"] as const).map((form) => {
    const instance = instantiate(engine, compile(text, engine), { form });
    instance.setCounter(75n);
    assert.throws(() => instance.call("canister_update go"), WasmTrap);
    return instance.counter();
  });
  assert.ok((left[0] as bigint) < (left[1] as bigint), String(left));
});
