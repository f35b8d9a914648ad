/** The index of a running execution is the one that a restart would build. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { SUBNET_MEMORY_BYTES_MAX } from "../limits.ts";
import { encode, TestSubnet } from "../testing/subnet.testkit.ts";
import { ExecutionIndex } from "./execution-index.ts";

const Upload = IDL.Record({ canister_id: IDL.Principal, chunk: IDL.Vec(IDL.Nat8) });
const Clear = IDL.Record({ canister_id: IDL.Principal });
const Settings = IDL.Record({
  canister_id: IDL.Principal,
  settings: IDL.Record({ memory_allocation: IDL.Opt(IDL.Nat) }),
});

/** What `update_settings` says of an allocation that no subnet has names the memory that is free. */
function freeMemory(subnet: TestSubnet, canister: Principal): string {
  const arg = encode([Settings], [{ canister_id: canister, settings: { memory_allocation: [1n << 47n] } }]);
  const status = subnet.call({ method: "update_settings", arg });
  assert.equal(status.kind, "rejected");
  return /only (\d+) B/.exec(status.kind === "rejected" ? status.message : "")?.[1] ?? "";
}

test("chunks count as memory from the call that stores them to the one that drops them", () => {
  const subnet = new TestSubnet();
  const canister = Principal.fromUint8Array(subnet.create());
  const rebuilt = (): string => String(SUBNET_MEMORY_BYTES_MAX - new ExecutionIndex(subnet.state).memoryUsed);
  const calls = [
    { method: "upload_chunk", arg: encode([Upload], [{ canister_id: canister, chunk: [1, 2, 3] }]) },
    { method: "clear_chunk_store", arg: encode([Clear], [{ canister_id: canister }]) },
  ];
  const seen = new Set<string>();
  for (const call of calls) {
    assert.equal(subnet.call(call).kind, "replied");
    const free = freeMemory(subnet, canister);
    assert.equal(free, rebuilt());
    seen.add(free);
  }
  assert.equal(seen.size, calls.length);
});

test("memory that is allocated is not allocated again", () => {
  const subnet = new TestSubnet();
  const allocate = (): string => {
    const canister = Principal.fromUint8Array(subnet.create({ cycles: 10n ** 18n }));
    const settings = { memory_allocation: [3n << 39n] };
    return subnet.call({
      method: "update_settings",
      arg: encode([Settings], [{ canister_id: canister, settings }]),
    }).kind;
  };
  assert.deepEqual([allocate(), allocate()], ["replied", "rejected"]);
});
