/**
 * Which end is named when instructions and stack run out within one call: the same in every form, with the same count, at every
 * limit around the place where they meet. Random modules that call themselves, each other and through a table, in and out of loops.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createEngine, type Form } from "./index.ts";
import { compile, instantiate } from "./testing.ts";
import { WasmTrap } from "./traps.ts";

const FUNCTIONS = 3;
/** Small, so that it ends after some twenty calls. */
const STACK_BYTES = 4_096;
/** Several times what the fast form finds later than the exact one that there is nothing left. */
const SLICE = 4_000;

type Step =
  | { readonly kind: "nops"; readonly count: number }
  | { readonly kind: "call" | "indirect"; readonly to: number }
  | { readonly kind: "fill" | "copy" | "init"; readonly length: number }
  | { readonly kind: "loop"; readonly turns: number; readonly steps: readonly Step[] }
  | { readonly kind: "sometimes"; readonly steps: readonly Step[] };

interface Body {
  readonly locals: number;
  readonly steps: readonly Step[];
}

const { body } = fc.letrec<{ steps: readonly Step[]; step: Step; body: Body }>((tie) => ({
  steps: fc.array(tie("step"), { minLength: 1, maxLength: 4 }),
  step: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.record({ kind: fc.constant("nops" as const), count: fc.integer({ min: 0, max: 9 }) }),
    fc.record({ kind: fc.constantFrom("call" as const, "indirect" as const), to: fc.nat(FUNCTIONS - 1) }),
    fc.record({
      kind: fc.constantFrom("fill" as const, "copy" as const, "init" as const),
      length: fc.integer({ min: SLICE - 40, max: SLICE }),
    }),
    fc.record({
      kind: fc.constant("loop" as const),
      turns: fc.integer({ min: 1, max: 5 }),
      steps: tie("steps"),
    }),
    fc.record({ kind: fc.constant("sometimes" as const), steps: tie("steps") }),
  ),
  body: fc.record({ locals: fc.integer({ min: 0, max: 40 }), steps: tie("steps") }),
}));

/** Counters of loops stand behind the other locals, one for each depth. */
const LOOPS = 6;

function code(steps: readonly Step[], depth: number): string {
  return steps
    .map((step): string => {
      switch (step.kind) {
        case "nops":
          return "(nop)".repeat(step.count);
        case "call":
          return `(call $f${step.to})`;
        case "indirect":
          return `(call_indirect (type $t) (i32.const ${step.to}))`;
        case "fill":
        case "copy":
        case "init":
          return `(memory.${step.kind}${step.kind === "init" ? " $d" : ""}
            (i32.const 0) (i32.const 0) (i32.const ${step.length}))`;
        case "loop":
          if (depth === LOOPS) return "";
          return `(local.set $l${depth} (i32.const ${step.turns}))
            (loop $a${depth} ${code(step.steps, depth + 1)}
              (br_if $a${depth} (local.tee $l${depth} (i32.sub (local.get $l${depth}) (i32.const 1)))))`;
        default:
          return `(global.set $n (i32.add (global.get $n) (i32.const 1)))
            (if (i32.and (global.get $n) (i32.const 1)) (then ${code(step.steps, depth)}))`;
      }
    })
    .join("\n");
}

function text(bodies: readonly Body[]): string {
  const functions = bodies.map(({ locals, steps }, i) => {
    const counters = Array.from({ length: LOOPS }, (_, d) => `(local $l${d} i32)`).join(" ");
    return `(func $f${i} (type $t) (local ${"i64 ".repeat(locals)}) ${counters}
      ${code(steps, 0)} (call $f${(i + 1) % FUNCTIONS}))`;
  });
  return `(module (type $t (func)) (global $n (mut i32) (i32.const 0))
    (memory 1) (data $d "${"a".repeat(SLICE)}")
    (table ${FUNCTIONS} funcref) (elem (i32.const 0) ${bodies.map((_, i) => `$f${i}`).join(" ")})
    ${functions.join("\n")} (func (export "canister_update go") (call $f0)))`;
}

const engine = createEngine({ stackBytes: STACK_BYTES });

/** The end of a run, with what was executed until then; null where the fast form leaves it to the exact one. */
function endOf(module: ReturnType<typeof compile>, form: Form, limit: bigint): string | null {
  const instance = instantiate(engine, module, { form });
  instance.setCounter(limit);
  try {
    instance.call("canister_update go");
  } catch (error) {
    assert.ok(error instanceof WasmTrap, String(error));
    if (!error.exactCounter) return null;
    const used = limit - instance.counter();
    // Of what the last charge takes beyond the limit nobody is told.
    return error.kind === "out_of_instructions" ? error.kind : `${error.kind} after ${used}`;
  }
  return "none";
}

const ENOUGH = 1_000_000n;

/** Whether an operation takes as much as a whole slice beyond the end of the one it begins in, the first of which has `first`. */
function overruns(module: ReturnType<typeof compile>, form: Form, first: bigint): boolean {
  const overrun = new Error("overrun");
  const slice = BigInt(SLICE);
  const outOfInstructions = (): void => {
    const counter = instance.counter() + slice;
    if (counter <= 0n) throw overrun;
    instance.setCounter(counter);
  };
  const instance = instantiate(engine, module, { form, hooks: { outOfInstructions } });
  instance.setCounter(first);
  try {
    instance.call("canister_update go");
  } catch (error) {
    if (error === overrun) return true;
    assert.ok(error instanceof WasmTrap, String(error));
  }
  return false;
}

describe("instructions and stack", () => {
  test("the same end in every form, whatever runs out first", () => {
    let met = 0;
    let left = 0;
    const check = (bodies: readonly Body[]): void => {
      const module = compile(text(bodies), engine);
      const whole = endOf(module, "exact", ENOUGH);
      const used = BigInt(/after (\d+)/.exec(whole ?? "")?.[1] ?? 0);
      assert.ok(used > 0n, `${whole}`);
      const ends = new Set<string>();
      for (let limit = used < 40n ? 1n : used - 40n; limit < used + 3n; limit++) {
        const exact = endOf(module, "exact", limit);
        assert.ok(exact !== null);
        ends.add(exact.replace(/ after.*/, ""));
        assert.equal(endOf(module, "profile", limit), exact, `profile at ${limit} of ${used}`);
        const fast = endOf(module, "fast", limit);
        if (fast === null) left++;
        else assert.equal(fast, exact, `fast at ${limit} of ${used}`);
      }
      if (ends.size > 1) met++;
    };
    fc.assert(fc.property(fc.tuple(body, body, body), check), { numRuns: 150, seed: 11 });
    assert.ok(met > 100 && left > 0, `both ends met in ${met}, ${left} left to the exact form`);
  });

  test("operations overrun slices in the fast form where they do in the exact one", () => {
    const seen = new Set<boolean>();
    const check = (bodies: readonly Body[]): void => {
      const module = compile(text(bodies), engine);
      for (let first = 1n; first <= 60n; first++) {
        const exact = overruns(module, "exact", first);
        seen.add(exact);
        assert.equal(overruns(module, "fast", first), exact, `a first slice of ${first}`);
      }
    };
    fc.assert(fc.property(fc.tuple(body, body, body), check), { numRuns: 150, seed: 12 });
    assert.equal(seen.size, 2);
  });
});
