/**
 * Threshold keys (interface spec, the methods on ECDSA, Schnorr and vetKD keys): what they sign and derive, checked by the platform, by
 * libsecp256k1 and by the published vetKeys client; prices; what is refused.
 */
import assert from "node:assert/strict";
import { createHash, createHmac, createPublicKey, ECDH, hkdfSync, verify } from "node:crypto";
import { DerivedPublicKey, EncryptedVetKey, TransportSecretKey } from "@dfinity/vetkeys";
import { ed25519 } from "@noble/curves/ed25519.js";
import * as libsecp from "tiny-secp256k1";
import { hex, join, numberOf, parseRelayed, type Relayed, utf8 } from "../bytes.ts";
import { section } from "../case.ts";
import { rejected, relayedReject, relayedReply, replied } from "../checks.ts";
import { decodeResult, encodeArg, MANAGEMENT, managementCall } from "../management.ts";
import { callOut, ic0, reply64 } from "../script.ts";
import { pair, type Universal } from "../world.ts";

const keys = section("Management: threshold keys", ["chain keys"]);

const FEE = 10_000_000_000n;
const FEE_KEY_1 = 26_153_846_153n;
const NAMES = ["test_key_1", "key_1"] as const;
const EMPTY = new Uint8Array();

const sha256 = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(
    createHash("sha256")
      .update(join([...parts]))
      .digest(),
  );
const message = utf8("a message of the suite");
const digest = sha256(message);
const path = [utf8("path"), EMPTY, new Uint8Array(300)];

const ecdsaKey = (name: string): object => ({ curve: { secp256k1: null }, name });
const schnorrKey = (algorithm: string, name: string): object => ({ algorithm: { [algorithm]: null }, name });
const vetKdKey = (name: string): object => ({ curve: { bls12_381_g2: null }, name });

/** Every method with an argument that a canister may give. */
const CALLS: readonly (readonly [string, object])[] = [
  ["ecdsa_public_key", { derivation_path: path, key_id: ecdsaKey("test_key_1") }],
  ["sign_with_ecdsa", { message_hash: digest, derivation_path: path, key_id: ecdsaKey("test_key_1") }],
  ["schnorr_public_key", { derivation_path: path, key_id: schnorrKey("ed25519", "test_key_1") }],
  ["sign_with_schnorr", { message, derivation_path: path, key_id: schnorrKey("ed25519", "test_key_1") }],
  ["vetkd_public_key", { context: EMPTY, key_id: vetKdKey("test_key_1") }],
  [
    "vetkd_derive_key",
    {
      input: EMPTY,
      context: EMPTY,
      transport_public_key: TransportSecretKey.random().publicKeyBytes(),
      key_id: vetKdKey("test_key_1"),
    },
  ],
];
const PAID = CALLS.filter(([method]) => !method.endsWith("public_key"));

const ask = async (from: Universal, method: string, value: object, cycles = 3n * FEE): Promise<Relayed> =>
  parseRelayed(replied(await from.update(managementCall(method, value, { cycles }))));
const answer = async (
  from: Universal,
  method: string,
  value: object,
): Promise<Readonly<Record<string, Uint8Array>>> => {
  const fields = decodeResult(
    method,
    relayedReply(await from.update(managementCall(method, value, { cycles: 3n * FEE }))),
  );
  return Object.fromEntries(
    Object.entries(fields as Record<string, Uint8Array>).map(([name, bytes]) => [
      name,
      new Uint8Array(bytes),
    ]),
  );
};
const bytesOf = (fields: Readonly<Record<string, Uint8Array>>, name: string): Uint8Array =>
  fields[name] ?? EMPTY;

/** A point on secp256k1 as the platform's key. */
function secp256k1Key(compressed: Uint8Array) {
  const point = ECDH.convertKey(compressed, "secp256k1", undefined, undefined, "uncompressed") as Buffer;
  const prefix = Buffer.from("3056301006072a8648ce3d020106052b8104000a034200", "hex");
  return createPublicKey({ key: Buffer.concat([prefix, point]), format: "der", type: "spki" });
}
function ed25519Key(bytes: Uint8Array) {
  const prefix = Buffer.from("302a300506032b6570032100", "hex");
  return createPublicKey({ key: Buffer.concat([prefix, bytes]), format: "der", type: "spki" });
}

keys.each("sign_with_ecdsa: the platform verifies under the derived key", NAMES, async (world, name) => {
  const canister = await world.universal();
  const key_id = ecdsaKey(name);
  const { public_key = EMPTY } = await answer(canister, "ecdsa_public_key", {
    derivation_path: path,
    key_id,
  });
  const signed = await answer(canister, "sign_with_ecdsa", {
    message_hash: digest,
    derivation_path: path,
    key_id,
  });
  const signature = bytesOf(signed, "signature");
  const key = { key: secp256k1Key(public_key), dsaEncoding: "ieee-p1363" } as const;
  assert.equal(signature.length, 64);
  assert.ok(verify("sha256", message, key, signature));
  assert.ok(!verify("sha256", utf8("another"), key, signature));
});
keys("sign_with_ecdsa signs for the caller, not for whom it names", async (world) => {
  const [a, b] = await pair(world);
  const key_id = ecdsaKey("test_key_1");
  const { public_key = EMPTY } = await answer(b, "ecdsa_public_key", { derivation_path: [], key_id });
  const signed = await answer(a, "sign_with_ecdsa", { message_hash: digest, derivation_path: [], key_id });
  const key = { key: secp256k1Key(public_key), dsaEncoding: "ieee-p1363" } as const;
  assert.ok(!verify("sha256", message, key, bytesOf(signed, "signature")));
});
keys.each(
  "ecdsa_public_key and BIP 340 keys: an element of the path is a step of the generalised BIP 32",
  [
    ["ecdsa_public_key", ecdsaKey("key_1")],
    ["schnorr_public_key", schnorrKey("bip340secp256k1", "key_1")],
  ] as const,
  async (world, [method, key_id]) => {
    const canister = await world.universal();
    const at = (derivation_path: readonly Uint8Array[]) =>
      answer(canister, method, { derivation_path, key_id });
    for (const element of [Uint8Array.of(0, 0, 0, 7), utf8("longer than four bytes"), EMPTY]) {
      const [parent, child] = [await at([utf8("first")]), await at([utf8("first"), element])];
      const mac = createHmac("sha512", bytesOf(parent, "chain_code"))
        .update(bytesOf(parent, "public_key"))
        .update(element)
        .digest();
      const point = libsecp.pointAddScalar(
        bytesOf(parent, "public_key"),
        new Uint8Array(mac.subarray(0, 32)),
        true,
      );
      assert.equal(hex(bytesOf(child, "public_key")), hex(point ?? EMPTY));
      assert.equal(hex(bytesOf(child, "chain_code")), hex(new Uint8Array(mac.subarray(32))));
    }
  },
);
keys(
  "schnorr_public_key of Ed25519: an element of the path is a step of the published derivation",
  async (world) => {
    const canister = await world.universal();
    const at = (derivation_path: readonly Uint8Array[]) =>
      answer(canister, "schnorr_public_key", { derivation_path, key_id: schnorrKey("ed25519", "key_1") });
    const element = utf8("an element");
    const [parent, child] = [await at([]), await at([element])];
    const material = join([bytesOf(parent, "public_key"), element]);
    const derived = new Uint8Array(
      hkdfSync("sha512", material, bytesOf(parent, "chain_code"), "Ed25519", 96),
    );
    const offset = BigInt(`0x${hex(derived.subarray(0, 64))}`) % ed25519.Point.Fn.ORDER;
    const point = ed25519.Point.fromBytes(bytesOf(parent, "public_key")).add(
      ed25519.Point.BASE.multiply(offset),
    );
    assert.equal(hex(bytesOf(child, "public_key")), hex(point.toBytes()));
    assert.equal(hex(bytesOf(child, "chain_code")), hex(derived.subarray(64)));
  },
);
keys.each("sign_with_schnorr of Ed25519: the platform verifies", NAMES, async (world, name) => {
  const canister = await world.universal();
  const key_id = schnorrKey("ed25519", name);
  const { public_key = EMPTY } = await answer(canister, "schnorr_public_key", {
    derivation_path: path,
    key_id,
  });
  for (const text of [EMPTY, message, new Uint8Array(1_000)]) {
    const signed = await answer(canister, "sign_with_schnorr", {
      message: text,
      derivation_path: path,
      key_id,
    });
    assert.ok(verify(null, text, ed25519Key(public_key), bytesOf(signed, "signature")));
  }
});
keys.each("sign_with_schnorr of BIP 340: libsecp256k1 verifies", NAMES, async (world, name) => {
  const canister = await world.universal();
  const key_id = schnorrKey("bip340secp256k1", name);
  const { public_key = EMPTY } = await answer(canister, "schnorr_public_key", {
    derivation_path: path,
    key_id,
  });
  assert.equal(public_key.length, 33);
  const signed = await answer(canister, "sign_with_schnorr", {
    message: digest,
    derivation_path: path,
    key_id,
  });
  const signature = bytesOf(signed, "signature");
  assert.ok(libsecp.verifySchnorr(digest, public_key.slice(1), signature));
  assert.ok(!libsecp.verifySchnorr(sha256(digest), public_key.slice(1), signature));
});
keys.each(
  "sign_with_schnorr of BIP 340 with a taproot tweak: libsecp256k1 verifies under the tweaked key",
  [EMPTY, sha256(utf8("a tree"))],
  async (world, root) => {
    const canister = await world.universal();
    const key_id = schnorrKey("bip340secp256k1", "key_1");
    const { public_key = EMPTY } = await answer(canister, "schnorr_public_key", {
      derivation_path: [],
      key_id,
    });
    const aux = { bip341: { merkle_root_hash: root } };
    const signed = await answer(canister, "sign_with_schnorr", {
      message: digest,
      derivation_path: [],
      key_id,
      aux,
    });
    const internal = public_key.slice(1);
    const tag = sha256(utf8("TapTweak"));
    const output = libsecp.xOnlyPointAddTweak(internal, sha256(tag, tag, internal, root));
    const signature = bytesOf(signed, "signature");
    assert.ok(output !== null && libsecp.verifySchnorr(digest, output.xOnlyPubkey, signature));
    assert.ok(!libsecp.verifySchnorr(digest, internal, signature));
  },
);
keys("schemes and names have keys of their own", async (world) => {
  const canister = await world.universal();
  const all = await Promise.all([
    ...NAMES.map((name) =>
      answer(canister, "ecdsa_public_key", { derivation_path: [], key_id: ecdsaKey(name) }),
    ),
    ...NAMES.flatMap((name) =>
      ["bip340secp256k1", "ed25519"].map((algorithm) =>
        answer(canister, "schnorr_public_key", { derivation_path: [], key_id: schnorrKey(algorithm, name) }),
      ),
    ),
    ...NAMES.map((name) => answer(canister, "vetkd_public_key", { context: EMPTY, key_id: vetKdKey(name) })),
  ]);
  assert.equal(new Set(all.map((fields) => hex(bytesOf(fields, "public_key")))).size, 8);
});
keys("a path of 255 elements is taken", async (world) => {
  const canister = await world.universal();
  const derivation_path = Array.from({ length: 255 }, () => Uint8Array.of(1));
  const { public_key = EMPTY } = await answer(canister, "ecdsa_public_key", {
    derivation_path,
    key_id: ecdsaKey("key_1"),
  });
  assert.equal(public_key.length, 33);
});
keys("public keys are free", async (world) => {
  const canister = await world.universal();
  for (const [method, value] of CALLS) {
    if (method.endsWith("public_key"))
      assert.equal((await ask(canister, method, value, 0n)).kind, "reply", method);
  }
});

keys("vetkd_derive_key: the published client decrypts and verifies what was derived", async (world) => {
  const canister = await world.universal();
  const [context, input, key_id] = [utf8("a context"), utf8("an input"), vetKdKey("key_1")];
  const transport = TransportSecretKey.random();
  const { public_key = EMPTY } = await answer(canister, "vetkd_public_key", { context, key_id });
  const transport_public_key = transport.publicKeyBytes();
  const { encrypted_key = EMPTY } = await answer(canister, "vetkd_derive_key", {
    input,
    context,
    transport_public_key,
    key_id,
  });
  assert.deepEqual([public_key.length, encrypted_key.length], [96, 192]);
  const derived = DerivedPublicKey.deserialize(public_key);
  const encrypted = EncryptedVetKey.deserialize(encrypted_key);
  assert.equal(encrypted.decryptAndVerify(transport, derived, input).signatureBytes().length, 48);
  assert.throws(() => encrypted.decryptAndVerify(transport, derived, utf8("another input")));
  assert.throws(() => encrypted.decryptAndVerify(TransportSecretKey.random(), derived, input));
});
keys("vetkd_derive_key: two transport keys carry one derived key", async (world) => {
  const canister = await world.universal();
  const [context, input, key_id] = [utf8("a context"), utf8("an input"), vetKdKey("test_key_1")];
  const { public_key = EMPTY } = await answer(canister, "vetkd_public_key", { context, key_id });
  const derived = DerivedPublicKey.deserialize(public_key);
  const one = async (): Promise<string> => {
    const transport = TransportSecretKey.random();
    const value = { input, context, transport_public_key: transport.publicKeyBytes(), key_id };
    const { encrypted_key = EMPTY } = await answer(canister, "vetkd_derive_key", value);
    return hex(
      EncryptedVetKey.deserialize(encrypted_key).decryptAndVerify(transport, derived, input).signatureBytes(),
    );
  };
  assert.equal(await one(), await one());
});
keys("vetkd_public_key: the published client derives a context's key from the canister's", async (world) => {
  const canister = await world.universal();
  const context = utf8("a context");
  const at = async (of: Uint8Array): Promise<Uint8Array> =>
    bytesOf(
      await answer(canister, "vetkd_public_key", { context: of, key_id: vetKdKey("key_1") }),
      "public_key",
    );
  const derived = DerivedPublicKey.deserialize(await at(EMPTY)).deriveSubKey(context);
  assert.equal(hex(derived.publicKeyBytes()), hex(await at(context)));
});
keys("vetkd_public_key: another canister's key may be asked for, and differs", async (world) => {
  const [a, b] = await pair(world);
  const value = { context: EMPTY, key_id: vetKdKey("key_1") };
  const own = await answer(b, "vetkd_public_key", value);
  assert.deepEqual(await answer(a, "vetkd_public_key", { ...value, canister_id: b.id }), own);
  assert.notDeepEqual(await answer(a, "vetkd_public_key", value), own);
});

keys.each("users cannot call one by ingress", CALLS, async (world, [method, value]) => {
  rejected(await world.manage(method, value), { code: 4, error: "IC0406", from: "submission" });
});
keys.each("an unknown key is rejected, whichever the method", CALLS, async (world, [method, value]) => {
  const canister = await world.universal();
  const key_id = { ...(value as { key_id: object }).key_id, name: "no such key" };
  const outcome = await ask(canister, method, { ...value, key_id });
  assert.ok(outcome.kind === "reject" && [3, 4].includes(outcome.code), JSON.stringify(outcome));
  assert.match(outcome.message, /no such key/);
});
keys.each(
  "a cycle less than the price is rejected, the price is taken",
  PAID,
  async (world, [method, value]) => {
    const canister = await world.universal();
    const poor = await ask(canister, method, value, FEE - 1n);
    assert.ok(poor.kind === "reject" && poor.code === 4, JSON.stringify(poor));
    assert.match(poor.message, /9_999_999_999 cycles, but 10_000_000_000 cycles are required/);
    assert.equal((await ask(canister, method, value, FEE)).kind, "reply");
  },
);
const refundOf = async (from: Universal, method: string, value: object, cycles: bigint): Promise<bigint> => {
  const back = [ic0.msg_cycles_refunded, reply64];
  const arg = encodeArg(method, value);
  const call = callOut({ to: MANAGEMENT, method, arg, cycles, onReply: back, onReject: back });
  return numberOf(replied(await from.update(call)));
};
keys.each("what is attached over the price comes back", PAID, async (world, [method, value]) => {
  assert.equal(await refundOf(await world.universal(), method, value, FEE + 7n), 7n);
});
keys("key_1 has the price of its larger subnet", async (world) => {
  const canister = await world.universal();
  const value = { message_hash: digest, derivation_path: [], key_id: ecdsaKey("key_1") };
  assert.equal(await refundOf(canister, "sign_with_ecdsa", value, FEE_KEY_1 + 1n), 1n);
  assert.equal(await refundOf(canister, "sign_with_ecdsa", value, FEE_KEY_1 - 1n), FEE_KEY_1 - 1n);
});
keys.each(
  "what an argument must not be is rejected and costs nothing",
  [
    [
      "sign_with_ecdsa",
      { message_hash: digest.slice(1), derivation_path: [], key_id: ecdsaKey("test_key_1") },
    ],
    [
      "sign_with_ecdsa",
      { message_hash: join([digest, Uint8Array.of(1)]), derivation_path: [], key_id: ecdsaKey("test_key_1") },
    ],
    [
      "sign_with_ecdsa",
      {
        message_hash: digest,
        derivation_path: Array.from({ length: 256 }, () => EMPTY),
        key_id: ecdsaKey("test_key_1"),
      },
    ],
    [
      "sign_with_schnorr",
      {
        message,
        derivation_path: [],
        key_id: schnorrKey("ed25519", "test_key_1"),
        aux: { bip341: { merkle_root_hash: EMPTY } },
      },
    ],
    [
      "sign_with_schnorr",
      {
        message: digest,
        derivation_path: [],
        key_id: schnorrKey("bip340secp256k1", "test_key_1"),
        aux: { bip341: { merkle_root_hash: new Uint8Array(31) } },
      },
    ],
    [
      "vetkd_derive_key",
      {
        input: EMPTY,
        context: EMPTY,
        transport_public_key: new Uint8Array(47),
        key_id: vetKdKey("test_key_1"),
      },
    ],
  ] as const,
  async (world, [method, value]) => {
    const canister = await world.universal();
    const outcome = await ask(canister, method, value);
    assert.ok(outcome.kind === "reject" && [4, 5].includes(outcome.code), JSON.stringify(outcome));
    assert.equal(await refundOf(canister, method, value, FEE), FEE);
  },
);
keys("a transport key that is no point is rejected", async (world) => {
  const value = {
    input: EMPTY,
    context: EMPTY,
    transport_public_key: new Uint8Array(48).fill(255),
    key_id: vetKdKey("test_key_1"),
  };
  relayedReject(
    await (await world.universal()).update(managementCall("vetkd_derive_key", value, { cycles: FEE })),
    [4, 5],
  );
});
keys("signatures asked for at once are all given", async (world) => {
  const canister = await world.universal();
  const value = { message_hash: digest, derivation_path: [], key_id: ecdsaKey("key_1") };
  const made = await Promise.all(Array.from({ length: 6 }, () => ask(canister, "sign_with_ecdsa", value)));
  assert.deepEqual(
    made.filter(({ kind }) => kind !== "reply"),
    [],
  );
});
keys("a best-effort call is answered", async (world) => {
  const canister = await world.universal();
  const arg = encodeArg("sign_with_ecdsa", {
    message_hash: digest,
    derivation_path: [],
    key_id: ecdsaKey("test_key_1"),
  });
  const call = callOut({ to: MANAGEMENT, method: "sign_with_ecdsa", arg, cycles: FEE, timeoutSeconds: 60 });
  assert.equal(
    decodeResult("sign_with_ecdsa", relayedReply(await canister.update(call))).signature.length,
    64,
  );
});
