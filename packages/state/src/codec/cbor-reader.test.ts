/** Reading durable records piece by piece: what is written comes back, and nothing but the one encoding of a value is taken. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCborBare, fromHex } from "@orrery/base";
import fc from "fast-check";
import {
  bigInteger,
  bool,
  type Codec,
  decodeWith,
  encodeWith,
  integer,
  list,
  nullable,
  numberedMap,
  optional,
  record,
  remembered,
  text,
  textMap,
  union,
} from "./codec.ts";

interface Sample {
  readonly name: string;
  readonly count: number;
  readonly big: bigint;
  readonly maybe: string | null;
  readonly late?: boolean;
  readonly entries: Map<string, bigint>;
  readonly numbered: Map<number, { readonly id: number; readonly deep: Shape }>;
}

type Shape = { readonly kind: "dot" } | { readonly kind: "line"; readonly at: number; readonly to: number[] };

const shape = union<Shape>({ dot: {}, line: { at: integer, to: list(integer) } });
const sample = record<Sample>({
  name: text,
  count: integer,
  big: bigInteger,
  maybe: nullable(text),
  late: optional(bool) as Codec<boolean>,
  entries: textMap(bigInteger),
  numbered: numberedMap(record<{ readonly id: number; readonly deep: Shape }>({ id: integer, deep: shape })),
});

const shapes: fc.Arbitrary<Shape> = fc.oneof(
  fc.constant<Shape>({ kind: "dot" }),
  fc
    .tuple(fc.maxSafeInteger(), fc.array(fc.maxSafeInteger()))
    .map(([at, to]) => ({ kind: "line" as const, at, to })),
);
const samples: fc.Arbitrary<Sample> = fc
  .tuple(
    fc.record({ name: fc.string({ unit: "grapheme" }), count: fc.maxSafeInteger() }),
    fc.record({ big: fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), maybe: fc.option(fc.string()) }),
    fc.option(fc.boolean(), { nil: undefined }),
    fc.dictionary(fc.string(), fc.bigInt({ min: 0n, max: 2n ** 70n })),
    fc.uniqueArray(fc.tuple(fc.nat(), shapes), { selector: ([id]) => id }),
  )
  .map(([one, two, late, entries, numbered]) => ({
    ...one,
    ...two,
    ...(late === undefined ? {} : { late }),
    entries: new Map(Object.entries(entries)),
    numbered: new Map(numbered.map(([id, deep]) => [id, { id, deep }])),
  }));

test("what was written is read, and a change of any byte is refused or is another value's one encoding", () => {
  fc.assert(
    fc.property(samples, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, mask) => {
      const encoded = encodeWith(sample, value);
      assert.deepEqual(decodeWith(sample, encoded), value);
      const changed = encoded.slice();
      const place = at % changed.length;
      changed[place] = (changed[place] as number) ^ mask;
      let read: Sample;
      try {
        read = decodeWith(sample, changed);
      } catch (cause) {
        assert.equal((cause as { code?: string }).code, "record_invalid", String(cause));
        return;
      }
      assert.deepEqual(encodeWith(sample, read), changed);
    }),
    { numRuns: 1_000 },
  );
});

test("no other form of a value is taken", () => {
  const refused = (codec: Codec<unknown>, hex: string): void =>
    assert.throws(() => decodeWith(codec, fromHex(hex)), { code: "record_invalid" }, hex);
  for (const hex of ["1801", "190018", "1a00000100", "1b0000000000000100", "1b0020000000000000", "f4", ""])
    refused(integer, hex);
  // Below 2^64 as bytes, a zero in front, a zero with a sign, a third sign.
  for (const hex of ["420001", "4b0000ffffffffffffffff01", "420100", "4a02ffffffffffffffff01", "41ff"])
    refused(bigInteger, hex);
  refused(text, "61ff");
  refused(list(integer), "8201");
  refused(list(integer), "9b7fffffffffffffff");
  refused(textMap(integer), "a2616201616102");
  refused(textMap(integer), "a2616101616102");
  refused(integer, "0102");
  const pair = record<{ readonly a: number; readonly bb: number }>({ a: integer, bb: integer });
  assert.deepEqual(decodeWith(pair, fromHex("a261610162626202")), { a: 1, bb: 2 });
  for (const hex of ["a262626202616101", "a1616101", "a361610162626202616301", "a261610162636302"])
    refused(pair, hex);
  refused(numberedMap(record<{ readonly id: number }>({ id: integer })), "82a162696401a162696401");
  refused(shape, "a1646b696e6465676f6e6521");
  assert.throws(() => decodeWith(shape, encodeCborBare(new Map([["at", 1]]))), { code: "record_invalid" });
});

test("what is remembered is one value for the same bytes, and no other's", () => {
  const item = record<{ readonly name: string }>({ name: text });
  const items = list(remembered(item));
  const [a, b, again] = decodeWith(items, encodeWith(items, [{ name: "a" }, { name: "b" }, { name: "a" }]));
  assert.deepEqual([a, b], [{ name: "a" }, { name: "b" }]);
  assert.equal(again, a);
  for (let i = 0; i < 200; i++) {
    const many = Array.from({ length: 3 }, (_, j) => ({ name: `${i} ${j}` }));
    assert.deepEqual(decodeWith(items, encodeWith(items, many)), many);
  }
});
