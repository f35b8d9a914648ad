/** Ingress messages at a node of a subnet of many: a signature is verified once, and never many of them in one turn. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type CborValue,
  canisterIdFromIndex,
  encodeCbor,
  err,
  ok,
  selfAuthenticating,
  toHex,
  utf8,
} from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { EnvelopeReader, ReplicaPool } from "./ingress.ts";

const EXPIRY = 1_700_000_000_000_000_000n;
const PUBLIC_KEY = new Uint8Array(44).fill(3);
const GOOD = new Uint8Array(64).fill(1);
const BAD = new Uint8Array(64).fill(2);
/** Of the test's clock, that one signature takes. */
const SIGNATURE_MS = 1;

function envelope(arg: CborValue, signature = GOOD): Uint8Array {
  const content = {
    request_type: "call",
    sender: selfAuthenticating(PUBLIC_KEY),
    ingress_expiry: EXPIRY,
    canister_id: canisterIdFromIndex(1n),
    method_name: "greet",
    arg,
  };
  return encodeCbor({ content, sender_pubkey: PUBLIC_KEY, sender_sig: signature });
}

/** A reader with its pool; counts signatures, which take time, and how often something was left. */
function node() {
  const counts = { signatures: 0, left: 0 };
  const reader = new EnvelopeReader({
    verifier: {
      verify({ signature }) {
        counts.signatures++;
        return signature[0] === GOOD[0] ? ok(null) : err("Invalid basic signature: of the test");
      },
    },
    verified: (id) => pool.waiting(id),
    nowMs: () => counts.signatures * SIGNATURE_MS,
    onLeft: () => counts.left++,
  });
  const offered: string[] = [];
  const pool: ReplicaPool = new ReplicaPool({
    reader,
    messageBytesMax: 1_000,
    onNew: ({ id }) => offered.push(id),
    onGone: () => {},
  });
  return { reader, pool, counts, offered };
}

const numbered = (count: number): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, i) => envelope(Uint8Array.of(i >> 8, i & 255)));
const insert = ({ pool, reader }: ReturnType<typeof node>, bytes: Uint8Array) =>
  pool.insert({ requestId: utf8(reader.id(bytes)) as never, expiry: EXPIRY, envelope: bytes });

describe("a signature", () => {
  test("of a client's message was verified already, and is not again in a block that brings its own copy", () => {
    const one = node();
    assert.equal(insert(one, envelope(utf8("a"))), "added");
    assert.equal(insert(one, envelope(utf8("a"))), "duplicate");
    assert.ok(one.reader.read(envelope(utf8("a"))).ok);
    assert.equal(one.counts.signatures, 0);
    assert.equal(one.offered.length, 1);
    // The same request with another signature is another message to judge.
    assert.equal(one.reader.read(envelope(utf8("a"), BAD)).ok, false);
    assert.equal(one.counts.signatures, 1);
  });

  test("of a peer's message is verified once, and never for a final block", () => {
    const { reader, pool, counts } = node();
    assert.equal(pool.hear(envelope(utf8("a"))), true);
    assert.equal(pool.hear(envelope(utf8("a"))), true);
    assert.ok(reader.read(envelope(utf8("a"))).ok);
    assert.equal(counts.signatures, 1);
    pool.ordered([envelope(utf8("a")), envelope(utf8("b")), utf8("no envelope")], EXPIRY - 1n);
    assert.equal(counts.signatures, 1);
    assert.equal(pool.size, 0);
    assert.equal(pool.has(reader.id(envelope(utf8("b")))), true);
  });

  test("that is wrong, and what cannot be read, is told", () => {
    const { reader, pool } = node();
    assert.equal(pool.hear(envelope(utf8("a"), BAD)), false);
    assert.equal(pool.hear(utf8("no envelope")), false);
    // A request that has no hash.
    const odd = envelope(utf8("a"));
    assert.equal(pool.hear(envelope(null)), false);
    assert.equal(pool.size, 0);
    assert.equal(reader.head(odd).ok, true);
  });
});

test("a long block is judged in several turns", () => {
  const { reader, counts } = node();
  const block = numbered(35);
  let turns = 0;
  for (let isDone = false; !isDone; turns++) {
    const before = counts.signatures;
    isDone = block.every((each) => reader.judge(each) !== "later");
    assert.ok(counts.signatures - before <= 10, `${counts.signatures - before} in one turn`);
    // Again before the turn is over: nothing more is done.
    if (!isDone) assert.ok(block.some((each) => reader.judge(each) === "later"));
    assert.equal(counts.left, isDone ? turns : turns + 1);
    reader.nextTurn();
  }
  assert.equal(turns, 4);
  assert.equal(counts.signatures, block.length);
});

test("messages that wait are found by their hashes", () => {
  const one = node();
  const { pool } = one;
  const bytes = envelope(utf8("a"));
  insert(one, bytes);
  assert.equal(pool.part(sha256(bytes)), bytes);
  pool.ordered([envelope(utf8("a"))], EXPIRY - 1n);
  assert.equal(pool.part(sha256(bytes)), null, toHex(bytes));
});
