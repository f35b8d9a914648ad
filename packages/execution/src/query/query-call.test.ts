/** Composite queries: call graphs over one certified state, drafts, bounds, failures. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CanisterId, canisterIdFromIndex } from "@orrery/base";
import { COUNTER, rejection, replied, Watched } from "../testing/watched.testkit.ts";
import type { ViewQueryOutcome } from "./view.ts";

/** Calls method `q` of the canister in its argument, and in the callback answers what came back, counted in its own memory. */
const COMPOSITE = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
  (import "ic0" "msg_reject_code" (func $code (result i32)))
  (import "ic0" "msg_reject_msg_size" (func $msize (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $mcopy (param i32 i32 i32)))
  (import "ic0" "data_certificate_present" (func $present (result i32)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data (param i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (import "ic0" "call_on_cleanup" (func $cleanup (param i32 i32)))
  (memory 1) (table 4 funcref) (elem (i32.const 0) $onreply $onreject $ontrap $oncleanup)
  (data (i32.const 0) "get") (data (i32.const 8) "relay") (data (i32.const 16) "pair")
  (global $seen (mut i32) (i32.const 0))
  (func $call (param $name i32) (param $len i32) (param $from i32) (param $callback i32)
    (call $new (local.get $from) (i32.const 10) (local.get $name) (local.get $len)
      (local.get $callback) (i32.const 0) (i32.const 1) (i32.const 0)))
  (func $take (call $arg (i32.const 100) (i32.const 0) (call $size)))
  (func (export "canister_composite_query relay")
    (call $take) (global.set $seen (i32.add (call $present) (i32.const 40)))
    (if (i32.eq (call $size) (i32.const 10))
      (then (call $call (i32.const 0) (i32.const 3) (i32.const 100) (i32.const 0)))
      (else (call $call (i32.const 8) (i32.const 5) (i32.const 100) (i32.const 0))
        (call $data (i32.const 110) (i32.sub (call $size) (i32.const 10)))))
    (drop (call $perform)))
  (func (export "canister_composite_query trapping")
    (call $take) (global.set $seen (i32.const 1))
    (call $call (i32.const 0) (i32.const 3) (i32.const 100) (i32.const 2))
    (call $cleanup (i32.const 3) (i32.const 0)) (drop (call $perform)))
  (func (export "canister_composite_query twice")
    (call $take) (global.set $seen (i32.const 1))
    (call $call (i32.const 0) (i32.const 3) (i32.const 100) (i32.const 2)) (drop (call $perform))
    (call $call (i32.const 0) (i32.const 3) (i32.const 100) (i32.const 0)) (drop (call $perform)))
  (func (export "canister_query seen") (i32.store (i32.const 200) (global.get $seen))
    (call $append (i32.const 200) (i32.const 1)) (call $reply))
  (func $onreply (param i32)
    (call $take) (i32.store8 (i32.const 99) (global.get $seen))
    (call $append (i32.const 99) (i32.add (call $size) (i32.const 1))) (call $reply))
  (func $onreject (param i32)
    (call $mcopy (i32.const 300) (i32.const 0) (call $msize)) (i32.store8 (i32.const 299) (call $code))
    (call $append (i32.const 299) (i32.add (call $msize) (i32.const 1))) (call $reply))
  (func $ontrap (param i32) unreachable)
  (func $oncleanup (param i32) unreachable))`;

describe("composite queries", () => {
  function setup(): { watched: Watched; counter: CanisterId; outer: CanisterId } {
    const watched = new Watched();
    const counter = watched.subnet.installed(COUNTER);
    const outer = watched.subnet.installed(COMPOSITE);
    watched.subnet.reply({ canisterId: counter, method: "inc" });
    return { watched, counter, outer };
  }

  function path(...ids: CanisterId[]): Uint8Array {
    return Uint8Array.from(ids.flatMap((id) => [...id]));
  }

  test("call other canisters; callbacks see the draft, nobody else does", () => {
    const { watched, counter, outer } = setup();
    // The certificate is there in the root's entries only, wherever in the graph; 41 = 40 + present.
    assert.deepEqual(replied(watched.query(outer, "relay", path(counter))), Uint8Array.of(41, 1, 0, 0, 0));
    assert.deepEqual(replied(watched.query(outer, "seen")), Uint8Array.of(0));
    const nested = replied(watched.query(outer, "relay", path(outer, counter)));
    assert.deepEqual(nested, Uint8Array.of(41, 41, 1, 0, 0, 0));
    const other = watched.subnet.installed(COMPOSITE);
    const across = replied(watched.query(outer, "relay", path(other, outer, counter)));
    assert.deepEqual(across, Uint8Array.of(41, 40, 41, 1, 0, 0, 0));
  });

  test("are bounded in depth", () => {
    const { watched, counter, outer } = setup();
    const deep = (n: number): ViewQueryOutcome =>
      watched.query(outer, "relay", path(...new Array<CanisterId>(n).fill(outer), counter));
    replied(deep(5));
    assert.equal(rejection(deep(6)).errorCode, "IC0525");
  });

  test("a callee's failure reaches the callback with its code", () => {
    const { watched, outer } = setup();
    const bytes = replied(watched.query(outer, "relay", path(canisterIdFromIndex(77n))));
    assert.equal(bytes[0], 3);
    assert.match(String.fromCharCode(...bytes.subarray(1)), /^IC0301: Canister [a-z0-9-]+ not found/);
  });

  test("a trapping callback fails the call, unless another one answers", () => {
    const { watched, counter, outer } = setup();
    const both = rejection(watched.query(outer, "trapping", path(counter)));
    assert.equal(both.errorCode, "IC0502");
    assert.match(
      both.rejectMessage,
      /Canister trapped: unreachable\n\ncall_on_cleanup also failed:\n\nCanister trapped: unreachable$/,
    );
    assert.deepEqual(replied(watched.query(outer, "twice", path(counter))), Uint8Array.of(1, 1, 0, 0, 0));
    assert.deepEqual(replied(watched.query(outer, "seen")), Uint8Array.of(0));
  });

  test("are not for replicated execution", () => {
    const { watched, outer } = setup();
    assert.equal(watched.subnet.rejection({ canisterId: outer, method: "relay" }).errorCode, "IC0527");
  });
});
