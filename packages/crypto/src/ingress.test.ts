/** The envelope validator: every rule of "Authentication" but delegations, each with the replica's text. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ANONYMOUS,
  concatBytes,
  type Envelope,
  ok,
  principalToText,
  type Result,
  selfAuthenticating,
  toHex,
  utf8,
} from "@orrery/base";
import { p256Signer, secp256k1Signer } from "./curves.ts";
import { canisterSignatureKeyToDer } from "./der.ts";
import { domainSep } from "./hashes.ts";
import {
  accept,
  CANISTER,
  content,
  delegate,
  envelope,
  type Fields,
  KINDS,
  type Kind,
  key,
  mapOf,
  NOW,
  OTHER,
  refusal,
  SECOND,
  self,
  sign,
  signed,
  USER,
} from "./ingress.testkit.ts";
import { type InvalidRequest, type ValidRequest, validateEnvelope } from "./ingress.ts";
import { requestId } from "./request-id.ts";
import type { Signer } from "./signatures.ts";

test("anonymous requests need no signature and may carry none", () => {
  for (const kind of KINDS) {
    const fields = content(kind, ANONYMOUS);
    const valid = accept(envelope(fields));
    assert.equal(toHex(valid.requestId), toHex(requestId(mapOf(fields))));
    assert.equal(valid.targets, null);
    for (const auth of [
      { sender_pubkey: USER.publicKeyDer, sender_sig: sign(fields, USER) },
      { sender_pubkey: USER.publicKeyDer },
      { sender_sig: sign(fields, USER) },
      { sender_delegation: [] },
    ]) {
      assert.deepEqual(refusal(envelope(fields, auth)), {
        code: "anonymous_signature",
        text: "Signature is not allowed for the anonymous user.",
      });
    }
  }
});

test("signed requests of every plain scheme pass", () => {
  for (const signer of [
    USER,
    p256Signer(new Uint8Array(32).fill(2)),
    secp256k1Signer(new Uint8Array(32).fill(3)),
  ]) {
    for (const kind of KINDS) {
      const valid = accept(signed(content(kind, self(signer)), signer));
      assert.equal(toHex(valid.sender), toHex(self(signer)));
    }
  }
});

test("missing signatures, foreign keys and wrong signatures are refused", () => {
  const fields = content("call", self(USER));
  const user = principalToText(self(USER));
  for (const auth of [{}, { sender_pubkey: USER.publicKeyDer }, { sender_sig: sign(fields, USER) }]) {
    assert.deepEqual(refusal(envelope(fields, auth)), {
      code: "signature_missing",
      text: `Missing signature from user: ${user}`,
    });
  }
  assert.deepEqual(refusal(signed(fields, key(9))), {
    code: "sender_key_mismatch",
    text: `The user id '${user}' does not match the public key '${toHex(key(9).publicKeyDer)}'`,
  });
  const wrong = refusal(signed(fields, USER, { sender_sig: new Uint8Array(64) }));
  assert.equal(wrong.code, "signature_invalid");
  assert.match(
    wrong.text,
    /^Invalid signature: Invalid basic signature: Ed25519 signature could not be verified: public key /,
  );
  const unknownKey = utf8("not a key");
  const strange = content("call", selfAuthenticating(unknownKey));
  const refused = refusal(envelope(strange, { sender_pubkey: unknownKey, sender_sig: new Uint8Array(64) }));
  assert.match(refused.text, /^Invalid signature: Invalid public key: /);
});

test("any change of the content after signing is refused, unknown fields included", () => {
  const fields = content("call", self(USER));
  const sender_sig = sign(fields, USER);
  for (const change of [
    { arg: utf8("x") },
    { method_name: "y" },
    { nonce: utf8("z") },
    { unknown: 1 },
    { canister_id: OTHER },
  ]) {
    assert.equal(refusal(signed({ ...fields, ...change }, USER, { sender_sig })).code, "signature_invalid");
  }
});

test("the expiry window is inclusive, and anonymous reads are exempt", () => {
  const max = NOW + 330n * SECOND;
  const at = (ingress_expiry: bigint, kind: Kind, sender: Signer | null) =>
    sender === null
      ? envelope(content(kind, ANONYMOUS, { ingress_expiry }))
      : signed(content(kind, self(sender), { ingress_expiry }), sender);
  for (const kind of KINDS) {
    for (const sender of [USER, null]) {
      accept(at(NOW, kind, sender));
      accept(at(max, kind, sender));
      for (const expiry of [NOW - 1n, max + 1n, 0n, (1n << 64n) - 1n]) {
        if (sender === null && kind !== "call") accept(at(expiry, kind, sender));
        else
          assert.equal(refusal(at(expiry, kind, sender)).code, "request_expiry_invalid", `${kind} ${expiry}`);
      }
    }
  }
  assert.equal(
    refusal(at(0n, "call", null)).text,
    "Invalid request expiry: Specified ingress_expiry not within expected range: " +
      "Minimum allowed expiry: 2023-11-14 22:13:20 UTC, Maximum allowed expiry: 2023-11-14 22:18:50 UTC, " +
      "Provided expiry:        1970-01-01 00:00:00 UTC",
  );
});

test("limits on nonces, paths and labels", () => {
  accept(envelope(content("call", ANONYMOUS, { nonce: new Uint8Array(32) })));
  assert.deepEqual(refusal(envelope(content("call", ANONYMOUS, { nonce: new Uint8Array(33) }))), {
    code: "nonce_too_big",
    text: "Nonce in request is too big: got 33 bytes, but at most 32 are allowed.",
  });
  const paths = (count: number, labels: number) =>
    envelope(content("read_state", ANONYMOUS, { paths: Array(count).fill(Array(labels).fill(utf8("l"))) }));
  accept(paths(1_000, 1));
  accept(paths(1, 127));
  assert.deepEqual(refusal(paths(1_001, 1)), {
    code: "too_many_paths",
    text: "Too many paths in read state request: got 1001 paths, but at most 1000 are allowed.",
  });
  assert.deepEqual(refusal(paths(1, 128)), {
    code: "path_too_long",
    text: "At least one path in read state request is too deep: got 128 labels, but at most 127 are allowed.",
  });
});

test("sender_info is for canister-signature identities, signed by the named canister", () => {
  const accepting = { verify: () => ok(null) };
  const publicKey = canisterSignatureKeyToDer(CANISTER, utf8("seed"));
  const info = (signer: Uint8Array): Fields => ({ sender_info: { info: utf8("i"), signer, sig: utf8("s") } });
  const judge = (request: Envelope) => validateEnvelope(request, { now: NOW, verifier: accepting });
  const by = (fields: Fields, sender_pubkey: Uint8Array) =>
    envelope(fields, { sender_pubkey, sender_sig: utf8("any") });
  const sender = selfAuthenticating(publicKey);
  assert.ok(judge(by(content("call", sender, info(CANISTER)), publicKey)).ok);
  const textOf = (result: Result<ValidRequest, InvalidRequest>) => (result.ok ? "valid" : result.error.text);
  assert.equal(
    textOf(judge(by(content("call", sender, info(OTHER)), publicKey))),
    `Invalid sender info: signer ${principalToText(OTHER)} does not match canister ID ${principalToText(CANISTER)} in sender_pubkey`,
  );
  assert.match(
    textOf(judge(by(content("query", self(USER), info(CANISTER)), USER.publicKeyDer))),
    /^Invalid sender info: sender_pubkey is not a valid canister signature public key/,
  );
  assert.equal(
    textOf(judge(envelope(content("call", ANONYMOUS, info(CANISTER))))),
    "Invalid sender info: sender_info requires an authenticated request with sender_pubkey",
  );
  const seen: string[] = [];
  const strict = {
    verify: ({ message, signature }: { readonly message: Uint8Array; readonly signature: Uint8Array }) => {
      seen.push(toHex(message));
      return toHex(signature) === toHex(utf8("s")) ? ({ ok: false, error: "no" } as const) : ok(null);
    },
  };
  const request = by(content("call", sender, info(CANISTER)), publicKey);
  assert.equal(
    textOf(validateEnvelope(request, { now: NOW, verifier: strict })),
    "Invalid sender info: signature verification failed: no",
  );
  assert.equal(seen.at(-1), toHex(concatBytes(domainSep("ic-sender-info"), utf8("i"))));
});

test("contents that have no hash are refused", () => {
  const odd = envelope(content("call", ANONYMOUS, { flag: true }));
  assert.equal(refusal(odd).code, "request_malformed");
  const link = delegate({ from: USER, to: key(2) }) as {
    readonly delegation: Fields;
    readonly signature: Uint8Array;
  };
  const fields = content("call", self(USER));
  const sender_delegation = [{ ...link, delegation: { ...link.delegation, flag: true } }];
  const request = envelope(fields, {
    sender_pubkey: USER.publicKeyDer,
    sender_delegation,
    sender_sig: new Uint8Array(64),
  });
  assert.equal(refusal(request).code, "request_malformed");
});
