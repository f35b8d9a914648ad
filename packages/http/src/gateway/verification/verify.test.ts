/** What the published verifier cannot judge, and the words that refusals come with. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { canisterIdFromIndex } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { rememberSignatures } from "../remembered-signatures.ts";
import {
  CANISTER,
  type CertifyOptions,
  certifyResponse,
  NOW,
  type TestRequest,
  type TestResponse,
} from "./certify.testkit.ts";
import { type Case, ourVerdict } from "./cross-check.testkit.ts";

let bls: Bls;
before(async () => {
  bls = await createMclBls();
});

const request: TestRequest = { method: "GET", url: "/a/b", headers: [], body: new Uint8Array(0) };
const response: TestResponse = { status: 200, headers: [["etag", "1"]], body: Buffer.from("page") };

function certified(more: Partial<CertifyOptions> = {}): Case {
  const options: CertifyOptions = {
    bls,
    request,
    response,
    certification: { request: null, response: { kind: "excluded", headers: [] } },
    path: ["http_expr", "a", "b", "<$>"],
    ...more,
  };
  return {
    request,
    response: certifyResponse(options),
    canisterId: options.canisterId ?? CANISTER,
    now: NOW,
  };
}

function reasonOf(judged: Case): string {
  const verdict = ourVerdict(bls, judged);
  return verdict.trusted ? "trusted" : verdict.reason;
}

test("delegations with ranges in shards count for the canisters in them", () => {
  assert.equal(reasonOf(certified({ signed: "sharded" })), "trusted");
  const outside = certified({ signed: "sharded", canisterId: canisterIdFromIndex(21n) });
  assert.match(reasonOf(outside), /not in the ranges of subnet/);
});

describe("a refusal says what is wrong", () => {
  const rows: readonly [string, (good: Case) => Case, RegExp][] = [
    ["no certificate", (good) => ({ ...good, response }), /no IC-Certificate header/],
    [
      "another body",
      (good) => ({ ...good, response: { ...good.response, body: Buffer.from("x") } }),
      /not those certified/,
    ],
    [
      "another path",
      (good) => ({ ...good, request: { ...request, url: "/a/c" } }),
      /expression path .* is not that of the request/,
    ],
    ["an old certificate", (good) => ({ ...good, now: NOW + 301_000_000_000n }), /certificate's time/],
    ["another canister", (good) => ({ ...good, canisterId: canisterIdFromIndex(16n) }), /certified data/],
    ["a URL that is none", (good) => ({ ...good, request: { ...request, url: "a b" } }), /URL is malformed/],
    [
      "a more specific path",
      () => certified({ path: ["http_expr", "a", "<*>"], others: [["http_expr", "a", "b", "<*>"]] }),
      /more specific \["http_expr","a","b","<\*>"\]/,
    ],
    [
      "a part that may hide a more specific path",
      () =>
        certified({
          path: ["http_expr", "<*>"],
          others: [
            ["http_expr", "a", "<*>"],
            ["http_expr", "b", "<*>"],
          ],
          shown: [],
        }),
      /may have the more specific/,
    ],
  ];
  for (const [name, change, reason] of rows) {
    test(name, () => {
      const good = certified();
      assert.equal(reasonOf(good), "trusted");
      assert.match(reasonOf(change(good)), reason);
    });
  }
});

test("a signature is verified once, and one that is not good every time", () => {
  let verified = 0;
  const counting: Bls = {
    ...bls,
    verify(...call) {
      verified++;
      return bls.verify(...call);
    },
  };
  const remembering = rememberSignatures(counting);
  const secret = new Uint8Array(32).fill(1);
  const key = bls.publicKey(secret);
  const message = Buffer.from("message");
  const signature = bls.sign(secret, message);
  for (let i = 0; i < 3; i++) assert.ok(remembering.verify(key, message, signature));
  assert.equal(verified, 1);
  for (let i = 0; i < 2; i++) assert.ok(!remembering.verify(key, Buffer.from("massage"), signature));
  assert.equal(verified, 3);
});
