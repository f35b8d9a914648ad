/** The profiling form: by hand which function executed how much, and that the sum is the message's count, whatever ends it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CanisterInstance,
  createEngine,
  type FunctionProfile,
  PROFILE_DEPTH_MAX,
  PROFILE_REST,
  PROFILE_STACKS_MAX,
  WasmTrap,
} from "./index.ts";
import { ProfileRecorder } from "./profile.ts";
import { instantiate, run, start, type TestOptions, wat } from "./testing.ts";

const EMPTY = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

function profiled(text: string, options: TestOptions = {}): CanisterInstance {
  return start(text, { ...options, form: "profile" });
}

/** What a run came to, as folded stacks. */
function stacksOf(instance: CanisterInstance): Record<string, bigint> {
  const profile = instance.takeProfile();
  assert.ok(profile !== null);
  return foldedOf(profile);
}

function foldedOf({ stacks }: FunctionProfile): Record<string, bigint> {
  return Object.fromEntries(stacks.map(({ frames, instructions }) => [frames.join(";"), instructions]));
}

function sum(stacks: Record<string, bigint>): bigint {
  return Object.values(stacks).reduce((total, one) => total + one, 0n);
}

/** The module with a name section that names functions by index. */
function named(text: string, names: Readonly<Record<number, string>>): Uint8Array {
  const entries = Object.entries(names).map(([index, name]) => [
    Number(index),
    name.length,
    ...new TextEncoder().encode(name),
  ]);
  const map = [entries.length, ...entries.flat()];
  const content = [4, ...new TextEncoder().encode("name"), 1, map.length, ...map];
  return Uint8Array.from([...wat(text), 0, content.length, ...content]);
}

const NESTED = `(module
  (func $leaf (result i32) (i32.const 5))
  (func $middle (result i32) (i32.add (call $leaf) (call $leaf)))
  (func (export "canister_update go")
    (drop (call $middle))
    (drop (call $leaf))))`;

test("every function has what it executed itself, by its callers", () => {
  const instance = profiled(NESTED);
  const { used } = run(instance, "go");
  const stacks = stacksOf(instance);
  // A call weighs 5, a function 1 for being entered.
  assert.deepEqual(stacks, {
    "func[2]": 1n + 5n + 1n + 5n + 1n,
    "func[2];func[1]": 1n + 5n + 5n + 1n,
    "func[2];func[1];func[0]": 2n * 2n,
    "func[2];func[0]": 2n,
  });
  assert.equal(sum(stacks), used);
  assert.equal(used, run(start(NESTED), "go").used);
});

test("a profile is of what ran since the last one was taken; other forms have none", () => {
  const instance = profiled(NESTED);
  run(instance, "go");
  const first = stacksOf(instance);
  assert.deepEqual(stacksOf(instance), {});
  run(instance, "go");
  assert.deepEqual(stacksOf(instance), first);
  run(instance, "go");
  run(instance, "go");
  assert.equal(sum(stacksOf(instance)), 2n * sum(first));
  assert.equal(start(NESTED).takeProfile(), null);
  assert.equal(start(NESTED, { form: "exact" }).takeProfile(), null);
});

test("a function that is left by return, by a jump or through a table has its own share", () => {
  const instance = profiled(`(module
    (type $t (func (param i32) (result i32)))
    (table 3 funcref) (elem (i32.const 0) $returns $jumps $ends)
    (func $returns (type $t) (return (local.get 0)) (drop (i32.const 9)))
    (func $jumps (type $t) (block (result i32) (br 1 (local.get 0))))
    (func $ends (type $t) (local.get 0))
    (func (export "canister_update go")
      (drop (call_indirect (type $t) (i32.const 1) (i32.const 0)))
      (drop (call_indirect (type $t) (i32.const 1) (i32.const 1)))
      (drop (call_indirect (type $t) (i32.const 1) (i32.const 2)))))`);
  const { used } = run(instance, "go");
  const stacks = stacksOf(instance);
  const names = ["func[3]", "func[3];func[0]", "func[3];func[1]", "func[3];func[2]"];
  assert.deepEqual(Object.keys(stacks), names);
  assert.deepEqual(
    names.slice(1).map((name) => stacks[name]),
    [1n + 1n + 1n, 1n + 1n + 2n, 1n + 1n],
  );
  assert.equal(sum(stacks), used);
});

for (const width of ["i32", "i64"] as const) {
  test(`functions of the System API have frames with all that they charge (${width})`, () => {
    const text = `(module
      (import "ic0" "msg_arg_data_copy" (func $copy (param ${width} ${width} ${width})))
      (import "ic0" "time" (func $time (result i64)))
      (memory ${width === "i64" ? "i64 " : ""}1)
      (func (export "canister_update go")
        (call $copy (${width}.const 0) (${width}.const 0) (${width}.const 100))
        (drop (call $time))))`;
    const instance = profiled(text, {
      ic0: (own) => ({ msg_arg_data_copy: () => own().charge(100), time: () => 7n }),
    });
    const { used } = run(instance, "go");
    const stacks = stacksOf(instance);
    assert.equal(stacks["func[2];ic0.msg_arg_data_copy"], 600n);
    assert.equal(stacks["func[2];ic0.time"], 500n);
    assert.equal(sum(stacks), used);
  });
}

test("a trap ends every function that is open, with what it executed until then", () => {
  const text = (trap: string): string => `(module
    (memory 1)
    (table 1 funcref)
    (func $inner (param i32) (result i32)
      (drop (i32.const 1))
      (block (br_if 0 (i32.eqz (local.get 0))) ${trap})
      (i32.const 1))
    (func $outer (drop (call $inner (i32.const 0))) (drop (call $inner (i32.const 1))) (drop (i32.const 0)))
    (func (export "canister_update go") (call $outer)))`;
  for (const trap of [
    "(unreachable)",
    "(drop (i32.load (i32.const -1)))",
    "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
    "(call_indirect (i32.const 0))",
  ]) {
    const instance = profiled(text(trap));
    const { used, error } = run(instance, "go");
    assert.ok(error instanceof WasmTrap && error.exactCounter, trap);
    const stacks = stacksOf(instance);
    assert.equal(sum(stacks), used, trap);
    assert.equal(used, run(start(text(trap), { form: "exact" }), "go").used, trap);
    assert.deepEqual(Object.keys(stacks), ["func[2]", "func[2];func[1]", "func[2];func[1];func[0]"]);
    // The next message begins with an empty stack.
    run(instance, "go");
    assert.deepEqual(stacksOf(instance), stacks, trap);
  }
});

test("what a System API function throws ends the stack with its charge", () => {
  const instance = profiled(
    `(module
      (import "ic0" "trap" (func $trap (param i32 i32)))
      (memory 1)
      (func $deep (call $trap (i32.const 0) (i32.const 0)))
      (func (export "canister_update go") (call $deep)))`,
    {
      ic0: {
        trap: () => {
          throw new Error("trapped");
        },
      },
    },
  );
  const { used, error } = run(instance, "go");
  assert.equal((error as Error).message, "trapped");
  const stacks = stacksOf(instance);
  assert.equal(stacks["func[2];func[1];ic0.trap"], 500n);
  assert.equal(sum(stacks), used);
});

const ENDLESS = `(module
  (func $turn (local i32) (drop (i32.const 1)) (drop (i32.const 2)))
  (func (export "canister_update go") (loop (call $turn) (br 0))))`;

test("a message that runs out of instructions has its limit, not more", () => {
  for (let limit = 1n; limit < 60n; limit++) {
    const instance = profiled(ENDLESS);
    instance.setCounter(limit);
    assert.throws(() => instance.call("canister_update go"), { kind: "out_of_instructions" });
    assert.equal(sum(stacksOf(instance)), limit);
  }
});

test("slices that are granted on the way count as one", () => {
  let slices = 0;
  const instance: CanisterInstance = profiled(ENDLESS, {
    hooks: {
      outOfInstructions: () => {
        if (++slices === 50) throw new WasmTrap("out_of_instructions", true);
        instance.setCounter(instance.counter() + 10n);
      },
    },
  });
  instance.setCounter(10n);
  assert.throws(() => instance.call("canister_update go"));
  assert.equal(sum(stacksOf(instance)), 500n);
});

test("start functions and callbacks are profiled as methods are", () => {
  const instance = profiled(`(module
    (table 1 funcref) (elem (i32.const 0) $callback)
    (global $seen (mut i32) (i32.const 0))
    (func $start (global.set $seen (i32.const 1)))
    (func $callback (param i32) (global.set $seen (local.get 0)))
    (start $start))`);
  instance.setCounter(1000n);
  instance.start();
  assert.deepEqual(Object.keys(stacksOf(instance)), ["func[0]"]);
  instance.callTable(0, 42);
  const stacks = stacksOf(instance);
  assert.deepEqual(Object.keys(stacks), ["func[1]"]);
  assert.deepEqual(instance.readGlobals(), [42n]);
});

test("functions are named by the name section, as in backtraces", () => {
  const mangled = "_ZN4core3fmt5write17h0123456789abcdefE";
  const engine = createEngine();
  const text = `(module (func $a) (func $b) (func (export "canister_update go") (call $a) (call $b)))`;
  const compiled = engine.compile(named(text, { 0: mangled, 2: "canister_update go" }));
  assert.ok(compiled.ok);
  const instance = instantiate(engine, compiled.value, { form: "profile" });
  run(instance, "go");
  assert.deepEqual(Object.keys(stacksOf(instance)), [
    "canister_update go",
    "canister_update go;core::fmt::write",
    "canister_update go;func[1]",
  ]);
});

/** Counts down from its argument, by calling itself. */
const RECURSION = (turns: number): string => `(module
  (func $down (param i32) (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "canister_update go") (call $down (i32.const ${turns}))))`;

test("deep recursion is told up to a depth; deeper calls keep their instructions", () => {
  const turns = 1_000;
  const instance = profiled(RECURSION(turns));
  const { used, error } = run(instance, "go");
  assert.equal(error, null);
  const profile = instance.takeProfile();
  assert.ok(profile !== null);
  assert.equal(profile.stacks.length, PROFILE_DEPTH_MAX);
  assert.ok(profile.stacks.every(({ frames }) => frames.length <= PROFILE_DEPTH_MAX));
  assert.equal(sum(foldedOf(profile)), used);
});

test("more stacks than are told apart keep their functions and their sum", () => {
  const recorder = new ProfileRecorder();
  const functions = 300;
  recorder.begin(1e9);
  let left = 1e9;
  for (let a = 0; a < functions; a++) {
    recorder.enter(a, left--);
    for (let b = 0; b < functions; b++) {
      recorder.enter(b, left--);
      recorder.leave(left--);
    }
    recorder.leave(left--);
  }
  recorder.end(left);
  const { stacks } = recorder.take(EMPTY);
  assert.ok(stacks.length <= PROFILE_STACKS_MAX + functions);
  assert.ok(stacks.length > PROFILE_STACKS_MAX - functions);
  const rest = stacks.filter(({ frames }) => frames[0] === PROFILE_REST);
  assert.ok(rest.length > 0 && rest.every(({ frames }) => frames.length === 2));
  const total = stacks.reduce((all, { instructions }) => all + instructions, 0n);
  assert.equal(total, BigInt(1e9 - left));
});
