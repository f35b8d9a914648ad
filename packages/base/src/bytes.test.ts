/** Byte helpers, LEB128 and errors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  compareBytes,
  concatBytes,
  equalBytes,
  fromHex,
  readU64be,
  toHex,
  u64be,
  utf8,
  utf8Decode,
  utf8DecodeLossy,
} from "./bytes.ts";
import { AssertionError, assertNever, assert as check, err, OrreryError, ok } from "./errors.ts";
import { decodeUleb128, encodeSleb128, encodeUleb128 } from "./leb128.ts";

const bytes = fc.uint8Array({ maxLength: 12 });

test("hexadecimal round-trips and is strict", () => {
  fc.assert(fc.property(bytes, (b) => assert.deepEqual(fromHex(toHex(b)), b)));
  assert.deepEqual(fromHex("FFaa"), Uint8Array.of(255, 170));
  for (const text of ["0", "0g", "0x00", " 00", "00 "])
    assert.throws(() => fromHex(text), { code: "hex_invalid" }, text);
});

test("comparison is lexicographic by unsigned byte and agrees with equality", () => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      const order = Math.sign(compareBytes(a, b));
      assert.equal(order, Math.sign(Buffer.compare(a, b)));
      assert.equal(order === 0, equalBytes(a, b));
      assert.equal(order, -Math.sign(compareBytes(b, a)) + 0);
    }),
  );
});

test("concatenation keeps order and copies", () => {
  const a = Uint8Array.of(1, 2);
  const joined = concatBytes(a, new Uint8Array(0), Uint8Array.of(3));
  a[0] = 9;
  assert.deepEqual(joined, Uint8Array.of(1, 2, 3));
  assert.deepEqual(concatBytes(), new Uint8Array(0));
});

test("UTF-8 is strict where asked, and keeps byte order marks", () => {
  assert.equal(utf8Decode(fromHex("efbbbf61")), "\ufeffa");
  assert.equal(utf8Decode(fromHex("c328")), null);
  assert.equal(utf8DecodeLossy(fromHex("c328")), "\ufffd(");
  fc.assert(fc.property(fc.string(), (text) => assert.equal(utf8Decode(utf8(text)), text)));
});

test("64-bit numbers are big endian, at any offset", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (n) => {
      assert.equal(readU64be(u64be(n)), n);
      assert.equal(readU64be(concatBytes(Uint8Array.of(7), u64be(n)).subarray(1)), n);
      assert.equal(readU64be(concatBytes(Uint8Array.of(7), u64be(n)), 1), n);
    }),
  );
  assert.equal(toHex(u64be(1n)), "0000000000000001");
});

test("unsigned LEB128: the specification's examples, round trips, refusals", () => {
  assert.equal(toHex(encodeUleb128(0)), "00");
  assert.equal(toHex(encodeUleb128(624485)), "e58e26");
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), fc.nat(3), (n, offset) => {
      const encoded = concatBytes(new Uint8Array(offset), encodeUleb128(n), Uint8Array.of(0xff));
      assert.deepEqual(decodeUleb128(encoded, offset), { value: n, next: encoded.length - 1 });
    }),
  );
  assert.throws(() => encodeUleb128(-1), { code: "leb128_invalid" });
  for (const hex of ["", "80", "ff".repeat(18), `${"80".repeat(19)}00`]) {
    assert.throws(() => decodeUleb128(fromHex(hex)), { code: "leb128_invalid" }, hex);
  }
});

test("signed LEB128: the specification's examples and the platform's two's complement", () => {
  assert.equal(toHex(encodeSleb128(0)), "00");
  assert.equal(toHex(encodeSleb128(-123456)), "c0bb78");
  assert.equal(toHex(encodeSleb128(63)), "3f");
  assert.equal(toHex(encodeSleb128(64)), "c000");
  assert.equal(toHex(encodeSleb128(-64)), "40");
  assert.equal(toHex(encodeSleb128(-65)), "bf7f");
  fc.assert(
    fc.property(fc.bigInt({ min: -(1n << 100n), max: 1n << 100n }), (n) => {
      const encoded = encodeSleb128(n);
      const { value } = decodeUleb128(encoded);
      assert.equal(BigInt.asIntN(7 * encoded.length, value), n);
    }),
  );
});

test("errors carry code, data and cause; assertions crash with their own kind", () => {
  const cause = new Error("inner");
  const error = new OrreryError("some_code", "text", { data: { n: 1n }, cause });
  assert.equal(error.code, "some_code");
  assert.deepEqual(error.data, { n: 1n });
  assert.equal(error.cause, cause);
  assert.ok(error instanceof Error && error.name === "OrreryError");
  assert.throws(() => check(false, "broken"), AssertionError);
  assert.doesNotThrow(() => check(1, "fine"));
  assert.throws(() => assertNever("x" as never, "kind"), /unhandled kind: "x"/);
  assert.deepEqual(
    [ok(1), err("e")],
    [
      { ok: true, value: 1 },
      { ok: false, error: "e" },
    ],
  );
});
