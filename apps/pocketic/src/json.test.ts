import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeJson, type Json, JsonError, parseJson } from "./json.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const parse = (text: string): Json => parseJson(bytes(text));

/** Plain objects and numbers, as the runtime's parser gives them. */
function plain(value: Json): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}

test("integers keep every bit, in both directions", () => {
  for (const integer of [0n, -1n, 2n ** 53n + 1n, 2n ** 64n - 1n, 2n ** 128n - 1n]) {
    assert.equal(parse(String(integer)), integer);
    assert.equal(encodeJson({ nanos: integer }), `{"nanos":${integer}}`);
  }
});

test("everything that the runtime writes is read as the runtime reads it, and the reverse", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
      const text = JSON.stringify(value);
      assert.deepEqual(plain(parse(text)), JSON.parse(text));
      assert.deepEqual(JSON.parse(encodeJson(value as Parameters<typeof encodeJson>[0])), JSON.parse(text));
    }),
    { numRuns: 500 },
  );
});

test("a text is JSON here if and only if it is for the runtime, but for names that occur twice", () => {
  const fragment = fc.constantFrom(
    ..."{}[],:\"\\u0 \n\t-+.eE1290truefalsnd/'a\u0000",
    '"a"',
    "\\u00e9",
    "null",
    "12",
  );
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 12 }), (parts) => {
      const text = parts.join("");
      let expected: unknown;
      let isJson = true;
      try {
        expected = JSON.parse(text);
      } catch {
        isJson = false;
      }
      try {
        const value = plain(parse(text));
        assert.equal(isJson, true, text);
        // As texts, since an integer has no negative zero.
        assert.equal(JSON.stringify(value), JSON.stringify(expected));
      } catch (error) {
        if (!(error instanceof JsonError)) throw error;
        if (isJson) assert.match(error.message, /duplicate field/);
      }
    }),
    { numRuns: 5_000 },
  );
});

test("what is hostile or not meant is refused with its place", () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ["", /ends too early at line 1 column 1/],
    ["{}\n{}", /trailing characters at line 2 column 1/],
    ['{"a":1,"a":2}', /duplicate field `a`/],
    ["[".repeat(100_000), /nested deeper than 64/],
    [`{"a":${"9".repeat(65)}}`, /over 64 characters/],
    ['"\ud800', /does not end/],
    ["01", /trailing characters/],
    ['{"a":\u0001}', /expected a value/],
    ['"\\x"', /unknown escape/],
  ];
  for (const [text, why] of refused) assert.throws(() => parse(text), { message: why }, text.slice(0, 40));
  assert.throws(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22)), /not UTF-8/);
});

test("names of the prototype are names like any other", () => {
  const value = parse('{"__proto__":1,"constructor":{"prototype":2}}') as Record<string, Json>;
  assert.equal(Object.getPrototypeOf(value), null);
  assert.deepEqual(Object.values(value)[0], 1n);
});
