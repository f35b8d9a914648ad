import assert from "node:assert/strict";
import { test } from "node:test";
import type { CanisterId } from "@orrery/base";
import fc from "fast-check";
import type {
  HttpHeader,
  Outcall,
  OutcallMethod,
  PendingManagementCall,
  SchnorrAlgorithm,
} from "../pending.ts";
import { decodeWith, encodeWith } from "./codec.ts";
import { outcall, pendingManagementCall } from "./pending.ts";

const plain = { noNullPrototype: true } as const;
const blob = fc.uint8Array({ maxLength: 40 });
const cycles = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n });
const text = fc.string({ maxLength: 12, unit: "grapheme" });
const caller = {
  from: fc.uint8Array({ maxLength: 29 }) as fc.Arbitrary<Uint8Array & CanisterId>,
  callbackId: fc.nat(),
  refund: cycles,
};
const inRound = { ...caller, height: fc.nat() };

const pending: fc.Arbitrary<PendingManagementCall> = fc.oneof(
  fc.record({ kind: fc.constant("raw_rand" as const), ...inRound }, plain),
  fc.record(
    {
      kind: fc.constant("sign_with_ecdsa" as const),
      ...inRound,
      keyName: text,
      path: fc.array(blob),
      messageHash: blob,
    },
    plain,
  ),
  fc.record(
    {
      kind: fc.constant("sign_with_schnorr" as const),
      ...inRound,
      algorithm: fc.constantFrom<SchnorrAlgorithm>("bip340secp256k1", "ed25519"),
      keyName: text,
      path: fc.array(blob),
      message: blob,
      merkleRoot: fc.option(blob),
    },
    plain,
  ),
  fc.record(
    {
      kind: fc.constant("vetkd_derive_key" as const),
      ...inRound,
      keyName: text,
      context: blob,
      input: blob,
      transportPublicKey: blob,
    },
    plain,
  ),
);

const outcalls: fc.Arbitrary<Outcall> = fc.record(
  {
    ...caller,
    id: fc.nat(),
    time: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    url: text,
    method: fc.constantFrom<OutcallMethod>("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"),
    headers: fc.array(fc.record<HttpHeader>({ name: text, value: text }, plain)),
    body: fc.option(blob),
    maxResponseBytes: fc.option(fc.nat()),
    transform: fc.option(fc.record({ method: text, context: blob }, plain)),
    replicated: fc.boolean(),
    allowance: fc.option(cycles),
  },
  plain,
);

test("calls that wait for an answer come back as they were", () => {
  fc.assert(
    fc.property(pending, (call) => {
      assert.deepEqual(decodeWith(pendingManagementCall, encodeWith(pendingManagementCall, call)), call);
    }),
  );
  fc.assert(
    fc.property(outcalls, (call) => {
      assert.deepEqual(decodeWith(outcall, encodeWith(outcall, call)), call);
    }),
  );
});
