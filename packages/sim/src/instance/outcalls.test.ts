/** HTTPS outcalls of networks in one place: answered once for all nodes, or by each node its own way. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { type CanisterId, utf8, utf8DecodeLossy } from "@orrery/base";
import { outcallArgument, outcallerModule } from "@orrery/execution/outcaller";
import type { Instance, MessageId, OutcallAnswer } from "./index.ts";
import { call, createCanister, install, newInstance } from "./instance.testkit.ts";

const wasm = await outcallerModule();

function asked(instance: Instance): MessageId {
  const id: CanisterId = createCanister(instance);
  install(instance, id, wasm);
  const submitted = instance.submitIngress(call(id, "ask", outcallArgument("https://example.com/x")));
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
