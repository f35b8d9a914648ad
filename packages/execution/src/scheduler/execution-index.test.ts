/** The index of a running execution is the one that a restart would build. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import type { CanisterId } from "@orrery/base";
import { memoryUsageBytes } from "@orrery/state";
import { subnetMemoryLeft } from "../management/memory.ts";
import { encode, TestSubnet } from "../testing/subnet.testkit.ts";
import { ExecutionIndex } from "./execution-index.ts";

const Upload = IDL.Record({ canister_id: IDL.Principal, chunk: IDL.Vec(IDL.Nat8) });
const Clear = IDL.Record({ canister_id: IDL.Principal });
const Settings = IDL.Record({
  canister_id: IDL.Principal,
  settings: IDL.Record({ memory_allocation: IDL.Opt(IDL.Nat), reserved_cycles_limit: IDL.Opt(IDL.Nat) }),
});

/** Why an allocation that takes `bytes` more than the canister has is refused; the canister cannot pay for it either. */
function refusalOf(subnet: TestSubnet, canister: CanisterId, bytes: bigint): string {
  const allocation = memoryUsageBytes(subnet.canister(canister).meta) + bytes;
  const settings = { memory_allocation: [allocation], reserved_cycles_limit: [] };
  const arg = encode([Settings], [{ canister_id: Principal.fromUint8Array(canister), settings }]);
  const status = subnet.call({ method: "update_settings", arg });
  return status.kind === "rejected" ? status.errorCode : status.kind;
}

test("chunks count as memory from the call that stores them to the one that drops them", () => {
  const subnet = new TestSubnet();
  const id = subnet.create();
  const canister_id = Principal.fromUint8Array(id);
  const calls = [
    { method: "upload_chunk", arg: encode([Upload], [{ canister_id, chunk: [1, 2, 3] }]) },
    { method: "clear_chunk_store", arg: encode([Clear], [{ canister_id }]) },
  ];
  const seen = new Set<bigint>();
  for (const call of calls) {
    assert.equal(subnet.call(call).kind, "replied");
    const free = subnetMemoryLeft(new ExecutionIndex(subnet.state)) / 4n;
    assert.deepEqual(
      [free, free + 1n].map((bytes) => refusalOf(subnet, id, bytes)),
      ["IC0531", "IC0101"],
    );
    seen.add(free);
  }
  assert.equal(seen.size, calls.length);
});

test("memory that is allocated is not allocated again", () => {
  const subnet = new TestSubnet();
  const allocate = (): string => {
    const canister = Principal.fromUint8Array(subnet.create({ cycles: 10n ** 24n }));
    const settings = { memory_allocation: [450n << 30n], reserved_cycles_limit: [10n ** 24n] };
    return subnet.call({
      method: "update_settings",
      arg: encode([Settings], [{ canister_id: canister, settings }]),
    }).kind;
  };
  assert.deepEqual([allocate(), allocate()], ["replied", "rejected"]);
});
