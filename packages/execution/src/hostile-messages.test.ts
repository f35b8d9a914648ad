/** Calls, callbacks, payloads and certified data at their limits and beyond, in whole rounds: the documented answer, nothing left behind. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { IngressStatus } from "@orrery/state";
import { assertRejected, CYCLES, residue, settled } from "./testing/hostile-rounds.testkit.ts";
import { TestSubnet } from "./testing/subnet.testkit.ts";

/** `go` makes the call that its argument asks for and replies "ok", or with the reject's text. */
const CALLER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
  (import "ic0" "msg_reject_msg_size" (func $rsize (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $rcopy (param i32 i32 i32)))
  (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
  (import "ic0" "canister_self_size" (func $selfsize (result i32)))
  (import "ic0" "canister_self_copy" (func $self (param i32 i32 i32)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data (param i32 i32)))
  (import "ic0" "call_on_cleanup" (func $cleanup (param i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 200) (table 6 funcref)
  (elem (i32.const 0) $done $refused $typed)
  (elem (i32.const 4) $failing $cleaned)
  (data (i32.const 64) "echo")
  (func $arg (param $i i32) (result i32)
    (call $copy (i32.const 0) (i32.mul (local.get $i) (i32.const 4)) (i32.const 4)) (i32.load (i32.const 0)))
  (func $done (param i32) (call $append (i32.const 64) (i32.const 4)) (call $reply))
  (func $refused (param i32)
    (call $rcopy (i32.const 128) (i32.const 0) (call $rsize))
    (call $append (i32.const 128) (call $rsize)) (call $reply))
  (func $failing (param i32) (i32.store8 (i32.const 100000) (i32.const 1)) unreachable)
  (func $cleaned (param i32) (i32.store8 (i32.const 100001) (i32.const 1)))
  (func $typed (param i64) (result i64) (local.get 0))
  (func (export "canister_update call")
    (call $self (i32.const 32) (i32.const 0) (call $selfsize))
    (call $new (i32.const 32) (call $selfsize) (i32.const 64) (call $arg (i32.const 0))
      (call $arg (i32.const 1)) (i32.const 0) (call $arg (i32.const 2)) (i32.const 0))
    (call $data (i32.const 131072) (call $arg (i32.const 3)))
    (if (i32.gt_u (call $size) (i32.const 16)) (then (call $cleanup (call $arg (i32.const 4)) (i32.const 0))))
    (if (call $perform) (then (call $append (i32.const 64) (i32.const 1)) (call $reply))))
  (func (export "canister_update reply") (call $append (i32.const 131072) (call $arg (i32.const 0))) (call $reply))
  (func (export "canister_query marks") (call $append (i32.const 100000) (i32.const 2)) (call $reply))
  (func (export "canister_query answer") (call $append (i32.const 131072) (call $arg (i32.const 0))) (call $reply))
  (func (export "canister_update certify") (call $certify (i32.const 131072) (call $arg (i32.const 0))) (call $reply))
  (func (export "canister_update echo") (call $reply)))`;

function words(...values: readonly number[]): Uint8Array {
  const out = new Uint8Array(4 * values.length);
  for (const [i, value] of values.entries()) new DataView(out.buffer).setUint32(4 * i, value, true);
  return out;
}

interface MessageCase {
  readonly name: string;
  readonly method: string;
  readonly arg: Uint8Array;
  /** What it is answered, or how it is refused. */
  readonly reply?: string | number;
  readonly error?: readonly [code: string, ...texts: string[]];
  /** It is the callback that fails: what the message before it did stays. */
  readonly inCallback?: boolean;
}

const MIB = 1024 * 1024;
const [REPLY, REJECT, ILL_TYPED, NULL, FAILING, CLEANED, OUTSIDE] = [0, 1, 2, 3, 4, 5, 1_000_000] as const;
const call = (
  name: number,
  reply: number,
  reject: number,
  payload: number,
  ...cleanup: number[]
): Uint8Array => words(name, reply, reject, payload, ...cleanup);
const TRAPPED = "Canister trapped: unreachable";
const ALSO = "\n\ncall_on_cleanup also failed:\n\nCanister ";
const MESSAGES: readonly MessageCase[] = [
  { name: "a call", method: "call", arg: call(4, REPLY, REJECT, 0), reply: "echo" },
  {
    name: "a null reply callback",
    method: "call",
    arg: call(4, NULL, REJECT, 0),
    error: ["IC0513", "Canister requested to invoke a non-existent Wasm function"],
    inCallback: true,
  },
  {
    name: "a reply callback outside the table",
    method: "call",
    arg: call(4, OUTSIDE, REJECT, 0),
    error: ["IC0513", "Canister requested to invoke a non-existent Wasm function"],
    inCallback: true,
  },
  {
    name: "an ill-typed reply callback",
    method: "call",
    arg: call(4, ILL_TYPED, REJECT, 0),
    error: ["IC0504", "Canister violated contract: function invocation does not match its signature"],
    inCallback: true,
  },
  {
    name: "a null reject callback",
    method: "call",
    arg: call(3, REPLY, NULL, 0),
    error: ["IC0513", "Canister requested to invoke a non-existent Wasm function"],
    inCallback: true,
  },
  {
    name: "a cleanup callback",
    method: "call",
    arg: call(4, FAILING, REJECT, 0, CLEANED),
    error: ["IC0502", TRAPPED],
    inCallback: true,
  },
  {
    name: "a null cleanup callback",
    method: "call",
    arg: call(4, FAILING, REJECT, 0, NULL),
    error: ["IC0502", TRAPPED, `${ALSO}requested to invoke a non-existent Wasm function 3 from table 0`],
    inCallback: true,
  },
  {
    name: "a cleanup callback outside the table",
    method: "call",
    arg: call(4, FAILING, REJECT, 0, OUTSIDE),
    error: [
      "IC0502",
      TRAPPED,
      `${ALSO}requested to invoke a non-existent Wasm function 1000000 from table 0`,
    ],
    inCallback: true,
  },
  {
    name: "an ill-typed cleanup callback",
    method: "call",
    arg: call(4, FAILING, REJECT, 0, ILL_TYPED),
    error: ["IC0502", TRAPPED, `${ALSO}violated contract: function invocation does not match its signature`],
    inCallback: true,
  },
  {
    name: "a null cleanup callback after an ill-typed reply callback",
    method: "call",
    arg: call(4, ILL_TYPED, REJECT, 0, NULL),
    error: [
      "IC0504",
      "Canister violated contract: function invocation does not match its signature",
      `${ALSO}requested to invoke a non-existent Wasm function 3 from table 0`,
    ],
    inCallback: true,
  },
  {
    name: "a method name of 20,000 bytes",
    method: "call",
    arg: call(20_000, REPLY, REJECT, 0),
    reply: "Canister has no update method 'echo\0",
  },
  {
    name: "a method name of 20,001 bytes",
    method: "call",
    arg: call(20_001, REPLY, REJECT, 0),
    error: ["IC0504", "20001"],
  },
  { name: "a request of 10 MiB", method: "call", arg: call(4, REPLY, REJECT, 10 * MIB - 4), reply: "echo" },
  {
    name: "a request of 10 MiB and a byte",
    method: "call",
    arg: call(4, REPLY, REJECT, 10 * MIB - 3),
    error: ["IC0504", "has a payload size of 10485761, which exceeds the allowed limit of 10485760"],
  },
  { name: "a reply of 2 MiB", method: "reply", arg: words(2 * MIB), reply: 2 * MIB },
  {
    name: "a reply of 2 MiB and a byte",
    method: "reply",
    arg: words(2 * MIB + 1),
    error: ["IC0504", "application payload size (2097153) cannot be larger than 2097152"],
  },
  { name: "32 bytes certified", method: "certify", arg: words(32), reply: 0 },
  { name: "33 bytes certified", method: "certify", arg: words(33), error: ["IC0504", "33"] },
];

describe("messages", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(CALLER, { cycles: CYCLES });
  for (const { name, method, arg, reply, error, inCallback } of MESSAGES) {
    test(`${name}: ${error === undefined ? "answered" : "refused"}`, () => {
      const before = residue(subnet);
      const status = settled(subnet, subnet.submit({ canisterId: id, method, arg }));
      if (error === undefined) {
        assert.ok(status.kind === "replied", JSON.stringify(status));
        if (typeof reply === "number") assert.equal(status.reply.length, reply);
        else assert.ok(new TextDecoder().decode(status.reply).includes(reply ?? ""));
        return;
      }
      assertRejected(status, ...error);
      const { callContexts, callbacks, running } = subnet.canister(id);
      assert.deepEqual([callContexts.size, callbacks.size, running], [0, 0, null]);
      if (inCallback !== true) assert.equal(residue(subnet), before);
    });
  }

  test("what was certified is there; a callback that failed left nothing, its cleanup what it wrote", () => {
    const marked = subnet.installed(CALLER, { cycles: CYCLES });
    const ask = (method: string, arg?: Uint8Array): IngressStatus =>
      settled(subnet, subnet.submit({ canisterId: marked, method, ...(arg === undefined ? {} : { arg }) }));
    assert.equal(ask("certify", words(32)).kind, "replied");
    assertRejected(ask("certify", words(33)), "IC0504");
    assert.equal(subnet.canister(marked).meta.certifiedData.length, 32);
    assertRejected(ask("call", call(4, FAILING, REJECT, 0, CLEANED)), "IC0502");
    const marks = ask("marks");
    assert.ok(marks.kind === "replied");
    assert.deepEqual([...marks.reply], [0, 1]);
  });
});
