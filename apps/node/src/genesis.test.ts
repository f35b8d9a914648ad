/** The genesis record and what follows from it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { OrreryError, principalToText, toHex } from "@orrery/base";
import { createMclBls } from "@orrery/crypto/mcl";
import { ALL_CANISTERS, FIRST_CANISTER } from "@orrery/execution/local-network";
import fc from "fast-check";
import { decodeGenesis, deriveKeys, encodeGenesis, type Genesis, subnetInfo } from "./genesis.ts";

const genesis: Genesis = {
  version: 1,
  seed: new Uint8Array(32).fill(3),
  time: 1_700_000_000_000_000_000n,
  subnetType: "application",
  feeSize: 13,
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
});

test("keys and ids follow from the seed alone", async () => {
  const bls = await createMclBls();
  const keys = deriveKeys(genesis, bls);
  assert.equal(toHex(deriveKeys({ ...genesis, time: 1n }, bls).subnetPublicKey), toHex(keys.subnetPublicKey));
  const other = deriveKeys({ ...genesis, seed: new Uint8Array(32).fill(4) }, bls);
  assert.notEqual(principalToText(other.subnetId), principalToText(keys.subnetId));
  assert.equal(keys.subnetPublicKey.length, 133);
  const info = subnetInfo(genesis, bls);
  assert.deepEqual(info.routing, [{ subnetId: keys.subnetId, ranges: [ALL_CANISTERS] }]);
  assert.equal(principalToText(FIRST_CANISTER), "tqzl2-p7777-77776-aaaaa-cai");
});
