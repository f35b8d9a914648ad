/** The codec: every message comes back; bytes that are not exactly a message are refused, however they came about. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes } from "@orrery/base";
import fc from "fast-check";
import { FrameReader, frameBytes } from "./framing.ts";
import { BODY_BYTES_MAX, FRAME_BYTES_MAX, LABEL_BYTES_MAX, PARTS_MAX, PIECE_BYTES } from "./limits.ts";
import { CHANNEL } from "./mesh.testkit.ts";
import { encodeParts, PartsWanted, partsOfRequest } from "./parts.ts";
import { decodeStripped, encodeStripped, fillBlock, stripBlock } from "./strip.ts";
import { decodeMessage, encodeMessage, REFUSAL_REASONS, type WireMessage } from "./wire.ts";

const u8 = fc.integer({ min: 0, max: 255 });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const length = fc.integer({ min: 0, max: BODY_BYTES_MAX });
const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });
const slot = { channel: u8, slot: u32, version: fc.maxSafeNat() };

const MESSAGES: fc.Arbitrary<WireMessage> = fc.oneof(
  fc.record({
    kind: fc.constant("update" as const),
    ...slot,
    form: fc.constantFrom("whole" as const, "stripped" as const),
    label: bytes(LABEL_BYTES_MAX),
    content: fc.oneof(
      fc.record({ kind: fc.constant("inline" as const), body: bytes(300) }),
      fc.record({
        kind: fc.constant("advert" as const),
        hash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
        length,
      }),
    ),
  }),
  fc.record({ kind: fc.constant("clear" as const), ...slot }),
  fc.record({
    kind: fc.constant("request" as const),
    number: u32,
    service: u8,
    bytesMax: length,
    body: bytes(200),
  }),
  fc
    .record({ number: u32, total: length, at: fc.nat(), fill: u8 })
    .map(({ number, total, at, fill }): WireMessage => {
      const pieces = Math.max(1, Math.ceil(total / PIECE_BYTES));
      const offset = (at % pieces) * PIECE_BYTES;
      const piece = new Uint8Array(Math.min(PIECE_BYTES, total - offset)).fill(fill);
      return { kind: "piece", number, total, offset, bytes: piece };
    }),
  fc.record({
    kind: fc.constant("refusal" as const),
    number: u32,
    reason: fc.constantFrom(...REFUSAL_REASONS),
  }),
  fc.record({ kind: fc.constant("cancel" as const), number: u32 }),
);

test("messages come back as they were", () => {
  fc.assert(
    fc.property(MESSAGES, (drawn) => {
      const message = structuredClone(drawn);
      const frame = encodeMessage(message);
      assert.ok(frame.length <= FRAME_BYTES_MAX);
      assert.deepEqual(decodeMessage(frame), { ok: true, value: message });
    }),
    { numRuns: 300 },
  );
});

test("changed, cut and lengthened messages are refused, or are another message exactly", () => {
  fc.assert(
    fc.property(MESSAGES, fc.nat(), u8, fc.integer({ min: -3, max: 3 }), (message, at, value, grow) => {
      const whole = encodeMessage(message);
      const frame = new Uint8Array(Math.max(0, whole.length + grow));
      frame.set(whole.subarray(0, frame.length));
      if (frame.length > 0) frame[at % Math.min(frame.length, 40)] = value;
      const decoded = decodeMessage(frame);
      if (decoded.ok) assert.deepEqual(encodeMessage(decoded.value), frame);
    }),
    { numRuns: 1_000 },
  );
});

test("arbitrary bytes never throw", () => {
  fc.assert(
    fc.property(bytes(64), u8, (tail, kind) => {
      const frame = concatBytes(Uint8Array.of(1, kind % 7), tail);
      const decoded = decodeMessage(frame);
      if (decoded.ok) assert.deepEqual(encodeMessage(decoded.value), frame);
    }),
    { numRuns: 2_000 },
  );
});

test("what is wrong with a frame has a name", () => {
  const fault = (...frame: number[]): string => {
    const decoded = decodeMessage(Uint8Array.from(frame));
    return decoded.ok ? "none" : decoded.error;
  };
  assert.equal(fault(), "frame_size");
  assert.equal(fault(2, 5, 0, 0, 0, 0), "wire_version");
  assert.equal(fault(1, 6, 0, 0, 0, 0), "message_kind");
  assert.equal(fault(1, 5, 0, 0, 0), "message_form");
  assert.equal(fault(1, 5, 0, 0, 0, 0), "none");
  const long = decodeMessage(new Uint8Array(FRAME_BYTES_MAX + 1).fill(1));
  assert.deepEqual(long, { ok: false, error: "frame_size" });
});

test("a stream is cut into its frames wherever its chunks end", () => {
  const frames = fc.array(bytes(400), { maxLength: 20 });
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }), (sent, sizes) => {
      const stream = concatBytes(...sent.map(frameBytes));
      const reader = new FrameReader();
      const got: Uint8Array[] = [];
      for (let at = 0, i = 0; at < stream.length; i++) {
        const size = sizes[i % sizes.length] as number;
        assert.ok(reader.push(stream.subarray(at, at + size), (frame) => got.push(frame)));
        at += size;
      }
      assert.deepEqual(got, sent);
      assert.equal(reader.pending, 0);
    }),
  );
});

test("a length beyond the bound ends the stream before anything is kept", () => {
  const reader = new FrameReader();
  const claim = new Uint8Array(4);
  new DataView(claim.buffer).setUint32(0, FRAME_BYTES_MAX + 1);
  assert.equal(
    reader.push(claim, () => assert.fail("there is no frame")),
    false,
  );
});

test("stripped bodies come back, and bad ones are none", () => {
  const parts = [bytesOf(3, 40), bytesOf(4, 0)].map((each, i) => ({ id: bytesOf(i, 32), bytes: each }));
  const body = encodeStripped(bytesOf(1, 10), parts);
  const refs = parts.map(({ id, bytes: each }) => ({ id, length: each.length }));
  assert.deepEqual(decodeStripped(body), { skeleton: bytesOf(1, 10), refs });
  assert.equal(decodeStripped(body, 49), null);
  assert.equal(decodeStripped(body.subarray(0, 73)), null);
  assert.equal(decodeStripped(new Uint8Array(1)), null);
  const tooMany = new Uint8Array(2 + (PARTS_MAX + 1) * 36);
  new DataView(tooMany.buffer).setUint16(0, PARTS_MAX + 1);
  assert.equal(decodeStripped(tooMany), null);
  fc.assert(
    fc.property(bytes(200), (any) => {
      const wanted = PartsWanted.of(any, CHANNEL);
      if (wanted !== null) wanted.take(any);
    }),
  );
});

test("parts that do not fit an answer are left out, and requests for parts name whole hashes", () => {
  assert.deepEqual(
    encodeParts([bytesOf(1, 3), null, bytesOf(2, 9), bytesOf(3, 1)], 20),
    Uint8Array.of(0, 0, 0, 3, 1, 1, 1, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1, 3),
  );
  assert.equal(partsOfRequest(new Uint8Array(64))?.length, 2);
  assert.equal(partsOfRequest(new Uint8Array(33)), null);
  assert.equal(partsOfRequest(new Uint8Array(0)), null);
});

test("a block is its skeleton with its messages", () => {
  const block = {
    version: 1,
    parent: bytesOf(0, 32),
    height: 4,
    rank: 0,
    context: { registryVersion: 1, certifiedHeight: 3, time: 5n },
    payload: { ingress: [bytesOf(1, 5), bytesOf(2, 5)], xnet: [bytesOf(3, 2)] },
  } as const;
  const { skeleton, ingress } = stripBlock(block);
  assert.deepEqual(skeleton.payload, { ingress: [], xnet: [bytesOf(3, 2)] });
  assert.deepEqual(fillBlock(skeleton, ingress), block);
});

function bytesOf(value: number, count: number): Uint8Array {
  return new Uint8Array(count).fill(value);
}
