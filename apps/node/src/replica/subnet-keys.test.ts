/** Keys of a subnet's nodes: each signs for itself, enough of them for the subnet, and fewer for nobody. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@orrery/base";
import { type KeySet, quorumOf, randomnessThreshold } from "@orrery/consensus/member";
import { type Bls, blsFromDer } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { type Genesis, networkOf, subnetsOf } from "../genesis.ts";
import { keysFromSeed, type SubnetKeys } from "./subnet-keys.ts";

const NODES = 4;
const MESSAGE = utf8("a message");
const genesis: Genesis = {
  seed: new Uint8Array(32).fill(3),
  time: 1n,
  subnets: networkOf(["application"], [], NODES),
  profile: "local",
};

function keysOf(bls: Bls, self: number): SubnetKeys {
  const local = subnetsOf(genesis, bls, self)[1];
  assert.ok(local !== undefined);
  return keysFromSeed({ bls, seed: genesis.seed, subnet: 1, local, self });
}

test("as many shares as it takes are the subnet's signature, whichever they are; fewer are none", async () => {
  const bls = await createMclBls();
  const nodes = Array.from({ length: NODES }, (_, self) => keysOf(bls, self).crypto);
  const [one] = nodes;
  assert.ok(one !== undefined);
  for (const [set, needed] of [
    ["low", randomnessThreshold(NODES)],
    ["high", quorumOf(NODES)],
  ] as const satisfies readonly (readonly [KeySet, number])[]) {
    const shares = nodes.map((crypto, self) => [self, crypto.signShare(set, MESSAGE)] as const);
    for (const [self, share] of shares) {
      assert.ok(one.verifyShare(set, self, MESSAGE, share));
      assert.ok(!one.verifyShare(set, (self + 1) % NODES, MESSAGE, share));
    }
    const first = one.combine(set, MESSAGE, shares.slice(0, needed));
    const last = one.combine(set, MESSAGE, shares.slice(NODES - needed));
    assert.deepEqual(first, last);
    assert.ok(one.verifyWhole(set, MESSAGE, first));
    assert.ok(!one.verifyWhole(set, MESSAGE, one.combine(set, MESSAGE, shares.slice(0, needed - 1))));
    assert.ok(!one.verifyWhole(set === "low" ? "high" : "low", MESSAGE, first));
  }
});

test("the subnet's own key is the one that clients know", async () => {
  const bls = await createMclBls();
  const local = subnetsOf(genesis, bls, 2)[1];
  const key = blsFromDer(local?.info.publicKey ?? new Uint8Array(0));
  const shares = [0, 1, 3].map(
    (self) => [self, keysOf(bls, self).crypto.signShare("high", MESSAGE)] as const,
  );
  const signature = keysOf(bls, 2).crypto.combine("high", MESSAGE, shares);
  assert.ok(key.ok && bls.verify(key.value, MESSAGE, signature));
});

test("a node's signature is its own", async () => {
  const bls = await createMclBls();
  const signature = keysOf(bls, 2).crypto.sign(MESSAGE);
  const { crypto } = keysOf(bls, 0);
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((signer) => crypto.verify(signer, MESSAGE, signature)),
    [false, false, true, false, false],
  );
});
