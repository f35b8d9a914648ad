/** What is told where nothing was answered, and to those who came too late; versions after cleanups and at the end of cycles. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import {
  type CanisterId,
  canisterIdFromIndex,
  concatBytes,
  principalToText,
  utf8,
  utf8DecodeLossy,
} from "@orrery/base";
import { encode, TestSubnet } from "../testing/subnet.testkit.ts";
import { replied, Watched } from "../testing/watched.testkit.ts";

/**
 * `ask` and `compose` call the method that the argument names behind ten bytes of its canister, and reply with what the reject said
 * behind its code; `trapping` makes that callback trap and has a cleanup callback, which counts in memory.
 */
const TALKER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reject_code" (func $code (result i32)))
  (import "ic0" "msg_reject_msg_size" (func $reject_size (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $reject_copy (param i32 i32 i32)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_on_cleanup" (func $on_cleanup (param i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1) (table funcref (elem $back $trap $clean))
  (func $back (param i32)
    (i32.store8 (i32.const 0) (call $code))
    (call $reject_copy (i32.const 1) (i32.const 0) (call $reject_size))
    (call $append (i32.const 0) (i32.add (i32.const 1) (call $reject_size))) (call $reply))
  (func $trap (param i32) unreachable)
  (func $clean (param i32) (i32.store8 (i32.const 900) (i32.const 1)))
  (func $call (param $callback i32)
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (call $new (i32.const 0) (i32.const 10) (i32.const 10) (i32.sub (call $arg_size) (i32.const 10))
      (local.get $callback) (i32.const 0) (local.get $callback) (i32.const 0)))
  (func (export "canister_update ask") (call $call (i32.const 0)) (drop (call $perform)))
  (func (export "canister_composite_query compose") (call $call (i32.const 0)) (drop (call $perform)))
  (func (export "canister_update trapping")
    (call $call (i32.const 1)) (call $on_cleanup (i32.const 2) (i32.const 0)) (drop (call $perform)))
  (func (export "canister_update silent"))
  (func (export "canister_query quiet"))
  (func (export "canister_update fine") (call $reply)))`;

function naming(callee: CanisterId, method: string): Uint8Array {
  return concatBytes(callee, utf8(method));
}

test("a canister hears that there was no response, a user from whom", () => {
  const watched = new Watched();
  const { subnet } = watched;
  const id = subnet.installed(TALKER, { cycles: 10n ** 15n });
  for (const method of ["silent", "quiet"]) {
    const told = subnet.reply({ canisterId: id, method: "ask", arg: naming(id, method) });
    assert.deepEqual([told[0], utf8DecodeLossy(told.subarray(1))], [5, "No response"]);
    const { errorCode, message } = subnet.rejection({ canisterId: id, method });
    assert.deepEqual(
      [errorCode, message],
      ["IC0506", `Canister ${principalToText(id)} did not reply to the call`],
    );
  }
  const told = replied(watched.query(id, "compose", naming(id, "quiet")));
  assert.deepEqual([told[0], utf8DecodeLossy(told.subarray(1))], [5, "No response"]);
});

test("a call that was queued before its canister stopped is told that it does not run", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(TALKER);
  const call = subnet.envelope({ canisterId: id, method: "fine" });
  subnet.round([call.bytes, subnet.manageEnvelope("stop_canister", id).bytes]);
  const status = subnet.settle(call.id);
  assert.ok(status.kind === "rejected");
  assert.deepEqual(
    [status.errorCode, status.message],
    ["IC0508", `Canister ${principalToText(id)} is not running`],
  );
});

test("a cleanup that ends well changes the canister, and so its version", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(TALKER, { cycles: 10n ** 15n });
  const { meta } = subnet.canister(id);
  const before = meta.version;
  const { errorCode } = subnet.rejection({ canisterId: id, method: "trapping", arg: naming(id, "nothing") });
  assert.equal(errorCode, "IC0502");
  assert.equal(meta.version, before + 2n, "the call and the cleanup");
});

test("an empty canister that runs out of cycles has another version, once", () => {
  const subnet = new TestSubnet();
  const id = subnet.create({ cycles: 1n });
  const { meta } = subnet.canister(id);
  const before = meta.version;
  meta.settings = { ...meta.settings, computeAllocation: 1n };
  subnet.reload(subnet.runner);
  for (let i = 0; i < 4; i++) subnet.round([], 20_000_000_000n);
  assert.deepEqual([meta.cycles, meta.version, meta.settings.computeAllocation], [0n, before + 1n, 0n]);
  assert.deepEqual([subnet.canister(id).history, subnet.canister(id).historyTotal], [[], 1n]);
});

test("chunks of a canister that is not here are told from its id and the target's", () => {
  const subnet = new TestSubnet();
  const id = subnet.create();
  const store = canisterIdFromIndex(12_345n);
  const Args = IDL.Record({
    mode: IDL.Variant({ install: IDL.Null }),
    target_canister: IDL.Principal,
    store_canister: IDL.Opt(IDL.Principal),
    chunk_hashes_list: IDL.Vec(IDL.Record({ hash: IDL.Vec(IDL.Nat8) })),
    wasm_module_hash: IDL.Vec(IDL.Nat8),
    arg: IDL.Vec(IDL.Nat8),
  });
  const args = {
    mode: { install: null },
    target_canister: CandidPrincipal.fromUint8Array(id),
    store_canister: [CandidPrincipal.fromUint8Array(store)],
    chunk_hashes_list: [],
    wasm_module_hash: new Uint8Array(32),
    arg: [],
  };
  const { errorCode, message } = subnet.rejection({
    method: "install_chunked_code",
    arg: encode([Args], [args]),
  });
  const [own, target] = [subnet.state.subnet.subnetId, id].map(principalToText);
  assert.deepEqual(
    [errorCode, message],
    [
      "IC0406",
      `InstallChunkedCode Error: Store canister ${principalToText(store)} was not found on subnet ${own} of target canister ${target}`,
    ],
  );
});
