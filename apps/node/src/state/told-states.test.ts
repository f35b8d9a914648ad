/** Which of the states that peers ask for are made, and for how long. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HELD_MS_MAX, TAKEN_MS, ToldStates } from "./told-states.ts";

const hashOf = (height: number): Uint8Array => new Uint8Array(32).fill(height);
const NOTHING: readonly Uint8Array[] = [];

/** A node whose own states are those of the packages, but for those in `others`. */
function node(others: readonly number[] = []) {
  const opened: number[] = [];
  const closed: number[] = [];
  let nowMs = 0;
  const states = new ToldStates({
    open: ({ height }) => {
      opened.push(height);
      return {
        stateHash: others.includes(height) ? new Uint8Array(32) : hashOf(height),
        tell: () => [Uint8Array.of(height)],
        close: () => void closed.push(height),
      };
    },
    nowMs: () => nowMs,
  });
  const ask = (height: number, newest = height, stateHash = hashOf(height)): readonly Uint8Array[] =>
    states.tell({
      kind: "tell",
      subnet: 1,
      height,
      stateHash,
      newest: newest === 0 ? null : { height: newest, stateHash: hashOf(newest) },
      ask: { part: "head", places: [] },
    });
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { opened, closed, ask, pass };
}

test("a state is made once for all who take it, and makes room for a newer one when nobody takes it any more", () => {
  const { opened, closed, ask, pass } = node();
  for (let i = 0; i < 3; i++) assert.deepEqual(ask(10), [Uint8Array.of(10)]);
  assert.deepEqual(ask(20), NOTHING);
  assert.deepEqual(ask(10, 20), [Uint8Array.of(10)]);
  pass(TAKEN_MS);
  assert.deepEqual(ask(20), [Uint8Array.of(20)]);
  assert.deepEqual(ask(10, 20), NOTHING);
  assert.deepEqual([opened, closed], [[10, 20], [10]]);
});

test("a peer that asks again and again keeps no newer state from the others", () => {
  const { ask, pass } = node();
  ask(10);
  for (let ms = 0; ms < HELD_MS_MAX; ms += TAKEN_MS / 2) {
    assert.deepEqual(ask(20), NOTHING);
    pass(TAKEN_MS / 2);
    assert.deepEqual(ask(10, 20), [Uint8Array.of(10)]);
  }
  assert.deepEqual(ask(20), [Uint8Array.of(20)]);
  assert.deepEqual(ask(10, 20), NOTHING);
});

test("nothing is run again for a state that no package has", () => {
  const { opened, ask } = node();
  assert.deepEqual(ask(10, 10, hashOf(11)), NOTHING);
  assert.deepEqual(ask(10, 20), NOTHING);
  assert.deepEqual(ask(10, 0), NOTHING);
  assert.deepEqual(opened, []);
});

test("where this node's state is another one, its blocks run again once", () => {
  const { opened, closed, ask } = node([10]);
  for (let i = 0; i < 3; i++) assert.deepEqual(ask(10), NOTHING);
  assert.deepEqual([opened, closed], [[10], [10]]);
  assert.deepEqual(ask(20), [Uint8Array.of(20)]);
});
