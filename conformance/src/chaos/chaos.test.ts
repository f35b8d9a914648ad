/** A slice of the chaos, and that its judge notices a cycle too many, a call too few, and a replay that differs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { chaos } from "./chaos.testkit.ts";

for (const seed of [1, 2])
  test(`canisters that call and manage each other at random, seed ${seed}`, () => {
    assert.ok(chaos({ seed, rounds: 40 }).sent > 30);
  });

test("a cycle that comes from nowhere is noticed", () => {
  const plant = (canisters: ReadonlyMap<string, { readonly meta: { cycles: bigint } }>): void => {
    for (const { meta } of canisters.values()) meta.cycles++;
  };
  assert.throws(
    () => chaos({ seed: 4, rounds: 3, after: ({ state }) => plant(state.canisters) }),
    /seed 4, height \d+: cycles came or went/,
  );
});

test("a callback that is lost is noticed", () => {
  assert.throws(
    () =>
      chaos({
        seed: 5,
        rounds: 40,
        after: ({ state }) => {
          for (const { callbacks, running } of state.canisters.values()) {
            const [lost] = callbacks.values();
            if (lost !== undefined && running === null && lost.prepaidExecution > 0n)
              callbacks.delete(lost.id);
          }
        },
      }),
    /cycles came or went|waits for other callbacks/,
  );
});

test("a replay that comes to another state is noticed", () => {
  let rounds = 0;
  assert.throws(
    () =>
      chaos({
        seed: 6,
        rounds: 3,
        after: ({ state }) => {
          const [first] = state.canisters.values();
          if (rounds++ === 1 && first !== undefined) first.meta.version++;
        },
      }),
    /round \d+/,
  );
});
