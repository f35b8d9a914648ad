/** Ideal signatures hold for the bytes and the signer that they were made of, whoever shows them, and for nothing else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@orrery/base";
import { IdealKeys } from "./ideal-keys.ts";

const keys = new IdealKeys(1, 4);
const [a, b] = [keys.of(0), keys.of(1)];
const message = utf8("a message");

test("good for its message alone, and for its signer", () => {
  const signature = a.sign(message);
  assert.ok(b.verify(0, message, signature));
  assert.ok(b.verify(0, message.slice(), signature.slice()), "copies are as good");
  assert.ok(!b.verify(1, message, signature));
  assert.ok(!b.verify(0, utf8("another"), signature));
  assert.ok(!b.verify(0, message, a.sign(utf8("another"))));
  assert.ok(!new IdealKeys(2, 4).of(1).verify(0, message, signature), "another run has other keys");
});

test("shares are good for their keys, and make a signature that is good for its message", () => {
  const shares = [0, 1, 2].map((index) => [index, keys.of(index).signShare("high", message)] as const);
  for (const [index, share] of shares) {
    assert.ok(a.verifyShare("high", index, message, share));
    assert.ok(!a.verifyShare("low", index, message, share));
  }
  const whole = a.combine("high", message, shares);
  assert.ok(b.verifyWhole("high", message, whole));
  assert.ok(!b.verifyWhole("low", message, whole) && !b.verifyWhole("high", utf8("another"), whole));
  assert.deepEqual(b.combine("high", message, shares), whole);
  assert.throws(() => a.combine("high", message, shares.slice(1)), /too few shares/);
  const forged = [...shares.slice(1), [3, shares[0]?.[1] ?? message] as const];
  assert.ok(!b.verifyWhole("high", message, a.combine("high", message, forged)));
});
