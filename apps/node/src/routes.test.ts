/** Which subnet a request is for, of a network that got another one since it began. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CanisterId,
  canisterIndex,
  type Principal,
  principalToText,
  selfAuthenticating,
  utf8,
} from "@orrery/base";
import { blsToDer, sha256 } from "@orrery/crypto";
import { FIRST_CANISTER, lateAllocation } from "@orrery/execution/local-network";
import { encodeGenesis, networkOf } from "./genesis.ts";
import { nodeOf } from "./registry/registry.testkit.ts";
import { rangesIn, routesOf } from "./routes.ts";

const GENESIS = encodeGenesis({
  seed: sha256(utf8("a network")),
  time: 1n,
  subnets: networkOf(["application"], [], 4),
  catchUpInterval: 500,
  profile: "local",
  founding: [0, 1].map((subnet) => ({
    publicKey: blsToDer(new Uint8Array(96).fill(subnet + 1)),
    nodes: [0, 1, 2, 3].map((operator) => {
      const { publicKey, encryption, signature } = nodeOf(operator, subnet);
      return { publicKey, encryption, signatures: [signature, signature] as const };
    }),
    transcripts: { low: Uint8Array.of(1), high: Uint8Array.of(2) },
  })),
});

test("a created subnet has its canisters from when it is heard of, and nothing else changes", () => {
  const routes = routesOf(GENESIS);
  const at = (id: Principal, kind = "canister"): number =>
    routes.subnetOf({
      url: `/api/v2/${kind}/${principalToText(id)}/read_state`,
      header: () => "localhost",
    } as never);
  const { start, end } = lateAllocation(2);
  const id = selfAuthenticating(blsToDer(new Uint8Array(96).fill(9)));
  assert.deepEqual([routes.subnets, at(start), at(FIRST_CANISTER), at(id, "subnet")], [2, 1, 1, 1]);
  const encoded = (one: CanisterId) => ({ canister_id: Buffer.from(one).toString("base64") });
  const told = { id: principalToText(id), ranges: rangesIn([{ start: encoded(start), end: encoded(end) }]) };
  routes.learn(told);
  routes.learn(told);
  assert.deepEqual([routes.subnets, routes.idOf(2)], [3, told.id]);
  assert.deepEqual([at(start), at(end), at(FIRST_CANISTER), at(id, "subnet")], [2, 2, 1, 2]);
  assert.equal((canisterIndex(end) ?? 0n) - (canisterIndex(start) ?? 0n), 2n ** 20n - 1n);
});
