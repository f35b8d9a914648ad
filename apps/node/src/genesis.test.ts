/** The genesis record and what follows from it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CborMap,
  decodeCbor,
  encodeCborBare,
  OrreryError,
  type Principal,
  principalToText,
} from "@orrery/base";
import { createMclBls } from "@orrery/crypto/mcl";
import type { LocalSubnet } from "@orrery/execution/local-network";
import fc from "fast-check";
import {
  decodeGenesis,
  defaultSubnet,
  encodeGenesis,
  type Genesis,
  networkOf,
  SUBNET_KINDS,
  subnetsOf,
} from "./genesis.ts";

const genesis: Genesis = {
  seed: new Uint8Array(32).fill(3),
  time: 1_700_000_000_000_000_000n,
  subnets: networkOf(["application"]),
  profile: "local",
};

test("a record reads back, and no other bytes read as one", () => {
  const bytes = encodeGenesis(genesis);
  assert.deepEqual(decodeGenesis(bytes), genesis);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (other) => {
      assert.throws(
        () => decodeGenesis(other),
        (error: unknown) => error instanceof OrreryError,
      );
    }),
  );
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decodeGenesis(bytes.subarray(0, length)), OrreryError, `${length} bytes`);
  }
  const admins = [Uint8Array.of(4), Uint8Array.of(1, 2, 1)] as Principal[];
  const administered = { ...genesis, subnets: networkOf(["application", "cloud_engine"], admins) };
  assert.deepEqual(decodeGenesis(encodeGenesis(administered)), administered);
  assert.deepEqual(
    administered.subnets.map((subnet) => subnet.admins),
    [undefined, undefined, admins],
  );
  assert.throws(() => networkOf(["application"], admins), { code: "subnet_admins_misplaced" });
  const many = { ...genesis, subnets: networkOf(SUBNET_KINDS) };
  assert.deepEqual(decodeGenesis(encodeGenesis(many)), many);
});

test("a record of a later format is refused as that", () => {
  const later = encodeCborBare({ v: 5, s: genesis.seed });
  assert.throws(() => decodeGenesis(later), { code: "store_newer" });
});

test("subnets of several nodes are kept in the third format, others in the second", async () => {
  const several: Genesis = { ...genesis, subnets: networkOf(["application", "cloud_engine"], [], 4) };
  assert.deepEqual(decodeGenesis(encodeGenesis(several)), { ...several, catchUpInterval: 500 });
  const short = { ...several, catchUpInterval: 20 };
  assert.deepEqual(decodeGenesis(encodeGenesis(short)), short);
  const endless = encodeGenesis({ ...several, catchUpInterval: 2_001 });
  assert.throws(() => decodeGenesis(endless), { code: "genesis_invalid" });
  const version = (of: Genesis): unknown => (decodeCbor(encodeGenesis(of)) as CborMap).get("v");
  assert.deepEqual([version(genesis), version(several)], [2, 3]);
  const bls = await createMclBls();
  const [first, last] = [0, 3].map((self) => subnetsOf(several, bls, self)) as [LocalSubnet[], LocalSubnet[]];
  // All of them know the same subnets; each has its own node's key.
  assert.deepEqual(
    first.map(({ info }) => info),
    last.map(({ info }) => info),
  );
  for (const [subnet, { keys, info }] of last.entries()) {
    assert.equal(info.nodes.length, 4);
    assert.deepEqual(info.nodes[3]?.nodeId, keys.nodeId);
    assert.deepEqual(info.nodes[0]?.nodeId, first[subnet]?.keys.nodeId);
    assert.equal(info.chainKeys, undefined);
  }
});

test("keys follow from the seed and the place alone", async () => {
  const bls = await createMclBls();
  const ids = (of: Genesis): readonly string[] =>
    subnetsOf(of, bls).map(({ keys }) => principalToText(keys.subnetId));
  assert.deepEqual(ids({ ...genesis, time: 1n }), ids(genesis));
  assert.notDeepEqual(ids({ ...genesis, seed: new Uint8Array(32).fill(4) }), ids(genesis));
  assert.equal(new Set(ids({ ...genesis, subnets: networkOf(SUBNET_KINDS) })).size, 5);
});

test("projects go to the first application subnet beside the root", () => {
  assert.equal(defaultSubnet(networkOf(["application"])), 1);
  assert.equal(defaultSubnet(networkOf(["system", "application"])), 2);
  assert.equal(defaultSubnet(networkOf(["system", "verified_application"])), 1);
  assert.equal(defaultSubnet([{ type: "application" }]), 0);
});
