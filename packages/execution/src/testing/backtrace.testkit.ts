/** A canister that fails in many ways some calls deep, and what it tells of them; also run by other processes with engine flags. */
import assert from "node:assert/strict";
import { utf8DecodeLossy } from "@orrery/base";
import type { MessageOutcome } from "../types.ts";
import { Bench, wat } from "./bench.testkit.ts";

export const TEXT: string = `(module
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (import "ic0" "stable64_write" (func $stable64_write (param i64 i64 i64)))
  (import "ic0" "msg_reply" (func $reply))
  (memory 1) (data (i32.const 0) "oh")
  (table 2 funcref) (elem (i32.const 0) $inner)
  (func $_ZN3app5inner17h0123456789abcdefE (param i32) (result i32)
    (if (i32.eq (local.get 0) (i32.const 0)) (then (unreachable)))
    (if (i32.eq (local.get 0) (i32.const 1)) (then (call $trap (i32.const 0) (i32.const 2))))
    (if (i32.eq (local.get 0) (i32.const 2)) (then (drop (i32.load (i32.const -1)))))
    (if (i32.eq (local.get 0) (i32.const 3)) (then (drop (i32.div_u (i32.const 1) (i32.const 0)))))
    (if (i32.eq (local.get 0) (i32.const 4))
      (then (call $stable64_write (i64.const 1) (i64.const 0) (i64.const 1))))
    (if (i32.eq (local.get 0) (i32.const 5))
      (then (call $trap (i32.const -1) (i32.const 2))))
    (i32.add (local.get 0) (i32.const 1)))
  (func $inner (param i32) (result i32) (call $_ZN3app5inner17h0123456789abcdefE (local.get 0)))
  (func $deep (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))) (else (unreachable))))
  (func $outer (param i32) (drop (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0))))
  ${[0, 1, 2, 3, 4, 5].map((n) => `(func $run${n} (export "canister_update ${n}") (call $outer (i32.const ${n})))`).join("\n")}
  (func $deeper (export "canister_update deep") (call $deep (i32.const 50)))
  (func $warm (export "canister_update warm") (local $i i32)
    (loop $again (call $outer (i32.const 9)) (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 200000))))
    (call $reply)))`;

export function shown(outcome: MessageOutcome): { readonly error: string; readonly log: string } {
  return {
    error: (outcome.error?.message ?? "").replace(/^Error from Canister [a-z0-9-]+: /, ""),
    log: utf8DecodeLossy(outcome.logs.at(-1) ?? new Uint8Array(0)),
  };
}

/** Every failing method, before and after the engine had reason to optimise. */
export function transcript(): string {
  const bench = new Bench();
  const canister = bench.installed(wat(TEXT, { names: true }));
  const once = (): string[] =>
    ["0", "1", "2", "3", "4", "5", "deep"].map((method) =>
      JSON.stringify(shown(bench.update(canister, method))),
    );
  const cold = once();
  for (let i = 0; i < 5; i++) {
    const { error } = bench.update(canister, "warm");
    assert.equal(error, null);
  }
  assert.deepEqual(once(), cold);
  return cold.join("\n");
}
