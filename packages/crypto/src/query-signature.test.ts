/** Node signatures on query answers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CborMap, type CborValue, type NodeId, selfAuthenticating, toHex, utf8 } from "@orrery/base";
import { ed25519Signer, nobleSignatures } from "./curves.ts";
import {
  type QueryResponse,
  queryResponseHash,
  signQueryResponse,
  verifyQueryResponse,
} from "./query-signature.ts";
import { hashOfMap } from "./request-id.ts";
import { createSignatureVerifier } from "./signatures.ts";

const node = ed25519Signer(new Uint8Array(32).fill(8));
const identity = selfAuthenticating(node.publicKeyDer) as Uint8Array as NodeId;
const requestId = new Uint8Array(32).fill(1);
const timestamp = 1_700_000_000_000_000_000n;
const verifier = createSignatureVerifier({ basic: nobleSignatures });

const REPLIED: QueryResponse = { status: "replied", arg: utf8("DIDL") };
const REJECTED: QueryResponse = {
  status: "rejected",
  rejectCode: 5,
  rejectMessage: "no",
  errorCode: "IC0503",
};

test("the hash is that of the map which the specification names", () => {
  const replied: CborMap = new Map<string, CborValue>([
    ["status", "replied"],
    ["reply", { arg: utf8("DIDL") }],
    ["timestamp", timestamp],
    ["request_id", requestId],
  ]);
  assert.equal(
    toHex(queryResponseHash({ response: REPLIED, requestId, timestamp })),
    toHex(hashOfMap(replied)),
  );
  const rejected: CborMap = new Map<string, CborValue>([
    ["status", "rejected"],
    ["reject_code", 5],
    ["reject_message", "no"],
    ["error_code", "IC0503"],
    ["timestamp", timestamp],
    ["request_id", requestId],
  ]);
  assert.equal(
    toHex(queryResponseHash({ response: REJECTED, requestId, timestamp })),
    toHex(hashOfMap(rejected)),
  );
  const plain = new Map(rejected);
  plain.delete("error_code");
  const response: QueryResponse = { status: "rejected", rejectCode: 5, rejectMessage: "no", errorCode: null };
  assert.equal(toHex(queryResponseHash({ response, requestId, timestamp })), toHex(hashOfMap(plain)));
});

test("a node's signature verifies for its answer, request and time only", () => {
  for (const response of [REPLIED, REJECTED]) {
    const nodeSignature = signQueryResponse({ response, requestId, timestamp, node, identity });
    const check = (changed: Partial<Parameters<typeof verifyQueryResponse>[0]>) =>
      verifyQueryResponse({
        response,
        requestId,
        nodeSignature,
        nodeKeyDer: node.publicKeyDer,
        verifier,
        ...changed,
      }).ok;
    assert.ok(check({}));
    assert.ok(!check({ requestId: new Uint8Array(32) }));
    assert.ok(!check({ response: { status: "replied", arg: utf8("other") } }));
    assert.ok(!check({ nodeSignature: { ...nodeSignature, timestamp: timestamp + 1n } }));
    assert.ok(!check({ nodeKeyDer: ed25519Signer(new Uint8Array(32)).publicKeyDer }));
  }
});
