/** A fast form that gives up where the exact one does not: what the exact one comes to is what happens, wherever code runs. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Logger, principalToText } from "@orrery/base";
import { createEngine, type Engine, WasmTrap } from "@orrery/wasm";
import { Bench, context, reply } from "../testing/bench.testkit.ts";
import { read, STATEFUL, words } from "../testing/stateful.testkit.ts";

/** Runs in its fast form end as if it could not tell how, however they end. */
function doubtful(): Engine {
  const engine = createEngine();
  const instantiate = engine.instantiate.bind(engine);
  engine.instantiate = (compiled, options) => {
    const instance = instantiate(compiled, options);
    if (instance.form !== "fast") return instance;
    const call = instance.call.bind(instance);
    instance.call = (name): void => {
      call(name);
      throw new WasmTrap("stack_overflow", false);
    };
    return instance;
  };
  return engine;
}

const after = (n: bigint): bigint[] => [n, n, n * 0x0101010101010101n, n, 2n];

describe("a run that only its fast form gives up", () => {
  test("of an update is committed as its exact form ends it", () => {
    const logged: unknown[] = [];
    const log: Logger = { log: (level, _, fields) => void logged.push([level, fields]), child: () => log };
    const bench = new Bench({ engine: doubtful(), log });
    const sure = new Bench();
    const [canister, other] = [bench.installed(STATEFUL), sure.installed(STATEFUL)];
    for (const n of [1n, 2n]) {
      const outcome = bench.update(canister, "inc");
      assert.deepEqual(outcome, sure.update(other, "inc"));
      assert.deepEqual(words(reply(outcome)), after(n));
    }
    assert.deepEqual(canister.meta.globals, [2n]);
    assert.equal(bench.update(canister, "unreachable").error?.code, 502);
    assert.deepEqual(words(reply(bench.update(canister, "grow"))).slice(0, 4), after(3n).slice(0, 4));
    assert.equal(canister.meta.heapPages, 5);
    bench.runner.evict(canister.meta.id);
    assert.deepEqual(read(bench, canister), [...after(3n).slice(0, 4), 5n]);
    assert.equal(bench.runner.disagreements, 4);
    assert.deepEqual(logged.at(-1), ["error", { canister: principalToText(canister.meta.id) }]);
    assert.deepEqual([logged.length, sure.runner.disagreements], [4, 0]);
  });

  test("of a query is its reply, and its memory the draft that the next one goes on with", () => {
    const bench = new Bench({ engine: doubtful() });
    const canister = bench.installed(STATEFUL);
    const entry = { kind: "query", method: "touch", arg: new Uint8Array() } as const;
    const first = bench.runner.query(canister, entry, { context: context(), keepDraft: true });
    assert.deepEqual(words(reply(first.outcome)), after(1n));
    assert.ok(first.draft !== null);
    const second = bench.runner.query(canister, entry, { context: context(), draft: first.draft });
    assert.deepEqual(words(reply(second.outcome)), after(2n));
    assert.deepEqual(read(bench, canister), [0n, 0n, 0n, 0n, 2n]);
  });

  test("of an installation or an upgrade is what the exact forms of its hooks leave", () => {
    const hooks = ["init", "pre_upgrade", "post_upgrade"].map(
      (hook, i) => `(func (export "canister_${hook}") (call $note (i32.const ${i + 1})))`,
    );
    const module = `(module
      (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
      (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
      (import "ic0" "stable64_size" (func $size (result i64)))
      (memory 1)
      (func $note (param $hook i32)
        (if (i64.eqz (call $size)) (then (drop (call $grow (i64.const 1)))))
        (i32.store (i32.const 0) (local.get $hook))
        (call $write (i64.extend_i32_u (local.get $hook)) (i64.const 0) (i64.const 1)))
      ${hooks.join("\n")})`;
    const bench = new Bench({ engine: doubtful() });
    const canister = bench.installed(module);
    assert.equal(bench.install(canister, module, { mode: "upgrade" }).error, null);
    const page = bench.arena.view(canister.memory.stable.get(0));
    assert.deepEqual([...page.subarray(0, 4)], [0, 1, 2, 3]);
    assert.equal(bench.runner.disagreements, 3);
  });
});
