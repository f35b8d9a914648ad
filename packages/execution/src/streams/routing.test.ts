/** The routing table against a search from one end to the other, and the routing of management calls. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { canisterIdFromIndex, canisterIndex, type Principal, principalKey, utf8 } from "@orrery/base";
import type { ChainKeyId, RoutingEntry, SubnetInfo } from "@orrery/state";
import fc from "fast-check";
import { SUBNET } from "../testing/bench.testkit.ts";
import { encode } from "../testing/subnet.testkit.ts";
import { subnetIdOf } from "../testing/subnets.testkit.ts";
import { remoteCallerError, routeManagementCall } from "./management-routing.ts";
import { routerOf } from "./routing.ts";

test("every id is routed to the subnet whose range it is in, and subnets to themselves", () => {
  const cut = fc.uniqueArray(fc.bigInt({ min: 0n, max: 1_000n }), { minLength: 2, maxLength: 20 });
  fc.assert(
    fc.property(
      cut,
      fc.infiniteStream(fc.nat(3)),
      fc.array(fc.bigInt({ min: 0n, max: 1_100n })),
      (cuts, owners, ids) => {
        const sorted = [...cuts].sort((a, b) => (a < b ? -1 : 1));
        const routing: (RoutingEntry & { ranges: RoutingEntry["ranges"][number][] })[] = [0, 1, 2].map(
          (n) => ({
            subnetId: subnetIdOf(n),
            ranges: [],
          }),
        );
        for (const [i, start] of sorted.entries()) {
          const end = (sorted[i + 1] ?? 1_050n) - 1n;
          const range = { start: canisterIdFromIndex(start), end: canisterIdFromIndex(end) };
          routing[owners.next().value as number]?.ranges.push(range);
        }
        const subnet: SubnetInfo = { ...SUBNET, subnetId: subnetIdOf(1), routing };
        for (const index of ids) {
          const holder = routing.find(({ ranges }) =>
            ranges.some(
              ({ start, end }) =>
                (canisterIndex(start) as bigint) <= index && index <= (canisterIndex(end) as bigint),
            ),
          );
          const found = routerOf(subnet).route(canisterIdFromIndex(index));
          assert.deepEqual(found?.subnetId, holder?.subnetId);
          assert.equal(found?.own, holder === undefined ? undefined : holder === routing[1]);
        }
        for (const { subnetId } of routing)
          assert.equal(routerOf(subnet).route(subnetId)?.key, principalKey(subnetId));
        assert.equal(routerOf(subnet).route(Uint8Array.of(4) as Principal), null);
      },
    ),
  );
});

const KEYS: readonly ChainKeyId[] = [
  { kind: "ecdsa", curve: "secp256k1", name: "key_1" },
  { kind: "schnorr", algorithm: "ed25519", name: "key_1" },
  { kind: "vetkd", curve: "bls12_381_g2", name: "key_1" },
];
const range = (n: bigint): RoutingEntry["ranges"][number] => ({
  start: canisterIdFromIndex(100n * n),
  end: canisterIdFromIndex(100n * n + 99n),
});
const OWN: SubnetInfo = {
  ...SUBNET,
  subnetId: subnetIdOf(1),
  rootSubnetId: subnetIdOf(0),
  routing: [
    { subnetId: subnetIdOf(0), type: "system", ranges: [range(0n)] },
    { subnetId: subnetIdOf(1), ranges: [range(1n)] },
    { subnetId: subnetIdOf(2), ranges: [range(2n)], chainKeys: KEYS },
  ],
};

const candid = (id: Principal): CandidPrincipal => CandidPrincipal.fromUint8Array(id);
const withId = (name: string, id: Principal): Uint8Array =>
  encode([IDL.Record({ [name]: IDL.Principal })], [{ [name]: candid(id) }]);
const key = (field: string, kind: string, name: string): Uint8Array =>
  encode(
    [IDL.Record({ key_id: IDL.Record({ [field]: IDL.Variant({ [kind]: IDL.Null }), name: IDL.Text }) })],
    [{ key_id: { [field]: { [kind]: null }, name } }],
  );

test("management calls are routed by canister, subnet or key", () => {
  const to = (method: string, arg: Uint8Array): string => {
    const route = routeManagementCall(OWN, method, arg);
    if (route.kind === "subnet") return principalKey(route.subnetId);
    return route.kind === "own" ? "own" : route.message;
  };
  const other = principalKey(subnetIdOf(2));
  const failed = (method: string, why: string): string =>
    `Unable to route management canister request ${method}: ${why}`;
  const mine = canisterIdFromIndex(105n);
  const theirs = canisterIdFromIndex(205n);
  const nobodys = canisterIdFromIndex(1_000_000n);
  for (const method of [
    "create_canister",
    "raw_rand",
    "http_request",
    "provisional_create_canister_with_cycles",
  ])
    assert.equal(to(method, utf8("anything")), "own", method);
  for (const method of [
    "canister_status",
    "update_settings",
    "install_code",
    "deposit_cycles",
    "canister_info",
  ]) {
    assert.equal(to(method, withId("canister_id", mine)), "own", method);
    assert.equal(to(method, withId("canister_id", theirs)), other, method);
  }
  assert.equal(to("install_chunked_code", withId("target_canister", theirs)), other);
  assert.equal(to("subnet_info", withId("subnet_id", subnetIdOf(2))), other);
  assert.equal(to("node_metrics_history", withId("subnet_id", subnetIdOf(1))), "own");
  assert.equal(to("subnet_metrics", withId("subnet_id", subnetIdOf(7))), principalKey(subnetIdOf(7)));
  assert.equal(to("sign_with_ecdsa", key("curve", "secp256k1", "key_1")), other);
  assert.equal(to("schnorr_public_key", key("algorithm", "ed25519", "key_1")), other);
  assert.equal(to("vetkd_derive_key", key("curve", "bls12_381_g2", "key_1")), other);
  const holder = { ...OWN, chainKeys: KEYS };
  assert.deepEqual(routeManagementCall(holder, "sign_with_ecdsa", key("curve", "secp256k1", "key_1")), {
    kind: "own",
  });
  assert.equal(
    to("sign_with_schnorr", key("algorithm", "bip340secp256k1", "key_1")),
    failed(
      "sign_with_schnorr",
      'ChainKeyError("Requested unknown or disabled threshold key: schnorr:Bip340Secp256k1:key_1, existing enabled keys: [ecdsa:Secp256k1:key_1, schnorr:Ed25519:key_1, vetkd:Bls12_381_G2:key_1]")',
    ),
  );
  assert.equal(
    to("ecdsa_public_key", key("curve", "secp256k1", "none")).slice(0, 100),
    failed("ecdsa_public_key", 'ChainKeyError("Requested unknown threshold key: ecdsa').slice(0, 100),
  );
  assert.equal(to("nothing", utf8("")), failed("nothing", 'MethodNotFound("nothing")'));
  assert.equal(
    to("stop_canister", withId("canister_id", nobodys)),
    failed("stop_canister", `SubnetNotFound(CanisterId(${candid(nobodys).toText()}), DepositCycles)`),
  );
  assert.equal(
    to("uninstall_code", withId("canister_id", nobodys)),
    failed("uninstall_code", `SubnetNotFound(CanisterId(${candid(nobodys).toText()}), UninstallCode)`),
  );
});

test("only the root subnet's canisters may call what is for a subnet's own", () => {
  const error = (sender: bigint, method: string): number | null =>
    remoteCallerError(OWN, canisterIdFromIndex(sender), method)?.code ?? null;
  assert.equal(error(205n, "create_canister"), 504);
  assert.equal(error(205n, "raw_rand"), 504);
  assert.equal(error(205n, "http_request"), 504);
  assert.equal(error(205n, "canister_status"), null);
  assert.equal(error(105n, "create_canister"), null);
  assert.equal(error(5n, "create_canister"), null);
});
