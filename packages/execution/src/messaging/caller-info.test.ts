/** `msg_caller_info_*` in everything that runs for one ingress message (interface spec, "System API", caller info). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CanisterId, concatBytes, principalFromText, utf8 } from "@orrery/base";
import { decodeCanister, encodeCanister } from "@orrery/state";
import { TestSubnet } from "../testing/subnet.testkit.ts";

/** Calls itself; the callbacks reply with the caller's info and signer, the cleanup writes them down. */
const TELLER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_caller_info_data_size" (func $info_size (result i32)))
  (import "ic0" "msg_caller_info_data_copy" (func $info_copy (param i32 i32 i32)))
  (import "ic0" "msg_caller_info_signer_size" (func $signer_size (result i32)))
  (import "ic0" "msg_caller_info_signer_copy" (func $signer_copy (param i32 i32 i32)))
  (import "ic0" "canister_self_size" (func $self_size (result i32)))
  (import "ic0" "canister_self_copy" (func $self_copy (param i32 i32 i32)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_on_cleanup" (func $on_cleanup (param i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1) (data (i32.const 0) "other") (data (i32.const 10) "none")
  (table funcref (elem $tell $boom $note))
  (global $length (mut i32) (i32.const 0))
  (func $write (call $info_copy (i32.const 500) (i32.const 0) (call $info_size))
    (call $signer_copy (i32.add (i32.const 500) (call $info_size)) (i32.const 0) (call $signer_size))
    (global.set $length (i32.add (call $info_size) (call $signer_size))))
  (func $give (call $append (i32.const 500) (global.get $length)) (call $reply))
  (func $tell (param i32) (call $write) (call $give))
  (func $boom (param i32) unreachable)
  (func $note (param i32) (call $write))
  (func $call (param i32 i32 i32)
    (call $self_copy (i32.const 100) (i32.const 0) (call $self_size))
    (call $new (i32.const 100) (call $self_size) (local.get 0) (local.get 1)
      (local.get 2) (i32.const 0) (local.get 2) (i32.const 0)))
  (func (export "canister_update on_reply") (call $call (i32.const 0) (i32.const 5) (i32.const 0)) (drop (call $perform)))
  (func (export "canister_update on_reject") (call $call (i32.const 10) (i32.const 4) (i32.const 0)) (drop (call $perform)))
  (func (export "canister_update on_cleanup") (call $call (i32.const 0) (i32.const 5) (i32.const 1))
    (call $on_cleanup (i32.const 2) (i32.const 0)) (drop (call $perform)))
  (func (export "canister_update other") (call $write) (call $give))
  (func (export "canister_query noted") (call $give)))`;

describe("caller info", () => {
  const info = utf8("one who signs");
  const signer = principalFromText("2ibo7-dia") as CanisterId;
  const senderInfo = { info, signer };
  const both = concatBytes(info, signer);

  test("is there in callbacks and cleanup as in the call", () => {
    const subnet = new TestSubnet();
    const id = subnet.installed(TELLER);
    assert.deepEqual(subnet.reply({ canisterId: id, method: "other", senderInfo }), both);
    assert.deepEqual(subnet.reply({ canisterId: id, method: "on_reply", senderInfo }), both);
    assert.deepEqual(subnet.reply({ canisterId: id, method: "on_reject", senderInfo }), both);
    // Nothing was said by a request without it.
    assert.deepEqual(subnet.reply({ canisterId: id, method: "on_reply" }), new Uint8Array(0));
    subnet.rejection({ canisterId: id, method: "on_cleanup", senderInfo });
    assert.deepEqual(subnet.reply({ canisterId: id, method: "noted" }), both);
  });

  test("stays with the call context in its durable form", () => {
    const subnet = new TestSubnet();
    const id = subnet.installed(TELLER);
    const canister = subnet.canister(id);
    canister.callContexts.set(7, {
      id: 7,
      origin: { kind: "ingress", requestId: new Uint8Array(32), sender: signer as never, senderInfo },
      needsToRespond: true,
      deleted: false,
      availableCycles: 0n,
      instructionsExecuted: 0n,
      outstanding: 1,
      createdAt: 1n,
    });
    const restored = decodeCanister(encodeCanister(canister), canister.memory);
    const origin = restored.callContexts.get(7)?.origin;
    assert.deepEqual(origin?.kind === "ingress" ? origin.senderInfo : null, senderInfo);
  });
});
