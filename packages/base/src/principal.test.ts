/** Principals: known pairs of bytes and text, the derived forms, and refusals. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareBytes, fromHex, toHex, utf8 } from "./bytes.ts";
import {
  ANONYMOUS,
  canisterIdFromIndex,
  canisterIndex,
  crc32,
  MANAGEMENT_CANISTER,
  PRINCIPAL_BYTES_MAX,
  principalFromBytes,
  principalFromText,
  principalKey,
  principalToText,
  selfAuthenticating,
} from "./principal.ts";

const PAIRS: readonly (readonly [string, string])[] = [
  ["abcd01", "em77e-bvlzu-aq"],
  ["04", "2vxsx-fae"],
  ["", "aaaaa-aa"],
  ["00000000000000070101", "rdmx6-jaaaa-aaaaa-aaadq-cai"],
  ["00000000000000020101", "ryjl3-tyaaa-aaaaa-aaaba-cai"],
];

test("known principals in bytes and text", () => {
  for (const [hex, text] of PAIRS) {
    assert.equal(principalToText(fromHex(hex)), text);
    assert.equal(toHex(principalFromText(text)), hex);
  }
  assert.equal(principalToText(ANONYMOUS), "2vxsx-fae");
  assert.equal(principalToText(MANAGEMENT_CANISTER), "aaaaa-aa");
});

test("every principal survives its text", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: PRINCIPAL_BYTES_MAX }), (bytes) => {
      const text = principalToText(bytes);
      assert.match(text, /^[a-z2-7]{1,5}(-[a-z2-7]{1,5})*$/);
      assert.equal(toHex(principalFromText(text)), toHex(bytes));
    }),
  );
});

test("texts that are not canonical are refused", () => {
  const bad = [
    "",
    "-",
    "2vxsx-fad",
    "2vxsxfae",
    "2vxsx-fae-",
    "2VXSX-FAE",
    "2vxsx--fae",
    "aaaaa",
    "a",
    "rdmx6-jaaaa",
    "2vxsx-fa1",
    " 2vxsx-fae",
    "é",
  ];
  for (const text of bad) assert.throws(() => principalFromText(text), { code: "principal_invalid" }, text);
  const long = principalToText(new Uint8Array(30));
  assert.throws(() => principalFromText(long), { code: "principal_invalid" });
  assert.throws(() => principalFromBytes(new Uint8Array(30)), { code: "principal_invalid" });
  assert.equal(principalFromBytes(new Uint8Array(29)).length, 29);
});

test("one changed character never gives another principal", () => {
  const text = "rdmx6-jaaaa-aaaaa-aaadq-cai";
  for (let i = 0; i < text.length; i++) {
    for (const ch of "abz7-") {
      const changed = text.slice(0, i) + ch + text.slice(i + 1);
      if (changed !== text)
        assert.throws(() => principalFromText(changed), { code: "principal_invalid" }, changed);
    }
  }
});

test("canister ids of indices", () => {
  for (const n of [0n, 1n, 255n, (1n << 64n) - 1n]) assert.equal(canisterIndex(canisterIdFromIndex(n)), n);
  for (const id of [
    ANONYMOUS,
    new Uint8Array(10),
    fromHex("00000000000000010102"),
    fromHex("0000000000000001010101"),
  ]) {
    assert.equal(canisterIndex(id), null);
  }
  const inside = Uint8Array.of(9, ...canisterIdFromIndex(77n)).subarray(1);
  assert.equal(canisterIndex(inside), 77n);
});

test("self-authenticating ids are a SHA-224 and 0x02", () => {
  const id = selfAuthenticating(utf8("abc"));
  assert.equal(toHex(id), "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da702");
});

test("keys order as the bytes do", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 6 }), fc.uint8Array({ maxLength: 6 }), (a, b) => {
      const [x, y] = [principalKey(a), principalKey(b)];
      assert.equal(Math.sign(compareBytes(a, b)), x < y ? -1 : x > y ? 1 : 0);
    }),
  );
});

test("CRC-32 of the check string, whole and in pieces", () => {
  assert.equal(crc32(utf8("123456789")), 0xcbf43926);
  assert.equal(crc32(utf8("6789"), crc32(utf8("12345"))), 0xcbf43926);
  assert.equal(crc32(new Uint8Array(0)), 0);
});
