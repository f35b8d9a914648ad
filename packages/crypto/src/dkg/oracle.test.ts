/** Hashing of proofs: RFC 9380's vectors of `expand_message_xmd`, the library's own implementation, and one encoding for one input. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { expand_message_xmd } from "@noble/curves/abstract/hash-to-curve.js";
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";
import { fromHex, toHex, utf8 } from "@orrery/base";
import fc from "fast-check";
import { BLS_ORDER } from "../bls.ts";
import { createMclCurve } from "../bls-mcl.ts";
import type { Curve } from "./curve.ts";
import { nobleCurve } from "./curve-noble.ts";
import {
  challengeBytes,
  digest,
  expandMessage,
  hashToPoint,
  hashToScalar,
  powers,
  weights,
} from "./oracle.ts";

let mcl: Curve;
before(async () => {
  mcl = await createMclCurve();
});

test("expand_message_xmd has the vectors of RFC 9380, appendix K.1", () => {
  const dst = utf8("QUUX-V01-CS02-with-expander-SHA256-128");
  for (const [message, output] of [
    ["", "68a985b87eb6b46952128911f2a4412bbc302a9d759667f87f7a21d803f07235"],
    ["abc", "d8ccab23b5985ccea865c6c97b6e5b8350e794e603b4b97902f53a8a0d605615"],
    ["abcdef0123456789", "eff31487c770a893cfb36f912fbfcbff40d5661771ca4b2cb4eafe524333f5c1"],
  ] as const)
    assert.equal(toHex(expandMessage(utf8(message), dst, 32)), output);
});

test("expand_message_xmd is the library's, for every length and tag", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ minLength: 1, maxLength: 255 }),
      fc.integer({ min: 1, max: 8_160 }),
      (message, dst, length) => {
        const expected = expand_message_xmd(message, dst, length, nobleSha256);
        assert.equal(toHex(expandMessage(message, dst, length)), toHex(expected));
      },
    ),
    { numRuns: 50 },
  );
  for (const [length, dst] of [
    [8_161, 10],
    [32, 256],
  ] as const)
    assert.throws(() => expandMessage(utf8(""), new Uint8Array(dst), length), {
      code: "domain_separator_invalid",
    });
});

test("points hashed under a tag of one's own are the same on both back ends, and RFC 9380's under its tag", () => {
  // Appendix J.9.1, suite BLS12381G1_XMD:SHA-256_SSWU_RO_, the empty message.
  const dst = utf8("QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_");
  const x =
    "052926add2207b76ca4fa57a8734416c8dc95e24501772c814278700eed6d1e4e8cf62d9c09db0fac349612b759e79a1";
  for (const curve of [mcl, nobleCurve]) {
    const encoded = curve.g1.encode(curve.hashToG1(new Uint8Array(0), dst));
    encoded[0] = (encoded[0] as number) & 0x1f;
    assert.equal(toHex(encoded), x);
  }
  for (const field of [new Uint8Array(0), utf8("field"), new Uint8Array(1_000)]) {
    const [a, b] = [mcl, nobleCurve].map((curve) =>
      toHex(curve.g1.encode(hashToPoint(curve, "test", field))),
    );
    assert.equal(a, b);
  }
});

test("no two inputs have one hash: fields, lists and domains are told apart", () => {
  const [a, b] = [utf8("a"), utf8("b")];
  const hashes = [
    digest("d", a, b),
    digest("d", utf8("ab")),
    digest("d", [a, b]),
    digest("d", [a], b),
    digest("d", [a], [b]),
    digest("d", a, b, []),
    digest("d", []),
    digest("d", new Uint8Array(0)),
    digest("d"),
    digest("e", a, b),
  ].map(toHex);
  assert.equal(new Set(hashes).size, hashes.length);
  assert.notEqual(hashToScalar("d", a), hashToScalar("e", a));
});

test("scalars, weights and powers are within the order; challenges depend on seed and place", () => {
  for (let i = 0; i < 50; i++) assert.ok(hashToScalar("d", Uint8Array.of(i)) < BLS_ORDER);
  const all = weights(fromHex("00".repeat(32)), 100);
  assert.equal(new Set(all).size, 100);
  assert.ok(all.every((weight) => weight > 0n && weight <= 1n << 128n));
  assert.deepEqual(powers(3n, 4), [3n, 9n, 27n, 81n]);
  assert.ok(powers(BLS_ORDER - 1n, 3).every((power) => power < BLS_ORDER));
  const bytes = challengeBytes("d", new Uint8Array(32), 1_000);
  assert.equal(bytes.length, 1_000);
  assert.deepEqual(challengeBytes("d", new Uint8Array(32), 100), bytes.slice(0, 100));
  assert.notDeepEqual(challengeBytes("e", new Uint8Array(32), 100), bytes.slice(0, 100));
});
