/** Cycles that anybody makes on a local network (interface spec, the provisional methods): more than 128 bits hold end no round. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { type CanisterId, canisterIdFromIndex } from "@orrery/base";
import { PROVISIONAL_CYCLES_DEFAULT } from "../limits.ts";
import { FIRST_CANISTER, lateAllocation, localNetwork } from "../local-network.ts";
import { createArg, encode, TestSubnet } from "../testing/subnet.testkit.ts";

const LARGEST = (1n << 128n) - 1n;
const TopUp = IDL.Record({ canister_id: IDL.Principal, amount: IDL.Nat });

function topUp(subnet: TestSubnet, id: CanisterId, amount: bigint): bigint {
  const arg = encode([TopUp], [{ canister_id: CandidPrincipal.fromUint8Array(id), amount }]);
  assert.equal(subnet.call({ method: "provisional_top_up_canister", arg }).kind, "replied");
  return subnet.canister(id).meta.cycles;
}

test("amounts beyond 128 bits count as not given, balances stay within them", () => {
  const subnet = new TestSubnet();
  const id = subnet.create({ cycles: LARGEST + 1n });
  const { meta } = subnet.canister(id);
  assert.equal(meta.cycles, PROVISIONAL_CYCLES_DEFAULT);
  const before = topUp(subnet, id, 0n);
  // Each call also pays for its ingress message.
  const added = topUp(subnet, id, 1n << 200n) - before;
  assert.ok(added <= PROVISIONAL_CYCLES_DEFAULT && added > (PROVISIONAL_CYCLES_DEFAULT * 99n) / 100n);
  assert.ok(topUp(subnet, id, LARGEST) <= LARGEST);
  assert.ok(topUp(subnet, id, LARGEST) <= LARGEST);
});

test("a subnet may consume more than 128 bits hold", () => {
  const subnet = new TestSubnet();
  for (let i = 0; i < 2; i++) {
    const id = subnet.create({ cycles: LARGEST });
    subnet.manage("stop_canister", id);
    assert.equal(subnet.manage("delete_canister", id).kind, "replied");
  }
  assert.ok(subnet.state.consumedCyclesTotal > LARGEST);
});

test("ids of subnets that may still come are nobody's, where any may come", () => {
  const makers = {
    bls: { publicKey: (secret: Uint8Array) => new Uint8Array(96).fill(secret[0] ?? 0) },
    ed25519PublicKeyDer: (secret: Uint8Array) => secret.slice(),
  };
  const madeAt = (id: CanisterId, nodes: number): string => {
    const kinds = [
      { type: "system", feeSize: 13, nodes } as const,
      { type: "application", feeSize: 13, nodes } as const,
    ];
    const [, second] = localNetwork({ seed: new Uint8Array(32), subnets: kinds, local: true, makers });
    assert.ok(second !== undefined);
    const { subnetId, routing, allocation, nodes: there } = second.info;
    const subnet = new TestSubnet({ subnet: { subnetId, routing, allocation, nodes: there } });
    const method = "provisional_create_canister_with_cycles";
    const outcome = subnet.call({ method, arg: createArg({ specifiedId: id }) });
    return outcome.kind === "rejected" ? outcome.message : outcome.kind;
  };
  const { start: taken } = lateAllocation(2);
  assert.match(
    madeAt(taken, 4),
    /belongs to a subnet that may be created later: use one outside of [a-z0-9-]+ to /,
  );
  assert.equal(madeAt(taken, 1), "replied");
  for (const id of [FIRST_CANISTER, canisterIdFromIndex(1n << 50n)]) assert.equal(madeAt(id, 4), "replied");
});
