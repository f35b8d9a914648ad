/** Times as text, against the platform's calendar. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { timeToText } from "./time-text.ts";

test("the fraction has no, three, six or nine digits", () => {
  assert.equal(timeToText(0n), "1970-01-01 00:00:00 UTC");
  assert.equal(timeToText(1_620_328_630_000_000_003n), "2021-05-06 19:17:10.000000003 UTC");
  assert.equal(timeToText(1_620_328_630_500_000_000n), "2021-05-06 19:17:10.500 UTC");
  assert.equal(timeToText(1_620_328_630_000_001_000n), "2021-05-06 19:17:10.000001 UTC");
  assert.equal(timeToText((1n << 64n) - 1n), "2554-07-21 23:34:33.709551615 UTC");
});

test("days and clocks agree with the platform's over six centuries", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 18_446_744_073n }), (seconds) => {
      const expected = new Date(Number(seconds) * 1_000).toISOString();
      assert.equal(
        timeToText(seconds * 1_000_000_000n),
        `${expected.slice(0, 10)} ${expected.slice(11, 19)} UTC`,
      );
    }),
  );
});
