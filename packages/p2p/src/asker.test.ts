/** Requests of a node: one attempt at a time for each, a share of what is under way for each peer, and failures that are remembered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Asker } from "./asker.ts";
import {
  ANSWER_NS,
  ANSWERS_PER_PEER_BYTES_MAX,
  BODY_BYTES_MAX,
  FAILURES_MAX,
  REQUESTS_PER_PEER_MAX,
} from "./limits.ts";
import type { PeerId } from "./types.ts";

const SECOND = 1_000_000_000n;

interface Sent {
  readonly peer: PeerId;
  readonly kind: string;
  readonly number: number;
}

class Asking {
  readonly sent: Sent[] = [];
  readonly asker: Asker = new Asker({
    rng: { bytes: (length) => new Uint8Array(length) },
    send: (peer, message) => {
      assert.ok(message.kind === "request" || message.kind === "cancel");
      this.sent.push({ peer, kind: message.kind, number: message.number });
    },
  });

  add(id: string, sources: readonly PeerId[], bytesMax = 10): void {
    this.asker.add({ id, service: 16, body: new Uint8Array(1), bytesMax, deadline: null }, sources);
  }

  requests(peer: PeerId): number {
    return this.sent.filter((each) => each.peer === peer && each.kind === "request").length;
  }

  answer(peer: PeerId, number: number): string {
    const bytes = Uint8Array.of(1);
    const outcome = this.asker.piece(peer, { kind: "piece", number, total: 1, offset: 0, bytes });
    return outcome.kind === "answer" ? outcome.id : outcome.kind;
  }
}

test("what is under way is not asked a second time when another peer connects", () => {
  const asking = new Asking();
  const { asker } = asking;
  asker.connect("a");
  asking.add("x", ["a", "b"]);
  asker.settle(0n);
  asker.connect("b");
  asker.settle(0n);
  assert.deepEqual([asking.requests("a"), asking.requests("b")], [1, 0]);
  assert.equal(asking.answer("a", 0), "x");
  assert.equal(asker.size, 0);
  // Nothing of it is left at either.
  for (const peer of ["a", "b"]) asker.disconnect(peer);
  asker.settle(ANSWER_NS + SECOND);
  assert.equal(asking.sent.length, 1);
});

test("a peer has a share of its own of what is under way, and what does not fit waits for it alone", () => {
  const asking = new Asking();
  const { asker } = asking;
  for (const peer of ["a", "b"]) asker.connect(peer);
  for (let i = 0; i < REQUESTS_PER_PEER_MAX; i++) asking.add(`large ${i}`, ["a"], BODY_BYTES_MAX);
  asking.add("x", ["a"]);
  asking.add("y", ["b"], BODY_BYTES_MAX);
  asker.settle(0n);
  // The one that passes the share is the last.
  const fitting = Math.ceil(ANSWERS_PER_PEER_BYTES_MAX / BODY_BYTES_MAX);
  assert.deepEqual([asking.requests("a"), asking.requests("b")], [fitting, 1]);
  assert.equal(asking.answer("a", 0), "large 0");
  asker.settle(0n);
  assert.equal(asking.requests("a"), fitting + 1);
});

test("a peer that failed stays so over connections, until it answers or is a member no more", () => {
  const asking = new Asking();
  const { asker } = asking;
  const ask = (name: string): number => {
    const before = asking.requests("a");
    for (let i = 0; i < 4; i++) asking.add(`${name}${i}`, ["a"]);
    asker.settle(3n * ANSWER_NS);
    const asked = asking.requests("a") - before;
    for (let i = 0; i < 4; i++) asker.remove(`${name}${i}`);
    return asked;
  };
  asker.connect("a");
  asking.add("late", ["a"]);
  asker.settle(0n);
  asker.settle(2n * ANSWER_NS);
  asker.remove("late");
  assert.equal(ask("x"), 1);
  asker.disconnect("a");
  asker.connect("a");
  assert.equal(ask("y"), 1);
  asker.disconnect("a");
  asker.forget("a");
  asker.connect("a");
  assert.equal(ask("z"), 4);
  // However often: it has made up for it after some answers.
  for (let i = 0; i < 10 * FAILURES_MAX; i++) {
    asker.disconnect("a");
    asker.connect("a");
    asking.add(`${i}`, ["a"]);
    asker.settle(3n * ANSWER_NS);
    asker.disconnect("a");
    asker.remove(`${i}`);
  }
  asker.connect("a");
  for (let i = 0; i < FAILURES_MAX; i++) {
    asking.add(`answered ${i}`, ["a"]);
    asker.settle(3n * ANSWER_NS);
    assert.equal(asking.answer("a", i), `answered ${i}`);
  }
  assert.equal(ask("u"), 4);
  // Who goes away with questions unanswered has failed as well.
  asking.add("w", ["a"]);
  asker.settle(3n * ANSWER_NS);
  asker.disconnect("a");
  asker.connect("a");
  asker.remove("w");
  assert.equal(ask("v"), 1);
});
