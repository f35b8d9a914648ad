/**
 * The fast BLS back end against the pure oracle: same bytes, same verdicts, on good and on hostile points.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { bls12_381 } from "@noble/curves/bls12-381.js";
import { fromHex, toHex, utf8 } from "@orrery/base";
import fc from "fast-check";
import { BLS_ORDER, type Bls, bigintFromBytes, bigintToBytes, secretFromSeed } from "./bls.ts";
import { createMclBls } from "./bls-mcl.ts";
import { nobleBls } from "./curves.ts";
import { createSoleSigner, createThresholdSigner } from "./threshold.ts";

let mcl: Bls;
before(async () => {
  mcl = await createMclBls();
});

const seed = fc.uint8Array({ minLength: 32, maxLength: 32 });
const message = fc.uint8Array({ maxLength: 80 });

test("keys and signatures are byte-equal and verify crosswise", () => {
  fc.assert(
    fc.property(seed, message, (bytes, text) => {
      const secret = secretFromSeed(bytes);
      const key = mcl.publicKey(secret);
      assert.equal(toHex(key), toHex(nobleBls.publicKey(secret)));
      const signature = mcl.sign(secret, text);
      assert.equal(toHex(signature), toHex(nobleBls.sign(secret, text)));
      assert.ok(mcl.verify(key, text, signature));
      assert.ok(nobleBls.verify(key, text, signature));
      assert.ok(!mcl.verify(key, Uint8Array.of(...text, 0), signature));
    }),
    { numRuns: 10 },
  );
});

/** A point of the curve under G1, in compressed form, outside the prime-order subgroup. */
function outsideG1(): Uint8Array {
  const { Fp } = bls12_381.fields;
  for (let x = 1n; ; x++) {
    const square = Fp.add(Fp.mul(Fp.mul(x, x), x), 4n);
    let y: bigint;
    try {
      y = Fp.sqrt(square);
    } catch {
      continue;
    }
    const point = bls12_381.G1.Point.fromAffine({ x, y });
    if (point.isTorsionFree()) continue;
    const bytes = bigintToBytes(x, 48);
    bytes[0] = (bytes[0] as number) | 0x80;
    return bytes;
  }
}

test("infinity, points outside the subgroup, wrong lengths and wrong encodings are refused by both", () => {
  const secret = secretFromSeed(new Uint8Array(32));
  const text = utf8("text");
  const key = nobleBls.publicKey(secret);
  const good = nobleBls.sign(secret, text);
  const infinity = (length: number) => Uint8Array.of(0xc0, ...new Uint8Array(length - 1));
  const field =
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab";
  const overField = fromHex(field);
  overField[0] = (overField[0] as number) | 0x80;
  const uncompressed = good.slice();
  uncompressed[0] = (uncompressed[0] as number) & 0x7f;
  const badSignatures = [
    infinity(48),
    outsideG1(),
    overField,
    uncompressed,
    new Uint8Array(48),
    new Uint8Array(48).fill(0xff),
    good.subarray(0, 47),
    Uint8Array.of(...good, 0),
    new Uint8Array(0),
  ];
  const badKeys = [
    infinity(96),
    new Uint8Array(96),
    key.subarray(0, 95),
    Uint8Array.of(...key, 0),
    new Uint8Array(96).fill(0xff),
  ];
  for (const bls of [mcl, nobleBls]) {
    assert.ok(bls.verify(key, text, good));
    for (const [i, signature] of badSignatures.entries())
      assert.ok(!bls.verify(key, text, signature), `signature ${i}`);
    for (const [i, badKey] of badKeys.entries()) assert.ok(!bls.verify(badKey, text, good), `key ${i}`);
    for (const signature of badSignatures) {
      assert.throws(() => bls.combine([{ index: 1, signature }]), { code: "bls_shares_invalid" });
    }
  }
});

test("flipped bits are refused by both alike", () => {
  const secret = secretFromSeed(new Uint8Array(32).fill(9));
  const text = utf8("text");
  const key = mcl.publicKey(secret);
  const good = mcl.sign(secret, text);
  for (let bit = 0; bit < 384; bit += 61) {
    const bad = good.slice();
    bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
    assert.ok(!mcl.verify(key, text, bad) && !nobleBls.verify(key, text, bad), `bit ${bit}`);
  }
});

test("more keys than the cache holds still verify", () => {
  const text = utf8("text");
  const first = secretFromSeed(new Uint8Array(32).fill(200));
  const signers = Array.from({ length: 80 }, (_, i) => secretFromSeed(new Uint8Array(32).fill(i)));
  for (const secret of [first, ...signers, first]) {
    assert.ok(mcl.verify(mcl.publicKey(secret), text, mcl.sign(secret, text)));
  }
});

test("a message beyond the library's stack is refused, never signed wrongly", () => {
  const secret = secretFromSeed(new Uint8Array(32).fill(5));
  const long = new Uint8Array(65_537).fill(1);
  assert.throws(() => mcl.sign(secret, long), { code: "bls_message_too_long" });
  assert.ok(!mcl.verify(mcl.publicKey(secret), long, nobleBls.sign(secret, long)));
  const longest = long.subarray(1);
  assert.ok(nobleBls.verify(mcl.publicKey(secret), longest, mcl.sign(secret, longest)));
});

test("secrets outside the group order are refused", () => {
  for (const bls of [mcl, nobleBls]) {
    for (const secret of [new Uint8Array(32), new Uint8Array(31).fill(1), bigintToBytes(BLS_ORDER, 32)]) {
      assert.throws(() => bls.publicKey(secret), { code: "bls_secret_invalid" });
      assert.throws(() => bls.sign(secret, utf8("x")), { code: "bls_secret_invalid" });
    }
  }
  assert.throws(() => secretFromSeed(new Uint8Array(31)), { code: "bls_secret_invalid" });
});

/** Value at `index` of the polynomial with the given coefficients, lowest first. */
function share(coefficients: readonly Uint8Array[], index: number): Uint8Array {
  const value = coefficients.reduceRight(
    (sum, c) => (sum * BigInt(index) + bigintFromBytes(c)) % BLS_ORDER,
    0n,
  );
  return bigintToBytes(value, 32);
}

test("any three of five shares give the signature of the shared secret, two do not", () => {
  const coefficients = [1, 2, 3].map((i) => secretFromSeed(new Uint8Array(32).fill(i)));
  const text = utf8("a block");
  const expected = toHex(nobleBls.sign(coefficients[0] as Uint8Array, text));
  for (const bls of [mcl, nobleBls]) {
    const publicKey = bls.publicKey(coefficients[0] as Uint8Array);
    const signers = [1, 2, 3, 4, 5].map((index) =>
      createThresholdSigner({ bls, publicKey, threshold: 3, index, secretShare: share(coefficients, index) }),
    );
    const shares = signers.map((signer) => signer.signShare(text));
    const [first] = signers;
    assert.ok(first !== undefined);
    for (const picked of [
      [0, 1, 2],
      [4, 2, 0],
      [1, 3, 4],
    ]) {
      const combined = first.combine(picked.map((i) => shares[i] as NonNullable<(typeof shares)[0]>));
      assert.ok(combined.ok);
      assert.equal(toHex(combined.value), expected);
      assert.ok(first.verify(text, combined.value));
    }
    assert.ok(!first.combine(shares.slice(0, 2)).ok);
    assert.notEqual(toHex(bls.combine(shares.slice(0, 2))), expected);
    assert.throws(() => bls.combine([]), { code: "bls_shares_invalid" });
    const [one, two] = shares as [(typeof shares)[0], (typeof shares)[0]];
    assert.throws(() => bls.combine([one, { ...two, index: one.index }]), { code: "bls_shares_invalid" });
    assert.throws(() => bls.combine([{ ...one, index: 0 }]), { code: "bls_shares_invalid" });
    assert.ok(
      !createThresholdSigner({
        bls,
        publicKey,
        threshold: 1,
        index: 1,
        secretShare: share(coefficients, 1),
      }).combine([{ ...one, index: 0 }]).ok,
    );
  }
});

test("a subnet of one signs through the same code", () => {
  const secret = secretFromSeed(new Uint8Array(32).fill(4));
  const signer = createSoleSigner({ bls: mcl, secret });
  const text = utf8("state");
  const combined = signer.combine([signer.signShare(text)]);
  assert.ok(combined.ok);
  assert.equal(signer.signShare(text).index, 1);
  assert.equal(toHex(combined.value), toHex(mcl.sign(secret, text)));
  assert.ok(signer.verify(text, combined.value));
  assert.ok(!signer.combine([]).ok);
  // A share from elsewhere is checked.
  const { index, signature } = signer.signShare(text);
  const foreign = signer.combine([{ index, signature }]);
  assert.ok(foreign.ok && toHex(foreign.value) === toHex(combined.value));
  assert.ok(!signer.combine([{ index, signature: signature.map((byte) => byte ^ 1) }]).ok);
});

test("shares that cancel each other make no signature, and what was made long ago verifies like what came from elsewhere", () => {
  const secret = secretFromSeed(new Uint8Array(32).fill(7));
  const twice = bigintToBytes((2n * bigintFromBytes(secret)) % BLS_ORDER, 32);
  const text = utf8("nothing");
  const signed = [secret, twice].map((each, i) => ({ index: i + 1, signature: mcl.sign(each, text) }));
  // At zero the line through (1, s) and (2, 2 s) is 0: the point at infinity, which is nobody's signature.
  const nothing = mcl.combine(signed);
  assert.equal(toHex(nothing), toHex(nobleBls.combine(signed)));
  for (const bls of [mcl, nobleBls]) {
    assert.ok(!bls.verify(bls.publicKey(secret), text, nothing));
    assert.throws(() => bls.combine([{ index: 1, signature: nothing }]), { code: "bls_shares_invalid" });
  }
  const { signature } = signed[0] as (typeof signed)[0];
  for (let i = 0; i < 40; i++) mcl.sign(secret, Uint8Array.of(i));
  assert.ok(mcl.verify(mcl.publicKey(secret), text, signature));
  assert.ok(!mcl.verify(mcl.publicKey(twice), text, signature));
});
