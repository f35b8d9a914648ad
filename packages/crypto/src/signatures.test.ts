/**
 * Request signatures of every scheme: the platform's own signatures, hostile ones, canister signatures end to
 * end.
 */
import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign as platformSign } from "node:crypto";
import { before, test } from "node:test";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import {
  type CanisterId,
  canisterIdFromIndex,
  encodeCbor,
  encodeUleb128,
  type SubnetId,
  selfAuthenticating,
  toHex,
  utf8,
} from "@orrery/base";
import { type Bls, bigintFromBytes, bigintToBytes, secretFromSeed } from "./bls.ts";
import { createMclBls } from "./bls-mcl.ts";
import { type CertificateDelegation, encodeCertificate, stateRootMessage } from "./certificate.ts";
import { ed25519Signer, nobleSignatures, p256Signer, secp256k1Signer } from "./curves.ts";
import { blsToDer, canisterSignatureKeyToDer, parsePublicKeyDer } from "./der.ts";
import { hashTreeToCbor } from "./hash-tree.ts";
import { sha256 } from "./hashes.ts";
import { emptyTree, type LabelTree, treeSet } from "./label-tree.ts";
import { treeHash } from "./label-tree-hash.ts";
import { type CanisterRange, encodeRanges } from "./ranges.ts";
import { createSignatureVerifier } from "./signatures.ts";
import { witness } from "./witness.ts";

const verifier = createSignatureVerifier({ basic: nobleSignatures });
const message = utf8("a message");
const SEED = new Uint8Array(32).fill(3);

function errorOf(publicKeyDer: Uint8Array, signature: Uint8Array, text = message): string {
  const result = verifier.verify({ publicKeyDer, message: text, signature });
  return result.ok ? "verifies" : result.error;
}

test("signatures of the platform verify", () => {
  const spki = { type: "spki", format: "der" } as const;
  const pairs: readonly { publicKey: KeyObject; privateKey: KeyObject; hash: string | null }[] = [
    { ...generateKeyPairSync("ed25519"), hash: null },
    { ...generateKeyPairSync("ec", { namedCurve: "P-256" }), hash: "sha256" },
    { ...generateKeyPairSync("ec", { namedCurve: "secp256k1" }), hash: "sha256" },
  ];
  for (const { publicKey, privateKey, hash } of pairs) {
    const der = new Uint8Array(publicKey.export(spki));
    for (let i = 0; i < 8; i++) {
      const text = Uint8Array.of(i);
      const signature = new Uint8Array(
        platformSign(hash, text, { key: privateKey, dsaEncoding: "ieee-p1363" }),
      );
      assert.equal(errorOf(der, signature, text), "verifies");
    }
  }
});

test("our signers' signatures verify, and nothing else does", () => {
  for (const signer of [ed25519Signer(SEED), p256Signer(SEED), secp256k1Signer(SEED)]) {
    const good = signer.sign(message);
    assert.equal(good.length, 64);
    assert.equal(errorOf(signer.publicKeyDer, good), "verifies");
    assert.match(
      errorOf(signer.publicKeyDer, good, utf8("other")),
      /^Invalid basic signature: \w+ signature could not be verified/,
    );
    for (const at of [0, 31, 32, 63]) {
      const bad = good.slice();
      bad[at] = (bad[at] as number) ^ 1;
      assert.notEqual(errorOf(signer.publicKeyDer, bad), "verifies");
    }
    for (const length of [0, 63, 65]) {
      assert.match(
        errorOf(signer.publicKeyDer, new Uint8Array(length)),
        /^Invalid basic signature: Malformed/,
      );
    }
    assert.notEqual(errorOf(signer.publicKeyDer, new Uint8Array(64)), "verifies");
    assert.notEqual(errorOf(signer.publicKeyDer, new Uint8Array(64).fill(0xff)), "verifies");
  }
});

test("the texts are the replica's", () => {
  const signature = new Uint8Array(64);
  const ed = ed25519Signer(new Uint8Array(32));
  assert.equal(
    errorOf(ed.publicKeyDer, signature),
    "Invalid basic signature: Ed25519 signature could not be verified: public key " +
      `3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29, signature ${"00".repeat(64)}, error: A signature was invalid`,
  );
  const p = p256Signer(SEED);
  const key = parsePublicKeyDer(p.publicKeyDer);
  assert.ok(key.ok && key.value.kind === "p256");
  assert.equal(
    errorOf(p.publicKeyDer, signature),
    `Invalid basic signature: EcdsaP256 signature could not be verified: public key ${toHex(key.value.point)}, ` +
      `signature ${"00".repeat(64)}, error: verification failed`,
  );
});

test("either s of an ECDSA signature is accepted", () => {
  const signer = secp256k1Signer(SEED);
  const good = signer.sign(message);
  const flipped = secp256k1.Point.Fn.ORDER - bigintFromBytes(good.subarray(32));
  assert.equal(
    errorOf(signer.publicKeyDer, Uint8Array.of(...good.subarray(0, 32), ...bigintToBytes(flipped, 32))),
    "verifies",
  );
});

test("points off their curve, BLS keys and unknown keys are refused, not thrown", () => {
  const p = p256Signer(SEED).publicKeyDer.slice();
  p[p.length - 1] = (p[p.length - 1] as number) ^ 1;
  assert.match(errorOf(p, new Uint8Array(64)), /could not be verified/);
  assert.match(errorOf(blsToDer(new Uint8Array(96)), new Uint8Array(48)), /^Invalid public key/);
  assert.match(errorOf(utf8("junk"), new Uint8Array(64)), /^Invalid public key/);
});

test("a host's primitives are what verifies", () => {
  const asked: string[] = [];
  const say = (what: string) => () => asked.push(what) > 0;
  const basic = { ed25519: say("ed25519"), p256: say("p256"), secp256k1: say("secp256k1") };
  const custom = createSignatureVerifier({ basic });
  for (const signer of [ed25519Signer(SEED), p256Signer(SEED), secp256k1Signer(SEED)]) {
    assert.ok(
      custom.verify({ publicKeyDer: signer.publicKeyDer, message, signature: new Uint8Array(64) }).ok,
    );
  }
  assert.deepEqual(asked, ["ed25519", "p256", "secp256k1"]);
});

test("node keys are the Ed25519 keys that the platform derives from the same seed", () => {
  const pkcs8 = Uint8Array.of(
    0x30,
    0x2e,
    2,
    1,
    0,
    0x30,
    5,
    6,
    3,
    0x2b,
    0x65,
    0x70,
    4,
    0x22,
    4,
    0x20,
    ...SEED,
  );
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
  assert.equal(
    toHex(ed25519Signer(SEED).sign(message)),
    toHex(new Uint8Array(platformSign(null, message, key))),
  );
});

let bls: Bls;
before(async () => {
  bls = await createMclBls();
});

const ROOT = secretFromSeed(new Uint8Array(32).fill(1));
const SUBNET = secretFromSeed(new Uint8Array(32).fill(2));
const CANISTER = canisterIdFromIndex(5n);
const IDENTITY_SEED = utf8("an identity");

function certify(secret: Uint8Array, tree: LabelTree, delegation: CertificateDelegation | null): Uint8Array {
  const signature = bls.sign(secret, stateRootMessage(treeHash(tree)));
  return encodeCertificate({ tree: witness(tree, [[]]), signature, delegation });
}

interface Options {
  readonly type?: string | null;
  readonly range?: CanisterRange;
  readonly delegated?: boolean;
  readonly entry?: string;
  readonly certified?: Uint8Array;
}

/** A canister signature on `text`, from a canister on a delegated subnet unless told otherwise. */
function canisterSigned(text: Uint8Array, options: Options = {}): Uint8Array {
  const { type = "application", delegated = true, entry = "" } = options;
  const range = options.range ?? { start: CANISTER, end: CANISTER };
  const signatures = treeSet(emptyTree(), [utf8("sig"), sha256(IDENTITY_SEED), sha256(text)], utf8(entry));
  const time = treeSet(emptyTree(), [utf8("time")], encodeUleb128(1n));
  const state = treeSet(
    time,
    [utf8("canister"), CANISTER, utf8("certified_data")],
    options.certified ?? treeHash(signatures),
  );
  let delegation: CertificateDelegation | null = null;
  if (delegated) {
    const key = blsToDer(bls.publicKey(SUBNET));
    const subnetId = selfAuthenticating(key) as Uint8Array as SubnetId;
    const at = [utf8("subnet"), subnetId];
    let root = treeSet(time, [...at, utf8("public_key")], key);
    root = treeSet(root, [utf8("canister_ranges"), subnetId, range.start], encodeRanges([range]));
    if (type !== null) root = treeSet(root, [...at, utf8("type")], utf8(type));
    delegation = { subnetId, certificate: certify(ROOT, root, null) };
  }
  const certificate = certify(delegated ? SUBNET : ROOT, state, delegation);
  return encodeCbor({ certificate, tree: hashTreeToCbor(witness(signatures, [[]])) });
}

function judge(signature: Uint8Array, id: CanisterId = CANISTER, text = message): string {
  const rootKeyDer = blsToDer(bls.publicKey(ROOT));
  const withRoot = createSignatureVerifier({
    basic: nobleSignatures,
    canisterSignatures: { rootKeyDer, bls },
  });
  const publicKeyDer = canisterSignatureKeyToDer(id, IDENTITY_SEED);
  const result = withRoot.verify({ publicKeyDer, message: text, signature });
  return result.ok ? "verifies" : result.error;
}

test("canister signatures verify, with and without a delegation", () => {
  assert.equal(judge(canisterSigned(message)), "verifies");
  assert.equal(judge(canisterSigned(message, { delegated: false })), "verifies");
});

test("canister signatures are refused for each thing that can be wrong", () => {
  const other = canisterIdFromIndex(6n);
  const cases: readonly (readonly [string, RegExp])[] = [
    [judge(canisterSigned(utf8("other"))), /does not contain this seed and message/],
    [judge(canisterSigned(message), other), /not in the ranges/],
    [judge(canisterSigned(message, { range: { start: other, end: other } })), /not in the ranges/],
    [judge(canisterSigned(message, { type: "cloud_engine" })), /cloud engine/],
    [judge(canisterSigned(message, { type: null })), /subnet's type/],
    [judge(canisterSigned(message, { entry: "x" })), /not empty/],
    [judge(canisterSigned(message, { certified: new Uint8Array(32) })), /root hash/],
    [judge(canisterSigned(message).subarray(3)), /malformed/],
    [judge(utf8("junk")), /malformed/],
    [judge(encodeCbor({ tree: [0] })), /malformed/],
  ];
  for (const [seen, expected] of cases) {
    assert.match(seen, expected);
    assert.match(seen, /^Invalid canister signature: /);
  }
  const flipped = canisterSigned(message);
  flipped[60] = (flipped[60] as number) ^ 1;
  assert.notEqual(judge(flipped), "verifies");
});

test("without a root key canister signatures are refused", () => {
  const key = canisterSignatureKeyToDer(CANISTER, IDENTITY_SEED);
  assert.match(errorOf(key, canisterSigned(message)), /^Invalid canister signature: .*not supported/);
});
