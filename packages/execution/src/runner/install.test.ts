/** Installation as one atomic execution: modes, hooks, persistence of the heap, what each part sees. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { toHex, utf8 } from "@orrery/base";
import { type CanisterState, PageArena } from "@orrery/state";
import { createEngine } from "@orrery/wasm";
import { Bench, reply, wat } from "../testing/bench.testkit.ts";
import { persistenceError } from "./install.ts";
import { WasmRunner } from "./runner.ts";

/** Memory 0: a letter that init or post_upgrade sets; stable memory and a global count hooks. */
function program(options: {
  readonly letter: string;
  readonly post?: string;
  readonly pre?: string;
  readonly init?: string;
}): string {
  return `(module
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
    (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
    (import "ic0" "msg_arg_data_size" (func $size (result i32)))
    (import "ic0" "stable64_grow" (func $sgrow (param i64) (result i64)))
    (import "ic0" "stable64_size" (func $ssize (result i64)))
    (import "ic0" "stable64_write" (func $swrite (param i64 i64 i64)))
    (import "ic0" "stable64_read" (func $sread (param i64 i64 i64)))
    (import "ic0" "canister_version" (func $version (result i64)))
    (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
    (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
    (memory 1)
    (data (i32.const 0) "${options.letter}...")
    (data (i32.const 5000) "image")
    (global $hooks (mut i32) (i32.const 0))
    (func $note (param i32)
      (if (i64.eqz (call $ssize)) (then (drop (call $sgrow (i64.const 1)))))
      (i32.store8 (i32.const 64) (local.get 0))
      (call $sread (i64.const 32) (i64.const 0) (i64.const 1))
      (i32.store8 (i32.const 32) (i32.add (i32.load8_u (i32.const 32)) (i32.const 1)))
      (call $swrite (i64.const 0) (i64.const 32) (i64.const 1))
      (call $swrite (i64.extend_i32_u (i32.load8_u (i32.const 32))) (i64.const 64) (i64.const 1))
      (i64.store (i32.const 16) (call $version))
      (global.set $hooks (i32.add (global.get $hooks) (i32.const 1))))
    (func (export "canister_init")
      (call $note (i32.const 73)) (call $arg (i32.const 1) (i32.const 0) (call $size)) ${options.init ?? ""})
    (func (export "canister_pre_upgrade") (call $note (i32.const 80)) ${options.pre ?? ""})
    (func (export "canister_post_upgrade") (call $note (i32.const 81)) ${options.post ?? ""})
    (func (export "canister_update set") (call $arg (i32.const 2) (i32.const 0) (call $size)) (call $reply))
    (func (export "canister_query letters") (call $append (i32.const 0) (i32.const 4)) (call $reply))
    (func (export "canister_query version") (call $append (i32.const 16) (i32.const 8)) (call $reply))
    (func (export "canister_query hooks") (i32.store (i32.const 40) (global.get $hooks))
      (call $append (i32.const 40) (i32.const 1)) (call $reply))
    (func (export "canister_query notes")
      (call $sread (i64.const 128) (i64.const 0) (i64.const 8))
      (call $append (i32.const 128) (i32.const 8)) (call $reply)))`;
}

function text(bench: Bench, canister: CanisterState, method: string): string {
  return String.fromCharCode(...reply(bench.query(canister, method)));
}

function snapshot(bench: Bench, canister: CanisterState): string {
  const { meta, memory } = canister;
  const pages = [memory.heap, memory.stable].map((table) =>
    [...table.entries()].map(([index, id]) => [index, toHex(bench.arena.view(id))]),
  );
  return JSON.stringify([pages, meta.globals.map(String), meta.heapPages, meta.stablePages]);
}

describe("install", () => {
  test("lays out the image, runs init with the argument, and the new version", () => {
    const bench = new Bench();
    const canister = bench.installed(program({ letter: "a" }), utf8("X"));
    assert.equal(text(bench, canister, "letters"), "aX..");
    assert.equal(text(bench, canister, "hooks"), "\x01");
    assert.equal(text(bench, canister, "notes"), "\x01I\0\0\0\0\0\0");
    assert.equal(reply(bench.query(canister, "version"))[0], 1);
    assert.equal([...canister.memory.heap.entries()].length, 2);
    bench.runner.evict(canister.meta.id);
    assert.equal(text(bench, canister, "letters"), "aX..");
  });

  for (const [what, init] of [
    ["traps", "unreachable"],
    ["traps natively", "(drop (i32.div_u (i32.const 1) (i32.const 0)))"],
    ["replies", "(call $reply)"],
    ["runs out of instructions", "(loop $l (br $l))"],
  ] as const) {
    test(`an init that ${what} leaves an empty canister`, () => {
      const bench = new Bench();
      const canister = bench.empty();
      const outcome = bench.install(canister, program({ letter: "a", init }), {
        context: { instructionLimit: 100_000n },
      });
      assert.notEqual(outcome.error, null);
      assert.equal(snapshot(bench, canister), JSON.stringify([[[], []], [], 0, 0]));
      assert.equal(bench.arena.livePages, 0);
      assert.equal(bench.install(canister, program({ letter: "b" })).error, null);
      assert.equal(text(bench, canister, "letters"), "b...");
    });
  }

  test("instructions of a trapping init are exact, start included", () => {
    const bench = new Bench();
    const outcome = bench.install(
      bench.empty(),
      `(module (func $s (drop (i32.const 1))) (start $s)
        (func (export "canister_init") (drop (i32.div_u (i32.const 1) (i32.const 0)))))`,
    );
    assert.equal(outcome.error?.code, 502);
    assert.equal(outcome.instructions, 3n + 14n);
  });

  test("reinstall starts from nothing and keeps all of the old on failure", () => {
    const bench = new Bench();
    const canister = bench.installed(program({ letter: "a" }));
    bench.update(canister, "set", "Z");
    const before = snapshot(bench, canister);
    const failing = bench.install(canister, program({ letter: "b", init: "unreachable" }), {
      mode: "reinstall",
    });
    assert.equal(failing.error?.code, 502);
    assert.equal(snapshot(bench, canister), before);
    assert.equal(text(bench, canister, "letters"), "a.Z.");
    assert.equal(bench.install(canister, program({ letter: "b" }), { mode: "reinstall" }).error, null);
    assert.equal(text(bench, canister, "letters"), "b...");
    assert.equal(text(bench, canister, "notes"), "\x01I\0\0\0\0\0\0");
  });
});

describe("upgrade", () => {
  test("runs both hooks, keeps stable memory, starts a new heap and globals", () => {
    const bench = new Bench();
    const canister = bench.installed(program({ letter: "a" }));
    bench.update(canister, "set", "Z");
    const outcome = bench.install(canister, program({ letter: "b" }), { mode: "upgrade" });
    assert.equal(outcome.error, null);
    assert.equal(text(bench, canister, "letters"), "b...");
    assert.equal(text(bench, canister, "notes"), "\x03IPQ\0\0\0\0");
    assert.equal(text(bench, canister, "hooks"), "\x01");
    assert.equal(reply(bench.query(canister, "version"))[0], 2);
  });

  test("skips pre_upgrade on demand", () => {
    const bench = new Bench();
    const canister = bench.installed(program({ letter: "a", pre: "unreachable" }));
    assert.equal(bench.install(canister, program({ letter: "b" }), { mode: "upgrade" }).error?.code, 502);
    const outcome = bench.install(canister, program({ letter: "b" }), {
      mode: "upgrade",
      skipPreUpgrade: true,
    });
    assert.equal(outcome.error, null);
    assert.equal(text(bench, canister, "notes"), "\x02IQ\0\0\0\0\0");
  });

  for (const [hook, next] of [
    ["pre", program({ letter: "b" })],
    ["post", program({ letter: "b", post: "(drop (i32.div_u (i32.const 1) (i32.const 0)))" })],
  ] as const) {
    test(`a failing ${hook}_upgrade leaves no trace`, () => {
      const bench = new Bench();
      const canister = bench.installed(
        program({ letter: "a", ...(hook === "pre" ? { pre: "unreachable" } : {}) }),
      );
      bench.update(canister, "set", "Z");
      const before = snapshot(bench, canister);
      const live = bench.arena.livePages;
      const outcome = bench.install(canister, next, { mode: "upgrade" });
      assert.equal(outcome.error?.code, 502);
      assert.equal(snapshot(bench, canister), before);
      assert.equal(bench.arena.livePages, live);
      assert.equal(text(bench, canister, "letters"), "a.Z.");
      bench.update(canister, "set", "Y");
      assert.equal(text(bench, canister, "letters"), "a.Y.");
    });
  }

  test("a timer set in pre_upgrade is lost, certified data of either hook is kept", () => {
    const bench = new Bench();
    const set = "(drop (call $timer (i64.const 5))) (call $certify (i32.const 0) (i32.const 2))";
    const canister = bench.installed(program({ letter: "a", pre: set }));
    const outcome = bench.install(canister, program({ letter: "b" }), { mode: "upgrade" });
    assert.equal(outcome.effects?.globalTimer, null);
    assert.deepEqual(outcome.effects?.certifiedData, utf8("a."));
    const again = bench.installed(program({ letter: "a" }));
    const later = bench.install(again, program({ letter: "b", post: set }), { mode: "upgrade" });
    assert.equal(later.effects?.globalTimer, 5n);
  });
});

const SECTION = "icp:private enhanced-orthogonal-persistence";

/** Appends an empty custom section to a module. */
function withSection(text: string, name: string): Uint8Array {
  const bytes = utf8(name);
  return Uint8Array.from([...wat(text), 0, bytes.length + 1, bytes.length, ...bytes]);
}

describe("heap that outlives upgrades", () => {
  const actor = (letter: string, extra = ""): Uint8Array =>
    withSection(
      `(module
        (import "ic0" "msg_reply" (func $reply))
        (import "ic0" "msg_reply_data_append" (func $append (param i64 i64)))
        (memory i64 1) (data (i64.const 0) "${letter}")
        (global $g (mut i64) (i64.const 7))
        (func (export "canister_update grow") (drop (memory.grow (i64.const 2))) (i32.store8 (i64.const 150000) (i32.const 90))
          (global.set $g (i64.const 9)) (call $reply))
        (func (export "canister_pre_upgrade") (i32.store8 (i64.const 70000) (i32.const 89)) ${extra})
        (func (export "canister_query read")
          (i64.store8 (i64.const 8) (global.get $g))
          (i32.store8 (i64.const 9) (i32.load8_u (i64.const 150000)))
          (i32.store8 (i64.const 10) (i32.load8_u (i64.const 70000)))
          (call $append (i64.const 0) (i64.const 1)) (call $append (i64.const 8) (i64.const 3)) (call $reply)))`,
      SECTION,
    );

  test("keep: old memory, new code, fresh globals, no data segments", () => {
    const bench = new Bench();
    const canister = bench.installed(actor("a"));
    bench.update(canister, "grow");
    const outcome = bench.install(canister, actor("b"), { mode: "upgrade", keepHeap: true });
    assert.equal(outcome.error, null);
    assert.equal(canister.meta.heapPages, 3);
    assert.equal(text(bench, canister, "read"), "a\x07ZY");
    bench.runner.evict(canister.meta.id);
    assert.equal(text(bench, canister, "read"), "a\x07ZY");
  });

  test("replace: a new memory", () => {
    const bench = new Bench();
    const canister = bench.installed(actor("a"));
    bench.update(canister, "grow");
    assert.equal(bench.install(canister, actor("b", ""), { mode: "upgrade" }).error, null);
    assert.equal(canister.meta.heapPages, 1);
  });

  test("options that the modules do not allow are refused", () => {
    const bench = new Bench();
    const canister = bench.installed(actor("a"));
    bench.update(canister, "grow");
    const plain = bench.runner.compile(wat("(module)"));
    assert.ok(plain.ok);
    const missing = persistenceError(canister, plain.value.module, null);
    assert.match(missing?.message ?? "", /Missing upgrade option: Enhanced orthogonal persistence requires/);
    assert.equal(missing?.code, 504);
    const outcome = bench.install(canister, "(module)", { mode: "upgrade", keepHeap: true });
    assert.equal(outcome.error?.code, 504);
    assert.match(
      outcome.error?.message ?? "",
      /Invalid upgrade option: The `wasm_memory_persistence: opt Keep` upgrade option/,
    );
    assert.equal(persistenceError(canister, plain.value.module, "replace"), null);
  });
});

describe("compile", () => {
  test("names what is wrong with an upload", () => {
    const bench = new Bench();
    const refused = bench.runner.compile(utf8("not a module"));
    assert.ok(!refused.ok);
    assert.equal(refused.error.code, 505);
    assert.match(refused.error.message, /^Canister's Wasm module is not valid: /);
    const gzip = bench.runner.compile(Uint8Array.of(0x1f, 0x8b, 8, 0));
    assert.ok(!gzip.ok && gzip.error.code === 505);
  });

  test("says of a damaged upload what every host says, whatever its inflater says", () => {
    const damaged = new Uint8Array(gzipSync(wat("(module)"))).map((byte, at) =>
      at === 12 ? byte ^ 0xff : byte,
    );
    const texts = ["incorrect header check", "it is cut off"].map((words) => {
      const runner = new WasmRunner({
        engine: createEngine(),
        pages: new PageArena(),
        modules: { get: () => null },
        inflate: () => {
          throw new RangeError(words);
        },
      });
      const refused = runner.compile(damaged);
      return refused.ok ? "" : refused.error.message;
    });
    assert.match(
      texts[0] ?? "",
      /failed to decode compressed Wasm module: the gzip stream is cut off, damaged/,
    );
    assert.equal(texts[0], texts[1]);
  });

  test("describes the module and prices its compilation", () => {
    const bench = new Bench();
    const compiled = bench.runner.compile(wat(program({ letter: "a" })));
    assert.ok(compiled.ok);
    const { module, instructions } = compiled.value;
    assert.deepEqual(module.exports.updates, ["set"]);
    assert.equal(module.exports.preUpgrade, true);
    assert.equal(module.exports.heartbeat, false);
    assert.ok(instructions > 0n && instructions % 6_000n === 0n);
  });
});
