/** Decoding of envelopes: shapes accepted, shapes refused with a sentence for the client, nothing thrown. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { toHex, utf8 } from "./bytes.ts";
import { type CborValue, encodeCbor, encodeCborBare } from "./cbor.ts";
import { decodeEnvelope, ENVELOPE_ITEMS_MAX, type Envelope } from "./requests.ts";

type Fields = Readonly<Record<string, CborValue>>;

const CALL: Fields = {
  request_type: "call",
  sender: Uint8Array.of(4),
  ingress_expiry: 1_700_000_000_000_000_000n,
  canister_id: Uint8Array.of(1),
  method_name: "greet",
  arg: utf8("DIDL"),
};
const READ: Fields = {
  request_type: "read_state",
  sender: Uint8Array.of(4),
  ingress_expiry: 5,
  paths: [[utf8("time")], []],
};

function decoded(content: CborValue, more: Fields = {}): Envelope {
  const result = decodeEnvelope(encodeCbor({ content, ...more }));
  assert.ok(result.ok, result.ok ? "" : result.error);
  return result.value;
}

function refused(content: CborValue, more: Fields = {}): string {
  const result = decodeEnvelope(encodeCbor({ content, ...more }));
  assert.ok(!result.ok);
  return result.error;
}

test("calls, queries and read_states decode", () => {
  const call = decoded({ ...CALL, nonce: utf8("n"), unknown: 1 });
  assert.ok(call.content.kind === "call");
  assert.equal(call.content.methodName, "greet");
  assert.equal(call.content.ingressExpiry, 1_700_000_000_000_000_000n);
  assert.equal(toHex(call.content.nonce ?? new Uint8Array(0)), toHex(utf8("n")));
  assert.equal(call.content.fields.get("unknown"), 1);
  assert.equal(call.content.senderInfo, null);
  assert.deepEqual([call.senderPubkey, call.senderSig, call.senderDelegation], [null, null, null]);
  assert.equal(decoded({ ...CALL, request_type: "query" }).content.kind, "query");
  const read = decoded(READ);
  assert.ok(read.content.kind === "read_state");
  assert.deepEqual(
    read.content.paths.map((path) => path.length),
    [1, 0],
  );
  assert.equal(read.content.ingressExpiry, 5n);
});

test("an envelope without the tag decodes as well", () => {
  assert.ok(decodeEnvelope(encodeCborBare({ content: CALL })).ok);
});

test("method names in bytes are text if they are UTF-8", () => {
  const call = decoded({ ...CALL, method_name: utf8("greet") });
  assert.ok(call.content.kind === "call" && call.content.methodName === "greet");
  assert.match(refused({ ...CALL, method_name: Uint8Array.of(0xff) }), /`method_name` is not text/);
});

test("authentication decodes, an empty chain is not a missing one", () => {
  const delegation = {
    pubkey: utf8("k"),
    expiration: 7,
    targets: [Uint8Array.of(1)],
    permissions: "all",
    extra: 1,
  };
  const envelope = decoded(CALL, {
    sender_pubkey: utf8("key"),
    sender_sig: utf8("sig"),
    sender_delegation: [{ delegation, signature: utf8("s") }],
  });
  const [link] = envelope.senderDelegation ?? [];
  assert.ok(link !== undefined);
  assert.equal(link.delegation.expiration, 7n);
  assert.equal(link.delegation.permissions, "all");
  assert.equal(link.delegation.targets?.length, 1);
  assert.equal(link.delegation.fields.get("extra"), 1);
  assert.deepEqual(decoded(CALL, { sender_delegation: [] }).senderDelegation, []);
  const info = decoded({
    ...CALL,
    sender_info: { info: utf8("i"), signer: Uint8Array.of(1), sig: utf8("s") },
  });
  assert.ok(info.content.kind === "call" && info.content.senderInfo !== null);
});

test("missing and mistyped fields are named", () => {
  for (const key of Object.keys(CALL))
    assert.equal(refused({ ...CALL, [key]: undefined }), `missing field \`${key}\``);
  assert.equal(refused({ ...READ, paths: null }), "missing field `paths`");
  const wrong: readonly (readonly [Fields, RegExp])[] = [
    [{ sender: "text" }, /`sender` is not a byte string/],
    [{ sender: new Uint8Array(30) }, /`sender` is not a principal: over 29 bytes/],
    [{ canister_id: new Uint8Array(30) }, /`canister_id` is not a principal/],
    [{ ingress_expiry: -1 }, /`ingress_expiry` is outside nat64/],
    [{ ingress_expiry: "soon" }, /`ingress_expiry` is not an integer/],
    [{ request_type: "update" }, /unknown request_type `update`/],
    [{ nonce: "text" }, /`nonce` is not a byte string/],
    [{ arg: [1] }, /`arg` is not a byte string/],
    [{ sender_info: 1 }, /`sender_info` is not a map/],
  ];
  for (const [change, text] of wrong) assert.match(refused({ ...CALL, ...change }), text);
  assert.match(refused({ ...READ, paths: [utf8("time")] }), /`path` is not an array/);
  assert.match(refused({ ...READ, paths: [["time"]] }), /`label` is not a byte string/);
  assert.match(refused(CALL, { sender_delegation: [{}] }), /missing field `delegation`/);
  assert.match(refused(1), /`content` is not a map/);
});

test("what is not an acceptable CBOR map is refused with a sentence", () => {
  for (const bytes of [new Uint8Array(0), Uint8Array.of(0xff), encodeCbor([1]), encodeCbor({})]) {
    const result = decodeEnvelope(bytes);
    assert.ok(!result.ok && result.error.length > 0);
  }
});

test("no input makes the decoder throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) =>
      assert.ok(typeof decodeEnvelope(bytes).ok === "boolean"),
    ),
  );
  const good = encodeCbor({ content: CALL, sender_sig: utf8("s") });
  fc.assert(
    fc.property(fc.nat(), fc.nat(255), (at, byte) => {
      const bytes = good.slice();
      bytes[at % bytes.length] = byte;
      decodeEnvelope(bytes);
    }),
  );
});

test("an envelope of very many values is refused before they are decoded", () => {
  const sizes = [ENVELOPE_ITEMS_MAX, 5_000_000].map((count) => {
    const bytes = new Uint8Array(5 + count).fill(0x40);
    bytes[0] = 0x9a;
    new DataView(bytes.buffer).setUint32(1, count);
    return decodeEnvelope(bytes);
  });
  for (const result of sizes) {
    assert.ok(!result.ok);
    assert.match(result.error, /too many items/);
  }
  const paths = Array.from({ length: 1_000 }, () => Array.from({ length: 45 }, () => utf8("a")));
  assert.ok(decodeEnvelope(encodeCbor({ content: { ...READ, paths } })).ok);
});
