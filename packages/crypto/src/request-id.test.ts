/** Representation-independent hashes: the specification's vectors and properties. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CborMap, type CborValue, decodeCbor, encodeCbor, fromHex, toHex, utf8 } from "@orrery/base";
import fc from "fast-check";
import { sha256 } from "./hashes.ts";
import { hashOfMap, requestId } from "./request-id.ts";

const REQUEST: CborMap = new Map<string, CborValue>([
  ["request_type", "call"],
  ["sender", Uint8Array.of(4)],
  ["ingress_expiry", 1685570400000000000n],
  ["canister_id", fromHex("00000000000004d2")],
  ["method_name", "hello"],
  ["arg", fromHex("4449444c00fd2a")],
]);
const REQUEST_ID = "1d1091364d6bb8a6c16b203ee75467d59ead468f523eb058880ae8ec80e2b101";

test("the specification's request id", () => {
  assert.equal(toHex(requestId(REQUEST)), REQUEST_ID);
});

test("the id does not depend on the order of fields or on how they were encoded", () => {
  const reversed = new Map([...REQUEST].reverse());
  assert.equal(toHex(requestId(reversed)), REQUEST_ID);
  assert.equal(toHex(requestId(decodeCbor(encodeCbor(REQUEST)) as CborMap)), REQUEST_ID);
});

test("null and undefined fields are absent ones; other fields count", () => {
  assert.equal(toHex(requestId(new Map([...REQUEST, ["nonce", null], ["x", undefined]]))), REQUEST_ID);
  assert.notEqual(toHex(requestId(new Map([...REQUEST, ["unknown", 1]]))), REQUEST_ID);
});

test("a value that a field had before is not mistaken for another one, whatever becomes of its bytes", () => {
  const sender = Uint8Array.of(1, 2, 3);
  const id = (fields: CborMap) => toHex(hashOfMap(fields));
  const fresh = (value: CborValue) => toHex(sha256(sha256(utf8("sender")), value as Uint8Array));
  const expected = (bytes: Uint8Array) => fresh(sha256(bytes));
  assert.equal(id(new Map([["sender", sender]])), expected(sender));
  sender[0] = 9;
  assert.equal(id(new Map([["sender", sender]])), expected(sender));
  for (const value of [
    "",
    "a",
    97,
    97n,
    Uint8Array.of(97),
    new Uint8Array(0),
    "a",
    -97n,
    97n,
  ] as CborValue[]) {
    const bytes = typeof value === "string" ? utf8(value) : value instanceof Uint8Array ? value : null;
    const number = Uint8Array.of(...(Number(value) < 0 ? [0x9f, 0x7f] : [97]));
    for (let i = 0; i < 2; i++) assert.equal(id(new Map([["sender", value]])), expected(bytes ?? number));
  }
});

test("nested maps, arrays and numbers hash as the specification says", () => {
  const arg = fromHex("4449444c0000");
  const nested: CborMap = new Map([["reply", new Map([["arg", arg]])]]);
  const inner = sha256(sha256(utf8("arg")), sha256(arg));
  assert.equal(toHex(hashOfMap(nested)), toHex(sha256(sha256(utf8("reply")), inner)));
  const one = (value: CborValue) => toHex(hashOfMap(new Map([["k", value]])));
  const expected = (value: Uint8Array) => toHex(sha256(sha256(utf8("k")), value));
  assert.equal(one(0), expected(sha256(Uint8Array.of(0))));
  assert.equal(one(624485), expected(sha256(fromHex("e58e26"))));
  assert.equal(one(624485n), expected(sha256(fromHex("e58e26"))));
  assert.equal(one(-123456), expected(sha256(fromHex("c0bb78"))));
  assert.equal(one(["a", Uint8Array.of(1)]), expected(sha256(sha256(utf8("a")), sha256(Uint8Array.of(1)))));
  assert.equal(one([]), expected(sha256()));
  assert.equal(one({ a: 1 }), one(new Map([["a", 1]])));
});

test("values that structured data does not have are refused", () => {
  for (const value of [true, 1.5, Number.NaN, [null], [undefined]] as CborValue[]) {
    assert.throws(() => hashOfMap(new Map([["k", value]])), { code: "request_hash_invalid" });
  }
  let deep: CborValue = [];
  for (let i = 0; i < 500; i++) deep = [deep];
  assert.throws(() => hashOfMap(new Map([["k", deep]])), { code: "request_hash_invalid" });
});

test("as many fields and elements as a message can hold are hashed, in any order", () => {
  const count = 200_000;
  const names = Array.from({ length: count }, (_, i) => [`${i}`, i] as const);
  assert.deepEqual(hashOfMap(new Map(names)), hashOfMap(new Map(names.reverse())));
  assert.equal(hashOfMap(new Map([["k", Array<number>(count).fill(1)]])).length, 32);
  const few = names.slice(0, 16);
  assert.deepEqual(hashOfMap(new Map(few)), hashOfMap(new Map(few.reverse())));
});

test("any change of a field changes the id", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ maxLength: 4 }), fc.uint8Array({ maxLength: 4 })),
      fc.string(),
      (fields, key) => {
        const map: CborMap = new Map(Object.entries(fields));
        const changed = new Map([...map, [key, utf8("something else")]]);
        assert.notEqual(toHex(hashOfMap(map)), toHex(hashOfMap(changed)));
      },
    ),
  );
});
