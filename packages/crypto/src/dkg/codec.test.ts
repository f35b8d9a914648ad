/**
 * Encodings of dealings, configurations and transcripts: what is decoded encodes to the same bytes, anything else is refused without being
 * thrown about, and no changed byte of a dealing passes both decoder and verification.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { type Result, toHex, utf8 } from "@orrery/base";
import fc from "fast-check";
import { BLS_ORDER, bigintToBytes } from "../bls.ts";
import { createMclCurve } from "../bls-mcl.ts";
import type { DkgConfig } from "./config.ts";
import type { Curve } from "./curve.ts";
import { type Dealing, decodeDealing, encodeDealing } from "./dealing.ts";
import { createEncryptionKey, ENCRYPTION_KEY_RECORD_BYTES, verifyEncryptionKey } from "./encryption-key.ts";
import { deal, freshConfig, good, loadAll, membersOf, reshareConfig, seedOf } from "./run.testkit.ts";
import { combineDealings, type Transcript, verifyTranscript } from "./transcript.ts";
import { decodeDkgConfig, decodeTranscript, encodeDkgConfig, encodeTranscript } from "./transcript-codec.ts";
import { verifyDealing } from "./verify.ts";

let curve: Curve;
let config: DkgConfig;
let dealing: Dealing;
let transcript: Transcript;
let resharing: DkgConfig;

before(async () => {
  curve = await createMclCurve();
  const members = membersOf(curve, 2);
  config = { ...freshConfig(members, 2), dealingsNeeded: 2 };
  dealing = deal(curve, config, 0);
  transcript = good(combineDealings(curve, config, [dealing, deal(curve, config, 1)]));
  const shares = loadAll(curve, transcript, members);
  resharing = reshareConfig(transcript, members, 1);
  assert.ok(verifyDealing(curve, resharing, deal(curve, resharing, 1, shares[1])).ok);
});

test("what was encoded decodes to itself", () => {
  assert.deepEqual(good(decodeDealing(encodeDealing(dealing))), dealing);
  for (const one of [config, resharing]) assert.deepEqual(good(decodeDkgConfig(encodeDkgConfig(one))), one);
  const again = good(decodeTranscript(encodeTranscript(transcript)));
  assert.deepEqual(again, transcript);
  assert.ok(verifyTranscript(curve, config, again).ok);
});

test("cut off, continued and empty encodings are refused, wherever the cut is", () => {
  const decoders: readonly (readonly [Uint8Array, (bytes: Uint8Array) => Result<unknown, string>])[] = [
    [encodeDealing(dealing), decodeDealing],
    [encodeDkgConfig(resharing), decodeDkgConfig],
    [encodeTranscript(transcript), decodeTranscript],
  ];
  for (const [bytes, decode] of decoders) {
    for (let cut = 0; cut < bytes.length; cut += cut < 200 ? 1 : 41)
      assert.ok(!decode(bytes.subarray(0, cut)).ok);
    const longer = decode(Uint8Array.of(...bytes, 0));
    assert.ok(!longer.ok);
    assert.match(longer.error, /1 bytes follow the end/);
    assert.ok(!decode(Uint8Array.of(9, ...bytes.subarray(1))).ok, "another version");
  }
});

test("hostile bytes decode to nothing or to what encodes to them", () => {
  const pairs = [
    [decodeDealing, encodeDealing, encodeDealing(dealing)],
    [decodeDkgConfig, encodeDkgConfig, encodeDkgConfig(resharing)],
    [decodeTranscript, encodeTranscript, encodeTranscript(transcript)],
  ] as unknown as readonly (readonly [
    (bytes: Uint8Array) => Result<unknown, string>,
    (value: unknown) => Uint8Array,
    Uint8Array,
  ])[];
  for (const [decode, encode, honest] of pairs) {
    const check = (bytes: Uint8Array): void => {
      const decoded = decode(bytes);
      if (decoded.ok) assert.equal(toHex(encode(decoded.value)), toHex(bytes));
      else assert.match(decoded.error, /malformed/);
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), check), { numRuns: 300 });
    const place = fc.integer({ min: 0, max: honest.length - 1 });
    const early = fc.integer({ min: 0, max: 40 });
    fc.assert(
      fc.property(fc.oneof(early, place), fc.integer({ min: 0, max: 255 }), (at, value) => {
        const changed = honest.slice();
        changed[at] = value;
        check(changed);
      }),
      { numRuns: 300 },
    );
  }
});

test("a dealing with any byte changed is refused by the decoder or by everyone", () => {
  const bytes = encodeDealing(dealing);
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: bytes.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      (at, difference) => {
        const changed = bytes.slice();
        changed[at] = (changed[at] as number) ^ difference;
        const decoded = decodeDealing(changed);
        assert.ok(!decoded.ok || !verifyDealing(curve, config, decoded.value).ok);
      },
    ),
    { numRuns: 40 },
  );
});

test("scalars are below the order, and combinations within their bound", () => {
  const bytes = encodeDealing(dealing);
  const responseAt = bytes.length - 32;
  const above = bytes.slice();
  above.set(bigintToBytes(BLS_ORDER, 32), responseAt);
  const refused = decodeDealing(above);
  assert.ok(!refused.ok);
  assert.match(refused.error, /scalar is not below the order/);
  const shown = bytes.slice();
  shown.set([0, 0, 1], responseAt - 8);
  const large = decodeDealing(shown);
  assert.ok(!large.ok);
  assert.match(large.error, /a shown combination is \d+, not from 0 to/);
});

test("a transcript's dealings have its own sizes", () => {
  const smaller = { ...dealing, coefficients: dealing.coefficients.slice(1) };
  const wrong = decodeTranscript(encodeTranscript({ ...transcript, dealings: [smaller, smaller] }));
  assert.ok(!wrong.ok);
  assert.match(wrong.error, /dealing 0 is of another configuration/);
});

test("an encryption key counts with its proof, for what it was made, unchanged", () => {
  const node = utf8("a node's id");
  const { record, secret } = createEncryptionKey(curve, seedOf("key"), node);
  assert.equal(record.length, ENCRYPTION_KEY_RECORD_BYTES);
  assert.equal(secret.length, 32);
  assert.deepEqual(good(verifyEncryptionKey(curve, record, node)), record.slice(0, 48));
  assert.ok(!verifyEncryptionKey(curve, record, utf8("another's id")).ok);
  const other = createEncryptionKey(curve, seedOf("other"), node).record;
  assert.ok(!verifyEncryptionKey(curve, Uint8Array.of(...record.slice(0, 48), ...other.slice(48)), node).ok);
  assert.ok(!verifyEncryptionKey(curve, record.subarray(1), node).ok);
  assert.ok(!verifyEncryptionKey(curve, Uint8Array.of(...record, 0), node).ok);
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: record.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      (at, bits) => {
        const changed = record.slice();
        changed[at] = (changed[at] as number) ^ bits;
        assert.ok(!verifyEncryptionKey(curve, changed, node).ok);
      },
    ),
    { numRuns: 100 },
  );
  assert.throws(() => createEncryptionKey(curve, new Uint8Array(31), node), { code: "bls_secret_invalid" });
});
