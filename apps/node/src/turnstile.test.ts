/** What a turn of the event loop has time for, what waits, and in which order: with a clock and turns of the test's. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Turnstile } from "./turnstile.ts";

describe("the turnstile of requests", () => {
  let nowMs = 0;
  let next: (() => void)[] = [];
  let done: string[] = [];
  let turnstile: Turnstile;

  beforeEach(() => {
    [nowMs, next, done] = [0, [], []];
    turnstile = new Turnstile({ nowMs: () => nowMs, nextTurn: (action) => next.push(action) });
  });

  function ask(name: string, ms: number): string | Promise<string> {
    return turnstile.pass(() => {
      nowMs += ms;
      done.push(name);
      return name;
    });
  }

  function turn(): void {
    const actions = next;
    next = [];
    for (const action of actions) action();
  }

  test("passes what a turn has time for at once, and the rest in the next turns, in order", async () => {
    assert.equal(ask("a", 3), "a");
    assert.equal(ask("b", 3), "b");
    const waiting = ["c", "d", "e", "f"].map((name) => ask(name, 2));
    assert.deepEqual(done, ["a", "b"]);
    turn();
    assert.deepEqual(done, ["a", "b", "c", "d"]);
    // Whoever comes while others wait is behind them.
    waiting.push(ask("g", 2));
    turn();
    turn();
    assert.deepEqual(await Promise.all(waiting), ["c", "d", "e", "f", "g"]);
    assert.deepEqual(done, ["a", "b", "c", "d", "e", "f", "g"]);
  });

  test("has time again in the next turn, and asks for none when nothing happens", () => {
    void ask("a", 100);
    turn();
    assert.equal(ask("b", 1), "b");
    turn();
    turn();
    assert.equal(next.length, 0);
  });

  test("gives errors to whoever asked, and others go on", async () => {
    const failing = (): never => {
      throw new Error("refused");
    };
    assert.throws(() => turnstile.pass(failing), /refused/);
    void ask("a", 9);
    const later = turnstile.pass(failing);
    const after = ask("b", 1);
    turn();
    await assert.rejects(async () => later, /refused/);
    assert.equal(await after, "b");
  });
});
