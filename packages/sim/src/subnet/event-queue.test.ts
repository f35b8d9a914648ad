/** Events come by time, and in the order in which they were planned where times are equal: against a sorted list. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EventQueue } from "./event-queue.ts";

const ORIGIN = 1_800_000_000_000_000_000n;
const MS = 1_000_000;

/** Times after what was taken last, near and far, many of them equal. */
const offsets = fc.array(
  fc.oneof(fc.constantFrom(0, 5 * MS, 250 * MS), fc.nat(3 * MS), fc.nat(90_000 * MS)),
  {
    maxLength: 8,
  },
);

test("takes what a sorted list would", () => {
  fc.assert(
    fc.property(fc.array(offsets, { maxLength: 60 }), (steps) => {
      const queue = new EventQueue<number>(ORIGIN);
      const expected: { readonly at: bigint; readonly event: number }[] = [];
      let [now, planned] = [ORIGIN, 0];
      const take = (until: bigint): void => {
        const first = expected.reduce(
          (a, b) => (b.at < a.at ? b : a),
          expected[0] ?? { at: until + 1n, event: -1 },
        );
        const taken = queue.take(until);
        if (first.at > until) {
          assert.equal(taken, null);
          return;
        }
        assert.deepEqual([taken?.at, taken?.event], [first.at, first.event]);
        expected.splice(expected.indexOf(first), 1);
        now = first.at;
      };
      for (const step of steps) {
        for (const offset of step) {
          const at = now + BigInt(offset);
          queue.plan(at, planned);
          expected.push({ at, event: planned++ });
        }
        take(now + BigInt(100 * MS));
      }
      while (expected.length > 0) take(now + BigInt(100_000 * MS));
      assert.equal(queue.take(now + BigInt(10 ** 15)), null);
    }),
  );
});
