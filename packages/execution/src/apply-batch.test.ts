/** Whole rounds with the real runner: ingress, calls between canisters, lifecycle, upgrades, timers, deltas. */
import assert from "node:assert/strict";
import test from "node:test";
import { utf8, utf8DecodeLossy } from "@orrery/base";
import { TestSubnet } from "./testing/subnet.testkit.ts";

const IMPORTS = `
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reject_msg_size" (func $reject_size (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $reject_copy (param i32 i32 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_perform" (func $call_perform (result i32)))
  (import "ic0" "stable_grow" (func $stable_grow (param i32) (result i32)))
  (import "ic0" "stable_write" (func $stable_write (param i32 i32 i32)))
  (import "ic0" "stable_read" (func $stable_read (param i32 i32 i32)))
  (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
  (import "ic0" "trap" (func $trap (param i32 i32)))
`;

/** Counts in heap byte 0; upgrades carry it through stable memory. */
const COUNTER = `(module ${IMPORTS}
  (memory 1)
  (func $answer (call $append (i32.const 0) (i32.const 1)) (call $reply))
  (func (export "canister_update inc")
    (i32.store8 (i32.const 0) (i32.add (i32.load8_u (i32.const 0)) (i32.const 1)))
    (call $answer))
  (func (export "canister_query get") (call $answer))
  (func (export "canister_update arm") (drop (call $timer (i64.const 1))) (call $answer))
  (func (export "canister_global_timer")
    (i32.store8 (i32.const 0) (i32.add (i32.load8_u (i32.const 0)) (i32.const 100))))
  (func (export "canister_update boom") (i32.store8 (i32.const 0) (i32.const 7)) (call $trap (i32.const 0) (i32.const 0)))
  (func (export "canister_update silent"))
  (func (export "canister_pre_upgrade")
    (drop (call $stable_grow (i32.const 1)))
    (call $stable_write (i32.const 0) (i32.const 0) (i32.const 1)))
  (func (export "canister_post_upgrade") (call $stable_read (i32.const 0) (i32.const 0) (i32.const 1))))`;

/** Forwards: the argument is the callee's id, the method "inc"; answers with what it got, or with the reject's text. */
const PROXY = `(module ${IMPORTS}
  (memory 1) (table funcref (elem $on_reply $on_reject))
  (data (i32.const 1000) "inc") (data (i32.const 1010) "boom") (data (i32.const 1020) "nothing")
  (func $forward (param $name i32) (param $len i32)
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (call $call_new (i32.const 0) (call $arg_size) (local.get $name) (local.get $len)
      (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
    (drop (call $call_perform)))
  (func $on_reply (param i32)
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (call $append (i32.const 0) (call $arg_size)) (call $reply))
  (func $on_reject (param i32)
    (call $reject_copy (i32.const 0) (i32.const 0) (call $reject_size))
    (call $append (i32.const 0) (call $reject_size)) (call $reply))
  (func (export "canister_update inc") (call $forward (i32.const 1000) (i32.const 3)))
  (func (export "canister_update boom") (call $forward (i32.const 1010) (i32.const 4)))
  (func (export "canister_update nothing") (call $forward (i32.const 1020) (i32.const 7))))`;

test("a canister is created, installed and called", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(COUNTER);
  assert.deepEqual(subnet.reply({ canisterId: id, method: "inc" }), Uint8Array.of(1));
  assert.deepEqual(subnet.reply({ canisterId: id, method: "inc" }), Uint8Array.of(2));
  assert.deepEqual(subnet.reply({ canisterId: id, method: "get" }), Uint8Array.of(2));
});

test("a trap and a missing reply are told with the replica's codes and leave no trace where they must not", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(COUNTER);
  const trap = subnet.rejection({ canisterId: id, method: "boom" });
  assert.equal(trap.errorCode, "IC0503");
  assert.equal(trap.code, 5);
  assert.equal(subnet.rejection({ canisterId: id, method: "silent" }).errorCode, "IC0506");
  assert.equal(subnet.rejection({ canisterId: id, method: "absent" }).errorCode, "IC0536");
  assert.deepEqual(subnet.reply({ canisterId: id, method: "get" }), Uint8Array.of(0));
});

test("canisters call each other within one round", () => {
  const subnet = new TestSubnet();
  const counter = subnet.installed(COUNTER);
  const proxy = subnet.installed(PROXY);
  const id = subnet.submit({ canisterId: proxy, method: "inc", arg: counter });
  assert.deepEqual(subnet.status(id), { kind: "replied", reply: Uint8Array.of(1) });
  const boom = utf8DecodeLossy(subnet.reply({ canisterId: proxy, method: "boom", arg: counter }));
  assert.match(boom, /^IC0503: Error from Canister /);
  const nothing = utf8DecodeLossy(subnet.reply({ canisterId: proxy, method: "nothing", arg: counter }));
  assert.match(nothing, /^IC0536: Error from Canister .*Canister has no update method 'nothing'\./s);
  const nobody = utf8DecodeLossy(
    subnet.reply({ canisterId: proxy, method: "inc", arg: Uint8Array.of(0, 0, 0, 0, 0, 0, 9, 9, 1, 1) }),
  );
  assert.match(nobody, /^Canister [a-z0-9-]+ not found$/);
});

test("an upgrade keeps what the hooks carry over, reinstall does not", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(COUNTER);
  subnet.reply({ canisterId: id, method: "inc" });
  assert.equal(subnet.install(id, COUNTER, { mode: { upgrade: [] } }).kind, "replied");
  assert.deepEqual(subnet.reply({ canisterId: id, method: "inc" }), Uint8Array.of(2));
  assert.equal(subnet.install(id, COUNTER, { mode: { reinstall: null } }).kind, "replied");
  assert.deepEqual(subnet.reply({ canisterId: id, method: "get" }), Uint8Array.of(0));
  const again = subnet.install(id, COUNTER);
  assert.equal(again.kind === "rejected" ? again.errorCode : again.kind, "IC0514");
});

test("a timer set for the past fires in the next round, once", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(COUNTER);
  const { bytes } = subnet.envelope({ canisterId: id, method: "arm" });
  const armed = subnet.round([bytes]);
  assert.equal(armed.moreWork, true);
  const fired = subnet.round();
  assert.equal(fired.moreWork, false);
  assert.equal(subnet.canister(id).meta.globalTimer, 0n);
  assert.deepEqual(subnet.reply({ canisterId: id, method: "get" }), Uint8Array.of(100));
});

test("a stopped canister is told so, and starts again", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(COUNTER);
  const proxy = subnet.installed(PROXY);
  assert.equal(subnet.manage("stop_canister", id).kind, "replied");
  assert.equal(subnet.rejection({ canisterId: id, method: "inc" }).errorCode, "IC0508");
  const text = utf8DecodeLossy(subnet.reply({ canisterId: proxy, method: "inc", arg: id }));
  assert.match(text, /^Canister [a-z0-9-]+ is stopped$/);
  assert.equal(subnet.manage("start_canister", id).kind, "replied");
  assert.deepEqual(subnet.reply({ canisterId: id, method: "inc" }), Uint8Array.of(1));
});

test("deletion needs a stopped canister and leaves nothing", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(COUNTER);
  const early = subnet.manage("delete_canister", id);
  assert.equal(early.kind === "rejected" ? early.errorCode : early.kind, "IC0510");
  subnet.manage("stop_canister", id);
  const { bytes } = subnet.envelope({ method: "delete_canister", arg: subnet.installArg(id, COUNTER) });
  const result = subnet.round([bytes]);
  assert.equal(result.delta.deleted.length, 1);
  assert.equal(subnet.state.canisters.size, 0);
  assert.equal(subnet.state.blobs.size, 0);
});

test("a message is executed once however often it is in blocks, and expired ones never", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(COUNTER);
  const { bytes } = subnet.envelope({ canisterId: id, method: "inc" });
  subnet.round([bytes, bytes]);
  subnet.round([bytes]);
  assert.deepEqual(subnet.reply({ canisterId: id, method: "get" }), Uint8Array.of(1));
  const late = subnet.envelope({ canisterId: id, method: "inc", expiry: subnet.state.time - 1n });
  subnet.round([late.bytes]);
  assert.equal(subnet.status(late.id), null);
  assert.equal(subnet.round([utf8("no envelope")]).answered.length, 0);
});

test("statuses are kept for five minutes and then pruned", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(COUNTER);
  const request = subnet.submit({ canisterId: id, method: "inc" });
  subnet.round([], 299_000_000_000n);
  assert.equal(subnet.status(request)?.kind, "replied");
  const result = subnet.round([], 2_000_000_000n);
  assert.equal(subnet.status(request), null);
  assert.ok(result.delta.ingressPruned.length > 0);
});

test("a delta holds copies: what happens later does not change it", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(COUNTER);
  const { bytes } = subnet.envelope({ canisterId: id, method: "inc" });
  const { delta } = subnet.round([bytes]);
  const before = delta.canisters[0]?.meta.version;
  assert.ok((delta.canisters[0]?.heap.length ?? 0) > 0);
  subnet.reply({ canisterId: id, method: "inc" });
  assert.equal(delta.canisters[0]?.meta.version, before);
  assert.equal(subnet.round().delta.canisters.length, 0);
});
