/** Certified records of streams: known bytes, round trips, strictness, and the tree in step with the streams. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, fromHex, OrreryError, type SubnetId, toHex, utf8 } from "@orrery/base";
import { treeGet, treeHash } from "@orrery/crypto";
import fc from "fast-check";
import { applyTreeChanges, fullTree, streamHeaderPath, updateTree } from "./canonical-state.ts";
import { newState } from "./new-state.ts";
import {
  decodeStreamHeader,
  decodeStreamMessage,
  encodeStreamHeader,
  encodeStreamMessage,
  type StreamHeader,
} from "./streams-codec.ts";
import type { RejectReason, Stream, StreamMessage } from "./types.ts";

const principal = fc.uint8Array({ maxLength: 29 }) as fc.Arbitrary<CanisterId>;
const blob = fc.uint8Array({ maxLength: 300 });
const nat = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n });
const deadline = fc.nat(4_000_000_000).map((seconds) => BigInt(seconds) * 1_000_000_000n);
const callbackId = fc.nat(Number.MAX_SAFE_INTEGER);

const message: fc.Arbitrary<StreamMessage> = fc.oneof(
  fc
    .tuple(principal, principal, callbackId, fc.string(), blob, nat, deadline)
    .map(([callee, from, id, methodName, payload, cycles, due]) => ({
      kind: "request" as const,
      callee,
      input: { kind: "request" as const, from, callbackId: id, methodName, payload, cycles, deadline: due },
    })),
  fc.tuple(principal, principal, callbackId, blob, fc.string(), fc.nat(6), nat, deadline).map(
    ([to, from, id, data, text, code, refund, due]): StreamMessage => ({
      kind: "response",
      to,
      input: {
        kind: "response",
        from,
        callbackId: id,
        payload:
          code === 0
            ? { kind: "reply", data }
            : { kind: "reject", code: code as 1 | 2 | 3 | 4 | 5 | 6, message: text },
        refund,
        ...(due === 0n ? {} : { deadline: due }),
      },
    }),
  ),
  fc.tuple(principal, nat).map(([to, cycles]) => ({ kind: "refund" as const, to, cycles })),
);

const header: fc.Arbitrary<StreamHeader> = fc
  .tuple(
    fc.bigInt({ min: 0n, max: 1n << 60n }),
    fc.nat(20_000),
    fc.bigInt({ min: 50n, max: 1n << 60n }),
    fc.uniqueArray(fc.nat({ max: 49 }), { maxLength: 8 }),
    fc.infiniteStream(
      fc.constantFrom<RejectReason>("canister_migrating", "canister_stopped", "queue_full", "unknown"),
    ),
  )
  .map(([begin, length, signalsEnd, offsets, reasons]) => ({
    begin,
    end: begin + BigInt(length),
    signalsEnd,
    rejectSignals: offsets
      .sort((a, b) => b - a)
      .map((offset) => ({
        reason: reasons.next().value as RejectReason,
        index: signalsEnd - 1n - BigInt(offset),
      })),
  }));

const canister = (n: number): CanisterId => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, n, 1, 1) as CanisterId;

test("known records have the bytes of packed structs", () => {
  const signals = [
    { reason: "canister_not_found" as const, index: 3n },
    { reason: "canister_not_found" as const, index: 5n },
    { reason: "unknown" as const, index: 6n },
  ];
  const plain = { begin: 1n, end: 300n, signalsEnd: 8n, rejectSignals: [] };
  assert.equal(toHex(encodeStreamHeader(plain)), "a300010119012c0208");
  assert.equal(
    toHex(encodeStreamHeader({ ...plain, rejectSignals: signals })),
    // Field 5: not found (1) at distances 2 and 3, unknown (6) at 2; the deprecated field 3 and the flags (4) are left out.
    "a400010119012c020805a2018202030681" + "02",
  );
  const refund = { kind: "refund" as const, to: canister(7), cycles: 1n << 64n };
  assert.equal(toHex(encodeStreamMessage(refund)), "a102a2004a0000000000000007010101a200000101");
  const request = {
    kind: "request" as const,
    callee: canister(1),
    input: {
      kind: "request" as const,
      from: canister(2),
      callbackId: 24,
      methodName: "go",
      payload: Uint8Array.of(9),
      cycles: 5n,
      deadline: 1_000_000_000n,
    },
  };
  assert.equal(
    toHex(encodeStreamMessage(request)),
    "a100a7004a00000000000000010101014a00000000000000020101021818" + "03a100a10005046267" + "6f0541090801",
  );
});

test("headers and messages come back as they were", () => {
  fc.assert(
    fc.property(header, (value) => assert.deepEqual(decodeStreamHeader(encodeStreamHeader(value)), value)),
  );
  fc.assert(
    fc.property(message, (value) =>
      assert.deepEqual(decodeStreamMessage(encodeStreamMessage(value).slice()), value),
    ),
  );
});

test("damaged bytes are another record in its one encoding, or refused", () => {
  fc.assert(
    fc.property(fc.oneof(header, message), fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, mask) => {
      const isHeader = "begin" in value;
      const bytes = (isHeader ? encodeStreamHeader(value) : encodeStreamMessage(value)).slice();
      const place = at % bytes.length;
      bytes[place] = (bytes[place] as number) ^ mask;
      try {
        const again = isHeader
          ? encodeStreamHeader(decodeStreamHeader(bytes))
          : encodeStreamMessage(decodeStreamMessage(bytes));
        assert.deepEqual(again, bytes);
      } catch (cause) {
        assert.ok(cause instanceof OrreryError && cause.code === "stream_invalid", String(cause));
      }
    }),
    { numRuns: 2_000 },
  );
  for (const hex of [
    "",
    "a0",
    "a10001",
    "a300010100",
    "a3000201010200",
    "a300180101010200",
    "a40001010102000700",
  ])
    assert.throws(() => decodeStreamHeader(fromHex(hex)), { code: "stream_invalid" }, hex);
});

type Change =
  | { readonly kind: "send"; readonly message: StreamMessage }
  | { readonly kind: "collect"; readonly count: number }
  | { readonly kind: "signal"; readonly rejected: boolean };

const change: fc.Arbitrary<Change> = fc.oneof(
  message.map((sent) => ({ kind: "send" as const, message: sent })),
  fc.nat(3).map((count) => ({ kind: "collect" as const, count })),
  fc.boolean().map((rejected) => ({ kind: "signal" as const, rejected })),
);

function applyChange(stream: Stream, one: Change): void {
  if (one.kind === "send") stream.messages.push(one.message);
  else if (one.kind === "collect") {
    const gone = stream.messages.splice(0, one.count).length;
    stream.begin += BigInt(gone);
  } else {
    if (one.rejected) stream.rejectSignals.push({ reason: "queue_full", index: stream.signalsEnd });
    stream.signalsEnd++;
  }
}

test("the tree follows the streams: stepped, rebuilt and mirrored trees are one", () => {
  const own = utf8("own") as Uint8Array as SubnetId;
  const subnet = {
    subnetId: own,
    type: "application" as const,
    publicKey: new Uint8Array(1),
    rootKey: new Uint8Array(1),
    rootSubnetId: own,
    routing: [],
    allocation: { start: canister(1), end: canister(9) },
    nodes: [],
    feeSize: 13,
    local: true,
  };
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.tuple(fc.constantFrom("aa", "bb"), change), { maxLength: 6 }), { maxLength: 6 }),
      (rounds) => {
        const state = newState({ subnet, time: 1n });
        let mirror = state.tree;
        for (const round of rounds) {
          for (const [key, one] of round) {
            const stream = state.streams.get(key) ?? {
              begin: 0n,
              messages: [],
              messageBytes: 0,
              signalsEnd: 0n,
              rejectSignals: [],
            };
            state.streams.set(key, stream);
            applyChange(stream, one);
            state.changed.streams.add(key);
          }
          mirror = applyTreeChanges(mirror, updateTree(state));
          state.changed.streams.clear();
          assert.deepEqual(treeHash(state.tree), treeHash(fullTree(state)));
          assert.deepEqual(treeHash(mirror), treeHash(state.tree));
        }
        for (const key of state.streams.keys())
          assert.ok(treeGet(state.tree, streamHeaderPath(fromHex(key))) instanceof Uint8Array);
      },
    ),
  );
});
