/** HTTPS outcalls of networks in one place: answered once for all nodes, or by each node its own way. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { type CanisterId, utf8, utf8DecodeLossy } from "@orrery/base";
import wabt from "wabt";
import type { Instance, MessageId, OutcallAnswer } from "./index.ts";
import { call, candid, createCanister, install, newInstance } from "./instance.testkit.ts";

/** `ask` calls http_request with its argument and replies with the reply, or with a byte for the reject code and the text. */
const ASKER = `(module
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
const Args = IDL.Record({
  url: IDL.Text,
  max_response_bytes: IDL.Opt(IDL.Nat64),
  method: IDL.Variant({ get: IDL.Null }),
  headers: IDL.Vec(Header),
  body: IDL.Opt(IDL.Vec(IDL.Nat8)),
});
const ARG = candid(
  [Args],
  [
    {
      url: "https://example.com/x",
      max_response_bytes: [1_000n],
      method: { get: null },
      headers: [],
      body: [],
    },
  ],
);
let wasm: Uint8Array;

before(async () => {
  const module = (await wabt()).parseWat("asker.wat", ASKER);
  wasm = module.toBinary({}).buffer.slice();
  module.destroy();
});

function asked(instance: Instance): MessageId {
  const id: CanisterId = createCanister(instance);
  install(instance, id, wasm);
  const submitted = instance.submitIngress(call(id, "ask", ARG));
  assert.ok(submitted.ok);
  assert.throws(() => instance.awaitIngress(submitted.value, 10), { code: "call_pending" });
  return submitted.value;
}

const response = (text: string): OutcallAnswer => ({
  kind: "response",
  status: 200,
  headers: [],
  body: utf8(text),
});

/** What the canister replies with after it was answered: the body, or code and text of a reject. */
function outcome(answers: readonly OutcallAnswer[]): string | readonly [number, string] {
  const instance = newInstance(["application"]);
  const id = asked(instance);
  const [outcall, ...others] = instance.pendingOutcalls();
  assert.ok(outcall !== undefined && others.length === 0);
  const { url, method, maxResponseBytes, headers, body } = outcall;
  assert.deepEqual(
    [url, method, maxResponseBytes, headers, body],
    ["https://example.com/x", "GET", 1_000, [], null],
  );
  instance.mockOutcall(outcall.subnetId, outcall.id, answers);
  assert.deepEqual(instance.pendingOutcalls(), []);
  assert.throws(() => instance.mockOutcall(outcall.subnetId, outcall.id, answers), {
    code: "outcall_unknown",
  });
  const answer = instance.awaitIngress(id);
  assert.ok(answer.ok);
  const [first] = answer.value;
  if (first !== 0x44) return [first as number, utf8DecodeLossy(answer.value.subarray(1))];
  const [{ body: bytes }] = IDL.decode(
    [IDL.Record({ body: IDL.Vec(IDL.Nat8) })],
    answer.value,
  ) as unknown as [{ readonly body: Uint8Array }];
  return utf8DecodeLossy(new Uint8Array(bytes));
}

test("one answer stands for all nodes", () => {
  assert.equal(outcome([response("for all")]), "for all");
  assert.deepEqual(outcome([{ kind: "reject", code: 3, message: "no such host" }]), [3, "no such host"]);
  assert.deepEqual(outcome([response("x".repeat(2_000))]), [
    1,
    "Http body exceeds size limit of 1000 bytes.",
  ]);
});

test("of thirteen answers nine have to be the same", () => {
  const nodes = (count: number): OutcallAnswer[] =>
    Array.from({ length: 13 }, (_, i) => response(i < count ? "same" : `node ${i}`));
  assert.equal(outcome(nodes(9)), "same");
  const divided = outcome(nodes(8));
  assert.equal(divided[0], 2);
  assert.match(
    divided[1] as string,
    /^No consensus could be reached\. Replicas had different responses\. Details: request_id: 0, timeout: \d+, hashes: \[[0-9a-f]{64}: 8\], \[/,
  );
});

test("other numbers of answers, and codes that no node gives, are refused", () => {
  const instance = newInstance(["application"]);
  asked(instance);
  const [outcall] = instance.pendingOutcalls();
  assert.ok(outcall !== undefined);
  const refused = { code: "outcall_answers" };
  const answer = (answers: readonly OutcallAnswer[]): void =>
    instance.mockOutcall(outcall.subnetId, outcall.id, answers);
  assert.throws(() => answer([response("a"), response("b")]), refused);
  assert.throws(() => answer([]), refused);
  assert.throws(() => answer([{ kind: "reject", code: 6, message: "unknown" }]), refused);
  assert.equal(instance.pendingOutcalls().length, 1);
});
