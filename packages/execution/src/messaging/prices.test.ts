/** What a message pays where an upgrade or a freeze comes between: callbacks after a change of width, calls to frozen canisters. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { executionCost } from "../fees.ts";
import { INSTRUCTIONS_PER_MESSAGE_MAX } from "../limits.ts";
import { SUBNET } from "../testing/bench.testkit.ts";
import { FAILING } from "../testing/failing.testkit.ts";
import { TestSubnet } from "../testing/subnet.testkit.ts";
import { totalCycles } from "../testing/total-cycles.testkit.ts";

/** Calls raw_rand and answers with nothing in the callback, in either width. */
function waiting(is64: boolean): string {
  const i = is64 ? "i64" : "i32";
  const zeros = Array.from({ length: 3 }, () => `(${i}.const 0)`).join(" ");
  return `(module
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "call_new" (func $new (param ${Array.from({ length: 8 }, () => i).join(" ")})))
    (import "ic0" "call_data_append" (func $data (param ${i} ${i})))
    (import "ic0" "call_perform" (func $perform (result i32)))
    (memory ${is64 ? "i64" : ""} 1) (table 1 funcref) (elem (i32.const 0) $back)
    (data (${i}.const 16) "raw_randDIDL\\00\\00")
    (func (export "canister_update wait")
      (call $new (${i}.const 0) (${i}.const 0) (${i}.const 16) (${i}.const 8) ${zeros} (${i}.const 0))
      (call $data (${i}.const 24) (${i}.const 6)) (drop (call $perform)))
    (func $back (param ${i}) (call $reply)))`;
}

for (const [from, to] of [
  [false, true],
  [true, false],
  [true, true],
] as const) {
  test(`a callback pays for the code that runs it: ${from ? 64 : 32} to ${to ? 64 : 32} bits`, () => {
    const subnet = new TestSubnet();
    const id = subnet.installed(waiting(from), { cycles: 10n ** 15n });
    const request = subnet.submit({ canisterId: id, method: "wait" });
    const held = subnet.state.pendingManagement.splice(0);
    const { meta, callbacks } = subnet.canister(id);
    const [callback] = callbacks.values();
    assert.equal(callback?.prepaidExecution, executionCost(SUBNET, INSTRUCTIONS_PER_MESSAGE_MAX, from));
    assert.equal(subnet.install(id, waiting(to), { mode: { upgrade: [] } }).kind, "replied");
    subnet.state.pendingManagement.push(...held);
    const total = totalCycles(subnet.state);
    const consumed = subnet.canister(id).consumed.get("instructions") ?? 0n;
    assert.equal(subnet.settle(request).kind, "replied");
    assert.equal(totalCycles(subnet.state), total);
    const price = (subnet.canister(id).consumed.get("instructions") ?? 0n) - consumed;
    assert.ok(
      price > executionCost(SUBNET, 0n, to) && price < executionCost(SUBNET, 10_000n, to),
      `${price}`,
    );
    assert.ok(meta.cycles > 0n);
  });
}

test("a frozen canister says so before it asks for cycles", () => {
  const subnet = new TestSubnet();
  const callee = subnet.installed(FAILING, { cycles: 10n ** 15n });
  const caller = subnet.installed(FAILING, { cycles: 10n ** 15n });
  const { meta } = subnet.canister(callee);
  meta.settings = { ...meta.settings, minimumIncomingCallCycles: 5n };
  const arg = new Uint8Array(44);
  arg.set(callee);
  arg[10] = callee.length;
  arg[11] = 4;
  arg.set(new TextEncoder().encode("fine"), 12);
  const told = (): string =>
    new TextDecoder().decode(subnet.reply({ canisterId: caller, method: "forward", arg }).subarray(1));
  assert.match(told(), /^IC0520: /);
  meta.cycles = 1_000n;
  assert.match(told(), /^IC0207: Canister [a-z0-9-]+ is out of cycles$/);
});
