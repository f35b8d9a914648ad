/**
 * WebAuthn: signatures of real authenticators (the replica's public test vectors), own ones of each
 * algorithm, hostile ones.
 */
import assert from "node:assert/strict";
import { constants, generateKeyPairSync, type KeyObject, sign as platformSign } from "node:crypto";
import { test } from "node:test";
import { type CborValue, concatBytes, encodeCbor, encodeCborBare, fromHex, toHex, utf8 } from "@orrery/base";
import fc from "fast-check";
import { nobleSignatures } from "./curves.ts";
import { coseToDer } from "./der.ts";
import { domainSep, sha256 } from "./hashes.ts";
import { hashOfMap } from "./request-id.ts";
import { createSignatureVerifier } from "./signatures.ts";
import { base64UrlDecode, ecdsaSignatureFromDer, parseCoseKey, verifyRs256 } from "./webauthn.ts";

const verifier = createSignatureVerifier({ basic: nobleSignatures });

function judge(publicKeyDer: Uint8Array, message: Uint8Array, signature: Uint8Array): string {
  const result = verifier.verify({ publicKeyDer, message, signature });
  return result.ok ? "verifies" : result.error;
}

const AUTHENTICATOR_KEY = fromHex(
  "305e300c060a2b0601040183b8430101034e00a5010203262001215820b487d183dc4806058eb31a29bedefd7bcca987b77a381a3684871d" +
    "8449c183942258202a122cc711a80453678c3032de4b6fff2c86342e82d1e7adb617c4165c43ce5e",
);
const HEAD =
  "d9d9f7a37261757468656e74696361746f725f646174615825bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4" +
  "b5010000000170636c69656e745f646174615f6a736f6e58";
const TAIL = "222c20226f726967696e223a202268747470733a2f2f6578616d706c652e6f7267227d697369676e617475726558";
const OPEN = "7b2274797065223a2022776562617574686e2e676574222c20226368616c6c656e6765223a2022";

/** Challenge in base64url as hex of its text, then length and bytes of the signature. */
function recorded(jsonLength: string, challenge: string, signature: string): Uint8Array {
  return fromHex(HEAD + jsonLength + OPEN + challenge + TAIL + signature);
}

const HELLO = recorded(
  "51",
  "61475673624738",
  "463044022063627c69661048fb111b13dec2f3675010493c1c276c6a144f44e1fabab01d300220517d3cbd70658933dab63fd23cf05f7274aea6afad206be04d4ec5e268b471d2",
);
const DELEGATION = recorded(
  "99",
  "476d6c6a4c584a6c6358566c63335174595856306143316b5a57786c5a32463061573975624d7952313366786f7246576730775069346566504e774b562d7a76486467504868716649536d77677141",
  "483046022100d4b7541f3b1b61dd9c6f818f20f54f8b938fe222d88cca6700fabd82a522f13b022100c636b52dfd679b1f86eeb5fcaff360e70b57caa9fe186e1e77c42228eca49037",
);
const MESSAGE_ID = recorded(
  "84",
  "436d6c6a4c584a6c6358566c6333514e414141414141414141414141414141414141414141414141414141414141414141414141414141414141",
  "473045022100e4029fcf1cec44e0e2a33b2b2b981411376d89f90bec9ee7d4e20ca33ce8f088022070e95aa9dd3f0cf0d6f97f306d52211288482d565012202b349b2a2d80852635",
);

test("signatures of a real authenticator verify", () => {
  assert.equal(judge(AUTHENTICATOR_KEY, utf8("hello"), HELLO), "verifies");
  assert.match(judge(AUTHENTICATOR_KEY, utf8("hullo"), HELLO), /^WebAuthn error: the challenge is not/);
  const delegation = hashOfMap(
    new Map<string, CborValue>([
      ["pubkey", Uint8Array.of(1, 2, 3)],
      ["expiration", 0],
    ]),
  );
  const message = concatBytes(domainSep("ic-request-auth-delegation"), delegation);
  assert.equal(judge(AUTHENTICATOR_KEY, message, DELEGATION), "verifies");
  const id = Uint8Array.of(13, ...new Uint8Array(31));
  assert.equal(judge(AUTHENTICATOR_KEY, concatBytes(domainSep("ic-request"), id), MESSAGE_ID), "verifies");
});

interface Credential {
  readonly cose: Uint8Array;
  readonly sign: (data: Uint8Array) => Uint8Array;
}

/** CBOR of an integer-keyed map in the order given; integers within two bytes. */
function coseMap(entries: readonly (readonly [number, number | Uint8Array])[]): Uint8Array {
  const encoded = entries.flatMap(([key, value]) => [
    encodeInt(key),
    typeof value === "number" ? encodeInt(value) : encodeCborBare(value),
  ]);
  return concatBytes(Uint8Array.of(0xa0 | entries.length), ...encoded);
}

function encodeInt(value: number): Uint8Array {
  const bytes = encodeCborBare(value < 0 ? -1 - value : value).slice();
  bytes[0] = (bytes[0] as number) | (value < 0 ? 0x20 : 0);
  return bytes;
}

function jwkBytes(key: KeyObject, field: "x" | "y" | "n" | "e"): Uint8Array {
  return new Uint8Array(Buffer.from(key.export({ format: "jwk" })[field] as string, "base64url"));
}

function credentials(): readonly Credential[] {
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ed = generateKeyPairSync("ed25519");
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const bytes = (buffer: Buffer) => new Uint8Array(buffer);
  return [
    {
      cose: coseMap([
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, jwkBytes(ec.publicKey, "x")],
        [-3, jwkBytes(ec.publicKey, "y")],
      ]),
      sign: (data) => bytes(platformSign("sha256", data, ec.privateKey)),
    },
    {
      cose: coseMap([
        [1, 1],
        [3, -8],
        [-1, 6],
        [-2, jwkBytes(ed.publicKey, "x")],
      ]),
      sign: (data) => bytes(platformSign(null, data, ed.privateKey)),
    },
    {
      cose: coseMap([
        [1, 3],
        [3, -257],
        [-1, jwkBytes(rsa.publicKey, "n")],
        [-2, jwkBytes(rsa.publicKey, "e")],
      ]),
      sign: (data) =>
        bytes(platformSign("sha256", data, { key: rsa.privateKey, padding: constants.RSA_PKCS1_PADDING })),
    },
  ];
}

function assertion(credential: Credential, message: Uint8Array, clientData?: string): Uint8Array {
  const challenge = Buffer.from(message).toString("base64url");
  const json =
    clientData ?? JSON.stringify({ type: "webauthn.get", challenge, origin: "https://example.org" });
  const authenticatorData = new Uint8Array(37).fill(1);
  return encodeCbor({
    authenticator_data: authenticatorData,
    client_data_json: json,
    signature: credential.sign(concatBytes(authenticatorData, sha256(utf8(json)))),
  });
}

test("ES256, EdDSA and RS256 credentials verify, and only over their own message", () => {
  const message = utf8("\x0aic-request and an id");
  const all = credentials();
  for (const [i, credential] of all.entries()) {
    const der = coseToDer(credential.cose);
    const good = assertion(credential, message);
    assert.equal(judge(der, message, good), "verifies", `credential ${i}`);
    assert.notEqual(judge(der, utf8("other"), good), "verifies");
    const other = coseToDer((all[(i + 1) % all.length] as Credential).cose);
    assert.notEqual(judge(other, message, good), "verifies");
    for (const at of [45, good.length - 1]) {
      const bad = good.slice();
      bad[at] = (bad[at] as number) ^ 1;
      assert.notEqual(judge(der, message, bad), "verifies");
    }
  }
});

test("malformed assertions are refused with a reason", () => {
  const [credential] = credentials();
  assert.ok(credential !== undefined);
  const message = utf8("m");
  const der = coseToDer(credential.cose);
  const bad = [
    assertion(credential, message).subarray(3),
    assertion(credential, message, "not json"),
    assertion(credential, message, "null"),
    assertion(credential, message, '{"challenge":1}'),
    assertion(credential, message, '{"challenge":"*"}'),
    encodeCbor({ authenticator_data: new Uint8Array(1), client_data_json: "{}" }),
    encodeCbor([]),
    utf8("junk"),
    new Uint8Array(0),
  ];
  for (const signature of bad) assert.match(judge(der, message, signature), /^WebAuthn error: /);
});

test("COSE keys are parsed strictly", () => {
  const x = new Uint8Array(32);
  const bad = [
    coseMap([
      [1, 2],
      [3, -7],
      [-1, 1],
      [-2, x],
    ]),
    coseMap([
      [1, 2],
      [3, -7],
      [-1, 2],
      [-2, x],
      [-3, x],
    ]),
    coseMap([
      [1, 2],
      [3, -8],
      [-1, 1],
      [-2, x],
      [-3, x],
    ]),
    coseMap([
      [1, 2],
      [3, -7],
      [-1, 1],
      [-2, x.subarray(1)],
      [-3, x],
    ]),
    coseMap([
      [1, 2],
      [1, 2],
      [3, -7],
    ]),
    Uint8Array.of(
      ...coseMap([
        [1, 1],
        [3, -8],
        [-1, 6],
        [-2, x],
      ]),
      0,
    ),
    coseMap([
      [1, 1],
      [3, -8],
      [-1, 6],
      [-2, x],
    ]).subarray(0, 40),
    Uint8Array.of(0xbf, 0xff),
    new Uint8Array(0),
  ];
  for (const [i, bytes] of bad.entries()) assert.ok(!parseCoseKey(bytes).ok, `key ${i}`);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => assert.ok(!parseCoseKey(bytes).ok)));
});

test("DER ECDSA signatures have one encoding", () => {
  const rs = ecdsaSignatureFromDer(fromHex("3006020101020102"));
  assert.ok(rs !== null);
  assert.equal(toHex(rs), `${"00".repeat(31)}01${"00".repeat(31)}02`);
  for (const hex of [
    "",
    "30",
    "3006020101020102ff",
    "300702020001020102",
    "3006020181020102",
    "30050201010200",
    "3006030101020102",
    "3106020101020102",
  ]) {
    assert.equal(ecdsaSignatureFromDer(fromHex(hex)), null, hex);
  }
  assert.equal(ecdsaSignatureFromDer(fromHex(`3027022101${"00".repeat(32)}020101`)), null);
});

test("base64url is decoded without padding or leftovers", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      assert.deepEqual(base64UrlDecode(Buffer.from(bytes).toString("base64url")), bytes);
    }),
  );
  for (const text of ["A", "AB", "AA==", "A+/=", "AAAAA"]) assert.equal(base64UrlDecode(text), null, text);
});

test("RSA keys that are small, even or absurd are refused", () => {
  const message = utf8("m");
  const small = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const signature = new Uint8Array(platformSign("sha256", message, small.privateKey));
  const exponent = Uint8Array.of(1, 0, 1);
  assert.ok(!verifyRs256({ modulus: jwkBytes(small.publicKey, "n"), exponent }, message, signature));
  const modulus = new Uint8Array(256).fill(0xff);
  assert.ok(!verifyRs256({ modulus: new Uint8Array(0), exponent }, message, signature));
  assert.ok(!verifyRs256({ modulus, exponent: Uint8Array.of(1) }, message, new Uint8Array(256)));
  assert.ok(!verifyRs256({ modulus, exponent: new Uint8Array(8).fill(1) }, message, new Uint8Array(256)));
  assert.ok(
    !verifyRs256({ modulus: new Uint8Array(1_000).fill(0xff), exponent }, message, new Uint8Array(1_000)),
  );
});
