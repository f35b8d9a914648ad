/** The CBOR codec: published vectors, an independent decoder as oracle, and hostile input. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "cborg";
import fc from "fast-check";
import { concatBytes, fromHex, toHex } from "./bytes.ts";
import {
  CBOR_DEPTH_MAX,
  type CborValue,
  decodeCbor,
  encodeCbor,
  encodeCborBare,
  hasSelfDescribeTag,
} from "./cbor.ts";

/** RFC 8949, Appendix A, as far as the protocol uses CBOR. */
const VECTORS: readonly (readonly [string, CborValue])[] = [
  ["00", 0],
  ["17", 23],
  ["1818", 24],
  ["1903e8", 1000],
  ["1a000f4240", 1_000_000],
  ["1b000000e8d4a51000", 1_000_000_000_000],
  ["1bffffffffffffffff", 18446744073709551615n],
  ["3bffffffffffffffff", -18446744073709551616n],
  ["20", -1],
  ["3903e7", -1000],
  ["f4", false],
  ["f5", true],
  ["f6", null],
  ["40", new Uint8Array(0)],
  ["4401020304", Uint8Array.of(1, 2, 3, 4)],
  ["60", ""],
  ["6449455446", "IETF"],
  ["62c3bc", "ü"],
  ["63e6b0b4", "水"],
  ["64f0908591", "𐅑"],
  ["80", []],
  ["8301820203820405", [1, [2, 3], [4, 5]]],
  ["a0", new Map()],
  [
    "a26161016162820203",
    new Map<string, CborValue>([
      ["a", 1],
      ["b", [2, 3]],
    ]),
  ],
];

test("the vectors of RFC 8949 decode and encode", () => {
  for (const [hex, value] of VECTORS) {
    assert.deepEqual(decodeCbor(fromHex(hex)), value, hex);
    assert.equal(toHex(encodeCborBare(value)), hex);
  }
  assert.equal(decodeCbor(fromHex("c249010000000000000000")), 18446744073709551616n);
  assert.equal(decodeCbor(fromHex("c240")), 0n);
  assert.equal(decodeCbor(fromHex(`c25820${"ff".repeat(32)}`)), (1n << 256n) - 1n);
  assert.equal(decodeCbor(fromHex("f7")), undefined);
});

test("lengths and numbers in more bytes than needed are read", () => {
  for (const hex of ["1805", "190005", "1a00000005", "1b0000000000000005"])
    assert.equal(decodeCbor(fromHex(hex)), 5);
  assert.equal(decodeCbor(fromHex("1b0020000000000000")), 9007199254740992n);
  assert.equal(decodeCbor(fromHex("1b001fffffffffffff")), Number.MAX_SAFE_INTEGER);
  assert.equal(decodeCbor(fromHex("3b001fffffffffffff")), -9007199254740992n);
});

const REFUSED: readonly (readonly [string, string])[] = [
  ["nothing", ""],
  ["trailing bytes", "0000"],
  ["a truncated number", "1a0000"],
  ["a truncated string", "4401"],
  ["a truncated array", "8201"],
  ["a truncated map", "a16161"],
  ["a tag of nothing", "d9d9f7"],
  ["an indefinite byte string", "5f4101ff"],
  ["an indefinite text", "7f6161ff"],
  ["an indefinite array", "9f01ff"],
  ["an indefinite map", "bf616101ff"],
  ["a lone break", "ff"],
  ["a reserved length", "1c"],
  ["a duplicate key", "a2616101616102"],
  ["a duplicate key in a longer form", "a261610178016102"],
  ["a byte string key", "a1416101"],
  ["an integer key", "a10102"],
  ["text that is not UTF-8", "62c328"],
  ["long text that is not UTF-8", `7828${"c328".repeat(20)}`],
  ["an unpaired surrogate", "63eda080"],
  ["a key that is not UTF-8", "a161ff01"],
  ["a half float", "f93c00"],
  ["a float", "fa3f800000"],
  ["a double", "fb3ff0000000000000"],
  ["not a number", "f97e00"],
  ["infinity", "f97c00"],
  ["an unknown simple value", "f0"],
  ["a two-byte simple value", "f8ff"],
  ["a date", "c074323031332d30332d32315432303a30343a30305a"],
  ["an epoch", "c11a514b67b0"],
  ["a negative big number", "c349010000000000000000"],
  ["a big number of text", "c26161"],
  ["a big number of a big number", "c2c24101"],
  ["a big number over 32 bytes", `c25821${"00".repeat(33)}`],
  ["an array of 2^64 - 1", "9bffffffffffffffff"],
  ["a map of 2^64 - 1", "bbffffffffffffffff"],
  ["a string of 2^64 - 1", "5bffffffffffffffff"],
  ["a text of 2^32", "7b0000000100000000"],
  ["an array longer than the input", "9a0000ffff0000"],
];

test("what the protocol does not use is refused", () => {
  for (const [what, hex] of REFUSED)
    assert.throws(() => decodeCbor(fromHex(hex)), { code: "cbor_invalid" }, what);
});

test("byte order marks and every other character survive", () => {
  const round = (text: string): void => assert.equal(decodeCbor(encodeCborBare(text)), text);
  for (const length of [0, 1, 31, 32, 33, 500]) round(`\ufeff${"a".repeat(length)}`);
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 60 }), round));
});

test("nesting is bounded, whatever it is made of, and the stack holds", () => {
  const nest = (hex: string, times: number): Uint8Array => fromHex(hex.repeat(times));
  const end = Uint8Array.of(0);
  for (const hex of ["81", "a16161", "d9d9f7"]) {
    assert.doesNotThrow(() => decodeCbor(concatBytes(nest(hex, CBOR_DEPTH_MAX - 1), end)), hex);
    for (const times of [CBOR_DEPTH_MAX, 5_000, 300_000]) {
      assert.throws(
        () => decodeCbor(concatBytes(nest(hex, times), end)),
        { code: "cbor_invalid" },
        `${hex} × ${times}`,
      );
    }
  }
  assert.throws(() => decodeCbor(nest("c2", 300_000)), { code: "cbor_invalid" });
});

test("a decoded byte string is a copy, also of a host's subclass", () => {
  for (const input of [fromHex("4101"), Buffer.from("4101", "hex")]) {
    const decoded = decodeCbor(input);
    input[1] = 9;
    assert.deepEqual(decoded, Uint8Array.of(1));
    assert.equal((decoded as Uint8Array).constructor, Uint8Array);
  }
  assert.equal(encodeCborBare([1]).constructor, Uint8Array);
});

test("shared memory can be decoded", () => {
  const bytes = encodeCborBare({ key: "ü".repeat(40) });
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  assert.deepEqual(decodeCbor(shared), new Map([["key", "ü".repeat(40)]]));
});

test("the tag is written, recognised and skipped", () => {
  const tagged = encodeCbor({ a: 1 });
  assert.equal(toHex(tagged), "d9d9f7a1616101");
  assert.ok(hasSelfDescribeTag(tagged));
  assert.ok(!hasSelfDescribeTag(encodeCborBare({ a: 1 })));
  assert.deepEqual(decodeCbor(tagged), new Map([["a", 1]]));
});

test("encoding is deterministic: keys sorted, undefined fields dropped, null kept", () => {
  assert.equal(
    toHex(encodeCborBare({ b: 1, aa: 2, a: 3, u: undefined, n: null })),
    "a461610361620161" + "6ef662616102",
  );
  assert.equal(
    toHex(
      encodeCborBare(
        new Map([
          ["b", 1],
          ["a", 2],
        ]),
      ),
    ),
    toHex(encodeCborBare({ a: 2, b: 1 })),
  );
});

test("numbers that would lose their value are not encoded", () => {
  for (const value of [1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 1n << 64n, -(1n << 64n) - 1n]) {
    assert.throws(() => encodeCborBare([value]), { code: "cbor_invalid" }, `${value}`);
  }
});

const value: fc.Arbitrary<CborValue> = fc.letrec<{ value: CborValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.boolean(),
    fc.constant(null),
    fc.maxSafeInteger(),
    fc.bigInt({ min: 1n << 53n, max: (1n << 64n) - 1n }),
    fc.bigInt({ min: -(1n << 64n), max: -(1n << 53n) }),
    fc.string({ unit: "grapheme", maxLength: 40 }),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie("value"), { maxLength: 5 }),
    fc
      .array(fc.tuple(fc.string({ maxLength: 4 }), tie("value")), { maxLength: 5 })
      .map((entries) => new Map(entries)),
  ),
})).value;

/** Equality that ignores the order of map keys. */
function normal(item: CborValue): CborValue {
  if (Array.isArray(item)) return item.map(normal);
  if (!(item instanceof Map)) return item;
  return new Map([...item].sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, normal(v)]));
}

/** The same without leading byte order marks, which the oracle drops. */
function unmarked(item: CborValue): CborValue {
  if (typeof item === "string") return item.replace(/^\ufeff/, "");
  if (Array.isArray(item)) return item.map(unmarked);
  if (!(item instanceof Map)) return item;
  return normal(new Map([...item].map(([k, v]) => [unmarked(k) as string, unmarked(v)])));
}

test("values survive encoding", () => {
  fc.assert(
    fc.property(value, (item) => assert.deepEqual(normal(decodeCbor(encodeCbor(item))), normal(item))),
  );
});

test("random bytes and damaged encodings give a value or cbor_invalid, which the oracle shares", () => {
  const attempt = (bytes: Uint8Array): void => {
    let mine: CborValue;
    try {
      mine = decodeCbor(bytes);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "cbor_invalid");
      return;
    }
    const tags = {
      55799: (inner: () => unknown) => inner(),
      2: (inner: () => unknown) => BigInt(`0x0${toHex(inner() as Uint8Array)}`),
    };
    const theirs = decode(bytes, { useMaps: true, tags: tags as never }) as CborValue;
    assert.deepEqual(unmarked(mine), unmarked(theirs));
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 24 }), attempt), { numRuns: 2_000 });
  fc.assert(
    fc.property(value, fc.nat(), fc.nat(255), (item, at, byte) => {
      const bytes = encodeCbor(item);
      bytes[at % bytes.length] = byte;
      attempt(bytes);
    }),
    { numRuns: 1_000 },
  );
});
