/** Account identifiers against published ones and against the Motoko library that the ledger uses. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Principal } from "@icp-sdk/core/principal";

import { accountIdentifier, accountIdentifierHex, subaccountOf } from "./account.ts";

test("the identifiers of well-known accounts", () => {
  const known = [
    ["2vxsx-fae", "1c7a48ba6a562aa9eaa2481a9049cdf0433b9738c992d698c31d8abf89cadc79"],
    ["rrkah-fqaaa-aaaaa-aaaaq-cai", "082ecf2e3f647ac600f43f38a68342fba5b8e68b085f02592b77f39808a8d2b5"],
  ] as const;
  for (const [owner, identifier] of known) {
    assert.equal(accountIdentifierHex(Principal.fromText(owner)), identifier, owner);
  }
});

test("an absent subaccount is the one of zeros, others differ, other lengths are refused", () => {
  const owner = Principal.anonymous();
  assert.deepEqual(accountIdentifier(owner), accountIdentifier(owner, new Uint8Array(32)));
  assert.notDeepEqual(accountIdentifier(owner), accountIdentifier(owner, new Uint8Array(32).fill(1)));
  assert.throws(() => accountIdentifier(owner, new Uint8Array(31)), /32 bytes long, got 31/);
});

test("a principal's subaccount is its length, its bytes and zeros", () => {
  const bytes = subaccountOf(Principal.fromText("rkp4c-7iaaa-aaaaa-aaaca-cai"));
  assert.equal(bytes.length, 32);
  assert.deepEqual([...bytes.subarray(0, 11)], [10, 0, 0, 0, 0, 0, 0, 0, 4, 1, 1]);
  assert.ok(bytes.subarray(11).every((byte) => byte === 0));
});
