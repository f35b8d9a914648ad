import assert from "node:assert/strict";
import { createHash, createPublicKey, ECDH, verify } from "node:crypto";
import { test } from "node:test";
import {
  DerivedPublicKey,
  EncryptedVetKey,
  MasterPublicKey,
  MasterPublicKeyId,
  TransportSecretKey,
} from "@dfinity/vetkeys";
import { concatBytes, fromHex, principalFromText, toHex, utf8 } from "@orrery/base";
import { initEccLib, payments } from "bitcoinjs-lib";
import fc from "fast-check";
import * as libsecp from "tiny-secp256k1";
import {
  createChainKeys,
  deriveEd25519,
  deriveEd25519Secret,
  deriveSecp256k1,
  deriveSecp256k1Secret,
  deriveVetKdPublicKey,
  ed25519ScalarFrom,
  ed25519ScalarPublicKey,
  MASTER_CHAIN_CODE,
  secp256k1SecretFrom,
  taprootOutputKey,
} from "./chain-keys.ts";
import { ed25519ToDer, secp256k1ToDer } from "./der.ts";

initEccLib(libsecp);

const SEED = Uint8Array.from({ length: 32 }, (_, i) => i * 7 + 1);
const keys = createChainKeys(SEED);

/** Master public keys of the public network (dfinity/ic, `packages/ic-secp256k1`, `packages/ic-ed25519`, `packages/ic-vetkeys`). */
const MAINNET = {
  ecdsa: {
    key_1: "02121bc3a5c38f38ca76487c72007ebbfd34bc6c4cb80a671655aa94585bbd0a02",
    test_key_1: "02f9ac345f6be6db51e1c5612cddb59e72c3d0d493c994d12035cf13257e3b1fa7",
  },
  bip340: {
    key_1: "02246e29785f06d37a8a50c49f6152a34df74738f8c13a44f59fef4cbe90eb13ac",
    test_key_1: "037a651a2e5ef3d1ef63e84c4c4caa029fa4a43a347a91e4d84a8e846853d51be1",
  },
  ed25519: {
    key_1: "476374d9df3a8af28d3164dc2422cff894482eadd1295290b6d9ad92b2eeaa5c",
    test_key_1: "6c0824beb37621bcca6eecc237ed1bc4e64c9c59dcb85344aa7f9cc8278ee31f",
  },
} as const;

/** What the public network derived for a canister (dfinity/ic, `packages/ic-pub-key`, tests). */
const DERIVED: readonly (readonly [keyof typeof MAINNET, "key_1" | "test_key_1", string, string])[] = [
  [
    "ed25519",
    "key_1",
    "Test Derivation For Mainnet Ed25519 key_1",
    "cf261202d0c17f5592cf405242bcf94f8c991aa9422bd883dcfc19f610851151",
  ],
  [
    "ed25519",
    "test_key_1",
    "Hello Threshold Signatures",
    "d9a2ce6a3cd33fe16dce37e045609e51ff516e93bb51013823d6d7a915e3cfb9",
  ],
  [
    "ed25519",
    "test_key_1",
    "Test Derivation For Mainnet Ed25519 test_key_1",
    "064e78c285d836b64dfe6d55add48212537ee32f34d35da149479cf03bd040e9",
  ],
  [
    "bip340",
    "key_1",
    "Test Derivation For Mainnet Bip340secp256k1 key_1",
    "03743bccf4e532c3de0d52d6556b769dc18c3cc534217ec4d98fc5a7efdda9a253",
  ],
  [
    "bip340",
    "test_key_1",
    "Hello Threshold Signatures",
    "0237ca6a41c1db8ab40410445250a5d46fbec7f3e449c8f40f86d8622a4106cebd",
  ],
  [
    "bip340",
    "test_key_1",
    "Test Derivation For Mainnet Bip340secp256k1 test_key_1",
    "037fbabc0e6a22444d395f100cb35a3565eef953436e7397ce0e0bf2671bd4fd36",
  ],
  [
    "ecdsa",
    "key_1",
    "Test Derivation For Mainnet ECDSA secp256k1 key_1",
    "03e99cc5403dfefbc1de767ab34b637ab93c11cecffe89d6475e9701cffa2d51b4",
  ],
  [
    "ecdsa",
    "test_key_1",
    "Hello Threshold Signatures",
    "0315ae8bb8c6e9f78eec2167f5ac773067f37a39da1a1efbc585f9e90658d1c620",
  ],
  [
    "ecdsa",
    "test_key_1",
    "Test Derivation For Mainnet ECDSA secp256k1 test_key_1",
    "0262c4eb6534f278ceebcc8f4172d38acf7d76e1c74ee1e10f362d59f73658ae50",
  ],
];

for (const [scheme, name, words, expected] of DERIVED) {
  test(`the public network's ${scheme} ${name} derives the published key at "${words}"`, () => {
    const path = [principalFromText("h5jwf-5iaaa-aaaan-qmvoa-cai"), ...words.split(" ").map(utf8)];
    const master = { publicKey: fromHex(MAINNET[scheme][name]), chainCode: MASTER_CHAIN_CODE };
    const derive = scheme === "ed25519" ? deriveEd25519 : deriveSecp256k1;
    assert.equal(toHex(derive(master, path).publicKey), expected);
  });
}

const VETKD_CANISTER = "urq22-tyaaa-aaaag-audia-cai";
const VETKD: readonly (readonly [MasterPublicKeyId, string, string])[] = [
  [
    MasterPublicKeyId.TEST_KEY_1,
    "",
    "8b961f06d392367e84136088971c4808b434e5d6b928b60fa6177f811db9930e4f2a911ef517db40f7e7897588ae0e2316500dbef3abf08ad7f63940af0cf816" +
      "c2c1c234943c9bb6f4d53da121dceed093d118d0bd5552740da315eac3b59b0f",
  ],
  [
    MasterPublicKeyId.TEST_KEY_1,
    "context-string",
    "958a2700438db39cf848f99c80d4d1c0f42b5e6783c35abffe5acda4fdb09548a025fdf85aad8980fcf6e20c1082596310c2612a3f3034c56445ddfc32a0c3cd" +
      "34a7d0fea8df06a2996c54e21e3f8361a6e633d706ff58e979858fe436c7edf3",
  ],
  [
    MasterPublicKeyId.KEY_1,
    "",
    "a4df5fb733dc53ba0b3f8dab3f7538b2f345052072f69a5749d630d9c2b2b1c4b00af09fa1d993e1ce533996961575ad027e058e2a279ab05271c115ef27d750" +
      "b6b233f12bc9f1973b203e338d43b6a7617be58d5c7195dfb809d756413bc006",
  ],
  [
    MasterPublicKeyId.KEY_1,
    "context-string",
    "aa45fccb82432315e39fedb1b1f150d2e895fb1f7399cc593b826ac151b519f0966b92aef49a89efe60570ef325f0f7e1974ac3519d2e127a52c013e246aedbf" +
      "f2158bdd0bb9f26c763c88c0b8ec796f401d057eab276d0a34384a8a97b1937f",
  ],
];

for (const [name, context, expected] of VETKD) {
  test(`the public network's vetKD ${name} derives the published key in context "${context}"`, () => {
    const master = MasterPublicKey.productionKey(name).publicKeyBytes();
    const derived = deriveVetKdPublicKey(master, principalFromText(VETKD_CANISTER), utf8(context));
    assert.equal(toHex(derived), expected);
  });
}

test("indices of four bytes derive as BIP 32 does", () => {
  // BIP 32, test vector 1: m/0H, then the public derivation of its child 1, which BIP 32 lists as m/0H/1.
  const parent = {
    publicKey: fromHex("035a784662a4a20a65bf6aab9ae98a6c068a81c52e4b032c0fb5400c706cfccc56"),
    chainCode: fromHex("47fdacbd0f1097043b78c63c20c34ef4ed9a111d980047ad16282c7ae6236141"),
  };
  const child = deriveSecp256k1(parent, [Uint8Array.of(0, 0, 0, 1)]);
  assert.equal(toHex(child.publicKey), "03501e454bf00751f24b1b489aa925215d66af2234e3891c3b21a52bedb3cd711c");
  assert.equal(toHex(child.chainCode), "2a7857631386ba23dacac34180dd1983734e444fdbf774041578e9b6adb37c19");
});

const path = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 });
const material = fc.uint8Array({ minLength: 48, maxLength: 48 });

test("a derived secret is the secret of the derived public key", () => {
  fc.assert(
    fc.property(material, path, (bytes, indices) => {
      const secret = secp256k1SecretFrom(bytes);
      const master = { secret, chainCode: MASTER_CHAIN_CODE };
      const own = deriveSecp256k1Secret(master, indices);
      const publicKey = libsecp.pointFromScalar(secret, true);
      assert.ok(publicKey !== null);
      const seen = deriveSecp256k1({ publicKey, chainCode: MASTER_CHAIN_CODE }, indices);
      assert.deepEqual([own.publicKey, own.chainCode], [seen.publicKey, seen.chainCode]);
      assert.deepEqual(toHex(libsecp.pointFromScalar(own.secret, true) ?? SEED), toHex(own.publicKey));
    }),
    { numRuns: 25 },
  );
  fc.assert(
    fc.property(material, path, (bytes, indices) => {
      const secret = ed25519ScalarFrom(bytes);
      const own = deriveEd25519Secret({ secret, chainCode: MASTER_CHAIN_CODE }, indices);
      const seen = deriveEd25519(
        { publicKey: ed25519ScalarPublicKey(secret), chainCode: MASTER_CHAIN_CODE },
        indices,
      );
      assert.deepEqual([own.publicKey, own.chainCode], [seen.publicKey, seen.chainCode]);
      assert.deepEqual(ed25519ScalarPublicKey(own.secret), own.publicKey);
    }),
    { numRuns: 25 },
  );
});

const canisterId = principalFromText("h5jwf-5iaaa-aaaan-qmvoa-cai");
const ref = {
  name: "dfx_test_key",
  canisterId,
  path: [utf8("a"), new Uint8Array(0), Uint8Array.of(0, 0, 0, 9)],
};

test("ECDSA signatures verify with libsecp256k1 and the platform, and their s is low", () => {
  const { publicKey, chainCode } = keys.ecdsaPublicKey(ref);
  assert.deepEqual([publicKey.length, chainCode.length], [33, 32]);
  const uncompressed = ECDH.convertKey(
    publicKey,
    "secp256k1",
    undefined,
    undefined,
    "uncompressed",
  ) as Uint8Array;
  const platform = createPublicKey({
    key: Buffer.from(secp256k1ToDer(new Uint8Array(uncompressed))),
    format: "der",
    type: "spki",
  });
  for (let i = 0; i < 24; i++) {
    const message = utf8(`message ${i}`);
    const digest = new Uint8Array(createHash("sha256").update(message).digest());
    const signature = keys.signWithEcdsa(ref, digest);
    assert.ok(libsecp.verify(digest, publicKey, signature, true), "strict: low s only");
    assert.ok(verify("sha256", message, { key: platform, dsaEncoding: "ieee-p1363" }, signature));
    assert.deepEqual(keys.signWithEcdsa(ref, digest), signature);
    assert.ok(!libsecp.verify(new Uint8Array(32).fill(i), publicKey, signature));
  }
});

test("BIP 340 signatures verify with libsecp256k1, over messages of any length through their hash", () => {
  const { publicKey } = keys.schnorrPublicKey("bip340secp256k1", ref);
  const message = new Uint8Array(createHash("sha256").update("tx").digest());
  const signature = keys.signWithSchnorr("bip340secp256k1", ref, { message, merkleRoot: null });
  assert.ok(libsecp.verifySchnorr(message, publicKey.slice(1), signature));
  const ecdsaKey = keys.ecdsaPublicKey(ref).publicKey;
  assert.notDeepEqual(ecdsaKey, publicKey);
  assert.ok(!libsecp.verifySchnorr(message, ecdsaKey.slice(1), signature));
});

test("taproot signatures spend the output that a Bitcoin library makes of the internal key", () => {
  for (let i = 0; i < 8; i++) {
    // Both signs of the internal key's y occur among these.
    const one = { ...ref, path: [Uint8Array.of(i)] };
    const { publicKey } = keys.schnorrPublicKey("bip340secp256k1", one);
    const message = new Uint8Array(createHash("sha256").update(`spend ${i}`).digest());
    const root = new Uint8Array(createHash("sha256").update(`tree ${i}`).digest());
    for (const merkleRoot of [new Uint8Array(0), root]) {
      const { pubkey } = payments.p2tr({
        internalPubkey: publicKey.slice(1),
        ...(merkleRoot.length === 0 ? {} : { hash: merkleRoot }),
      });
      assert.ok(pubkey !== undefined);
      assert.equal(toHex(taprootOutputKey(publicKey, merkleRoot)), toHex(pubkey));
      const signature = keys.signWithSchnorr("bip340secp256k1", one, { message, merkleRoot });
      assert.ok(libsecp.verifySchnorr(message, pubkey, signature));
      assert.ok(!libsecp.verifySchnorr(message, publicKey.slice(1), signature));
    }
  }
  assert.throws(
    () => keys.signWithSchnorr("bip340secp256k1", ref, { message: SEED, merkleRoot: new Uint8Array(31) }),
    { code: "merkle_root_invalid" },
  );
});

test("Ed25519 signatures of scalars that are not clamped verify with the platform", () => {
  const { publicKey } = keys.schnorrPublicKey("ed25519", ref);
  assert.equal(publicKey.length, 32);
  const platform = createPublicKey({
    key: Buffer.from(ed25519ToDer(publicKey)),
    format: "der",
    type: "spki",
  });
  for (const length of [0, 1, 32, 1_000]) {
    const message = new Uint8Array(length).fill(length);
    const signature = keys.signWithSchnorr("ed25519", ref, { message, merkleRoot: null });
    assert.ok(verify(null, message, platform, signature));
    assert.ok(!verify(null, concatBytes(message, Uint8Array.of(1)), platform, signature));
  }
});

test("the public client library decrypts and verifies what vetKD derives", () => {
  const transport = TransportSecretKey.random();
  const context = utf8("notes");
  const input = utf8("note 7");
  const request = { canisterId, context, input, transportPublicKey: transport.publicKeyBytes() };
  const encrypted = keys.vetKdDeriveKey("test_key_1", request);
  assert.ok(encrypted !== null);
  assert.equal(encrypted.length, 192);
  const derived = DerivedPublicKey.deserialize(keys.vetKdPublicKey("test_key_1", canisterId, context));
  const key = EncryptedVetKey.deserialize(encrypted).decryptAndVerify(transport, derived, input);
  assert.equal(key.signatureBytes().length, 48);
  assert.throws(() =>
    EncryptedVetKey.deserialize(encrypted).decryptAndVerify(transport, derived, utf8("note 8")),
  );
  const other = TransportSecretKey.random();
  const again = keys.vetKdDeriveKey("test_key_1", { ...request, transportPublicKey: other.publicKeyBytes() });
  assert.ok(again !== null);
  const same = EncryptedVetKey.deserialize(again).decryptAndVerify(other, derived, input);
  assert.deepEqual(same.signatureBytes(), key.signatureBytes());
  const canisterKey = DerivedPublicKey.deserialize(
    keys.vetKdPublicKey("test_key_1", canisterId, new Uint8Array(0)),
  );
  assert.deepEqual(canisterKey.deriveSubKey(context).publicKeyBytes(), derived.publicKeyBytes());
});

test("transport keys that are no points of the group are refused", () => {
  const infinity = new Uint8Array(48);
  infinity[0] = 0xc0;
  const bad = [infinity, new Uint8Array(48), new Uint8Array(48).fill(0xff), new Uint8Array(47)];
  const request = { canisterId, context: SEED, input: SEED };
  for (const transportPublicKey of bad) {
    assert.equal(keys.isTransportKey(transportPublicKey), false);
    assert.equal(keys.vetKdDeriveKey("key_1", { ...request, transportPublicKey }), null);
  }
});

test("schemes, names, canisters, seeds: each has keys of its own", () => {
  const other = createChainKeys(new Uint8Array(32));
  const at = (name: string, id: Uint8Array) => ({ name, canisterId: id, path: [] });
  const seen = new Set<string>();
  for (const service of [keys, other]) {
    for (const name of ["dfx_test_key", "test_key_1", "key_1"]) {
      for (const id of [canisterId, Uint8Array.of(1)]) {
        seen.add(toHex(service.ecdsaPublicKey(at(name, id)).publicKey));
        seen.add(toHex(service.schnorrPublicKey("bip340secp256k1", at(name, id)).publicKey));
        seen.add(toHex(service.schnorrPublicKey("ed25519", at(name, id)).publicKey));
        seen.add(toHex(service.vetKdPublicKey(name, id, new Uint8Array(0))));
      }
    }
  }
  assert.equal(seen.size, 2 * 3 * 2 * 4);
});
