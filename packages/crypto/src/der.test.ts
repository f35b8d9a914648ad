/** DER public keys: real encodings round-trip, and every deviation from the one encoding is refused. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { type CanisterId, canisterIdFromIndex, fromHex, toHex } from "@orrery/base";
import fc from "fast-check";
import {
  BLS_DER_BYTES,
  blsFromDer,
  blsToDer,
  canisterSignatureKeyToDer,
  coseToDer,
  ed25519ToDer,
  PUBLIC_KEY_DER_BYTES_MAX,
  type PublicKey,
  p256ToDer,
  parsePublicKeyDer,
  secp256k1ToDer,
} from "./der.ts";

function parsed(der: Uint8Array): PublicKey {
  const result = parsePublicKeyDer(der);
  assert.ok(result.ok, result.ok ? "" : result.error);
  return result.value;
}

function wrapped(key: PublicKey): Uint8Array {
  switch (key.kind) {
    case "ed25519":
      return ed25519ToDer(key.key);
    case "p256":
      return p256ToDer(key.point);
    case "secp256k1":
      return secp256k1ToDer(key.point);
    case "bls":
      return blsToDer(key.key);
    case "webauthn":
      return coseToDer(key.cose);
    case "canister":
      return canisterSignatureKeyToDer(key.canisterId, key.seed);
  }
}

test("the platform's SubjectPublicKeyInfo is recognised", () => {
  const der = { type: "spki", format: "der" } as const;
  const keys = [
    ["ed25519", generateKeyPairSync("ed25519").publicKey.export(der)],
    ["p256", generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export(der)],
    ["secp256k1", generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey.export(der)],
  ] as const;
  for (const [kind, exported] of keys) {
    const bytes = new Uint8Array(exported);
    const key = parsed(bytes);
    assert.equal(key.kind, kind);
    assert.equal(toHex(wrapped(key)), toHex(bytes));
  }
  for (const other of [
    generateKeyPairSync("x25519").publicKey.export(der),
    generateKeyPairSync("ed448").publicKey.export(der),
    generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey.export(der),
    generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export(der),
  ]) {
    assert.ok(!parsePublicKeyDer(new Uint8Array(other)).ok);
  }
});

test("a COSE key in the replica's wrapping is recognised", () => {
  const der = fromHex(
    "305e300c060a2b0601040183b8430101034e00a5010203262001215820b487d183dc4806058eb31a29bedefd7bcca987b77a381a3684871d" +
      "8449c183942258202a122cc711a80453678c3032de4b6fff2c86342e82d1e7adb617c4165c43ce5e",
  );
  const key = parsed(der);
  assert.ok(key.kind === "webauthn");
  assert.equal(key.cose.length, 77);
  assert.equal(toHex(coseToDer(key.cose)), toHex(der));
});

test("wrapping and unwrapping are inverse at every length form", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.nat(10), fc.integer({ min: 90, max: 140 }), fc.integer({ min: 230, max: 300 })),
      (length) => {
        const cose = parsed(coseToDer(new Uint8Array(length).fill(3)));
        assert.ok(cose.kind === "webauthn" && cose.cose.length === length);
        const id = canisterIdFromIndex(7n);
        const key = parsed(canisterSignatureKeyToDer(id, new Uint8Array(length).fill(4)));
        assert.ok(key.kind === "canister" && key.seed.length === length);
        assert.equal(toHex(key.canisterId), toHex(id));
      },
    ),
  );
});

test("truncated, extended, lengthened and altered keys are refused", () => {
  const good = [
    ed25519ToDer(new Uint8Array(32)),
    p256ToDer(Uint8Array.of(4, ...new Uint8Array(64))),
    secp256k1ToDer(Uint8Array.of(4, ...new Uint8Array(64))),
    blsToDer(new Uint8Array(96)),
    coseToDer(new Uint8Array(77)),
    canisterSignatureKeyToDer(canisterIdFromIndex(1n), new Uint8Array(32)),
  ];
  for (const der of good) {
    assert.ok(parsePublicKeyDer(der).ok);
    const headerLength = der.length - (parsed(der).kind === "webauthn" ? 77 : 32);
    for (let cut = 0; cut < der.length; cut++)
      assert.ok(!parsePublicKeyDer(der.subarray(0, cut)).ok, `cut at ${cut}`);
    assert.ok(!parsePublicKeyDer(Uint8Array.of(...der, 0)).ok);
    for (let at = 0; at < Math.min(headerLength, 20); at++) {
      const bad = der.slice();
      bad[at] = (bad[at] as number) ^ 0x40;
      const result = parsePublicKeyDer(bad);
      assert.ok(!result.ok || result.value.kind !== parsed(der).kind || at >= 19, `byte ${at}`);
    }
  }
  // A length in two bytes where one would do, and a bit string with unused bits.
  assert.ok(!parsePublicKeyDer(fromHex(`30812a300506032b6570032100${"00".repeat(32)}`)).ok);
  assert.ok(!parsePublicKeyDer(fromHex(`302a300506032b6570032101${"00".repeat(32)}`)).ok);
  assert.ok(!parsePublicKeyDer(p256ToDer(Uint8Array.of(2, ...new Uint8Array(64)))).ok);
  assert.ok(!parsePublicKeyDer(new Uint8Array(PUBLIC_KEY_DER_BYTES_MAX + 1)).ok);
});

test("a canister key whose id runs past the end is refused", () => {
  const over = canisterSignatureKeyToDer(canisterIdFromIndex(1n), new Uint8Array(0));
  const bad = over.slice();
  bad[bad.length - 11] = 11;
  assert.ok(!parsePublicKeyDer(bad).ok);
  bad[bad.length - 11] = 30;
  assert.ok(!parsePublicKeyDer(bad).ok);
  const empty = parsed(canisterSignatureKeyToDer(new Uint8Array(0) as CanisterId, new Uint8Array(0)));
  assert.ok(empty.kind === "canister" && empty.seed.length === 0);
});

test("keys of the wrong length are not wrapped", () => {
  assert.throws(() => ed25519ToDer(new Uint8Array(31)), { code: "public_key_invalid" });
  assert.throws(() => p256ToDer(new Uint8Array(33)), { code: "public_key_invalid" });
  assert.throws(() => blsToDer(new Uint8Array(48)), { code: "public_key_invalid" });
  assert.throws(() => coseToDer(new Uint8Array(PUBLIC_KEY_DER_BYTES_MAX + 1)), {
    code: "public_key_invalid",
  });
});

test("BLS keys take 133 bytes and no other scheme passes for one", () => {
  const der = blsToDer(new Uint8Array(96).fill(5));
  assert.equal(der.length, BLS_DER_BYTES);
  const key = blsFromDer(der);
  assert.ok(key.ok && key.value.length === 96);
  assert.ok(!blsFromDer(ed25519ToDer(new Uint8Array(32))).ok);
  assert.ok(!blsFromDer(new Uint8Array(0)).ok);
});

test("random bytes never parse by accident or throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 150 }), (bytes) => assert.ok(!parsePublicKeyDer(bytes).ok)),
  );
});
