/** Chain keys in networks of several subnets: asked for from any of them, answered by the one that holds them. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { principalFromText } from "@orrery/base";
import { createChainKeys } from "@orrery/crypto/chain-keys";
import wabt from "wabt";
import { createNetwork } from "./index.ts";

/** `ask` calls sign_with_ecdsa with its argument and replies with the cycles refunded and the reply. */
const SIGNER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_cycles_refunded" (func $refunded (result i64)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data (param i32 i32)))
  (import "ic0" "call_cycles_add" (func $cycles (param i64)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1) (table funcref (elem $on_reply))
  (func $on_reply (param i32)
    (i64.store (i32.const 64) (call $refunded))
    (call $arg_copy (i32.const 72) (i32.const 0) (call $arg_size))
    (call $append (i32.const 64) (i32.add (i32.const 8) (call $arg_size))) (call $reply))
  (func (export "canister_update ask")
    (call $call_new (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 15)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (call $arg_copy (i32.const 64) (i32.const 0) (call $arg_size))
    (call $data (i32.const 64) (call $arg_size))
    (call $cycles (i64.const 30000000000))
    (drop (call $perform)))
  (data (i32.const 0) "sign_with_ecdsa"))`;

const Blob = IDL.Vec(IDL.Nat8);
const Args = IDL.Record({
  message_hash: Blob,
  derivation_path: IDL.Vec(Blob),
  key_id: IDL.Record({ curve: IDL.Variant({ secp256k1: IDL.Null }), name: IDL.Text }),
});

test("canisters of every subnet sign with keys of their own; the root's do not pay", async () => {
  const seed = new Uint8Array(32).fill(8);
  const network = await createNetwork({ seed, subnets: ["application", "application"] });
  const module = (await wabt()).parseWat("signer.wat", SIGNER);
  const wasm = module.toBinary({}).buffer.slice();
  module.destroy();
  const message_hash = new Uint8Array(createHash("sha256").update("message").digest());
  const value = {
    message_hash,
    derivation_path: [],
    key_id: { curve: { secp256k1: null }, name: "test_key_1" },
  };
  const arg = new Uint8Array(IDL.encode([Args], [value]));
  const keys = createChainKeys(seed);
  const fees: bigint[] = [];
  for (const { id: subnetId } of network.subnets) {
    const canisterId = network.createCanister({ subnetId });
    network.install({ canisterId, wasm });
    const reply = network.update({ canisterId, method: "ask", arg });
    const refunded = new DataView(reply.buffer, reply.byteOffset).getBigUint64(0, true);
    fees.push(30_000_000_000n - refunded);
    const [{ signature }] = IDL.decode([IDL.Record({ signature: Blob })], reply.slice(8)) as unknown as [
      { signature: Uint8Array },
    ];
    const ref = { name: "test_key_1", canisterId: principalFromText(canisterId), path: [] };
    assert.deepEqual(new Uint8Array(signature), keys.signWithEcdsa(ref, message_hash));
  }
  assert.deepEqual(fees, [0n, 10_000_000_000n, 10_000_000_000n]);
  await network.stop();
});
