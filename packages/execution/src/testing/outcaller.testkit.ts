/**
 * A canister that makes HTTPS outcalls for tests of whatever hosts networks, its arguments, and its module (assembled at each call).
 */
import { IDL } from "@icp-sdk/core/candid";
import wabt from "wabt";

/** `ask` calls http_request with its argument and replies with the reply, or with a byte for the reject code and the text. */
const OUTCALLER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reject_code" (func $code (result i32)))
  (import "ic0" "msg_reject_msg_size" (func $text_size (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $text_copy (param i32 i32 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data (param i32 i32)))
  (import "ic0" "call_cycles_add" (func $cycles (param i64)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 4) (table funcref (elem $on_reply $on_reject))
  (func $on_reply (param i32)
    (call $arg_copy (i32.const 64) (i32.const 0) (call $arg_size))
    (call $append (i32.const 64) (call $arg_size)) (call $reply))
  (func $on_reject (param i32)
    (i32.store8 (i32.const 64) (call $code))
    (call $text_copy (i32.const 65) (i32.const 0) (call $text_size))
    (call $append (i32.const 64) (i32.add (i32.const 1) (call $text_size))) (call $reply))
  (func (export "canister_update ask")
    (call $call_new (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 12)
      (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
    (call $arg_copy (i32.const 64) (i32.const 0) (call $arg_size))
    (call $data (i32.const 64) (call $arg_size))
    (call $cycles (i64.const 30000000000))
    (drop (call $perform)))
  (data (i32.const 0) "http_request"))`;

const Header = IDL.Record({ name: IDL.Text, value: IDL.Text });

/** What `ask` takes. */
export const OutcallRequestType: IDL.RecordClass = IDL.Record({
  url: IDL.Text,
  max_response_bytes: IDL.Opt(IDL.Nat64),
  method: IDL.Variant({ get: IDL.Null }),
  headers: IDL.Vec(Header),
  body: IDL.Opt(IDL.Vec(IDL.Nat8)),
});

export interface OutcallRequestValue {
  readonly url: string;
  readonly max_response_bytes: [bigint];
  readonly method: { readonly get: null };
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly body: [];
}

export function outcallRequest(
  url: string,
  headers: OutcallRequestValue["headers"] = [],
): OutcallRequestValue {
  return { url, max_response_bytes: [1_000n], method: { get: null }, headers, body: [] };
}

export function outcallArgument(url: string): Uint8Array {
  return new Uint8Array(IDL.encode([OutcallRequestType], [outcallRequest(url)]));
}

export async function outcallerModule(): Promise<Uint8Array> {
  const module = (await wabt()).parseWat("outcaller.wat", OUTCALLER);
  const bytes = module.toBinary({}).buffer.slice();
  module.destroy();
  return bytes;
}
