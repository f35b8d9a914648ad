import assert from "node:assert/strict";
import { createHash, createPublicKey, verify } from "node:crypto";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { type CanisterId, fromHex, principalToText, toHex, utf8 } from "@orrery/base";
import { ed25519ToDer } from "@orrery/crypto";
import { createChainKeys } from "@orrery/crypto/chain-keys";
import { type ChainKeyId, decodeSystem, encodeSystem } from "@orrery/state";
import { LOCAL_CHAIN_KEYS } from "../local-network.ts";
import { ASKER, type Asked, ask, askArg } from "../testing/asker.testkit.ts";
import { encode, TestSubnet } from "../testing/subnet.testkit.ts";
import { totalCycles } from "../testing/total-cycles.testkit.ts";

const NAMES = ["dfx_test_key", "test_key_1", "key_1"];
const KEYS: readonly ChainKeyId[] = NAMES.flatMap((name): ChainKeyId[] => [
  { kind: "ecdsa", curve: "secp256k1", name },
  { kind: "schnorr", algorithm: "bip340secp256k1", name },
  { kind: "schnorr", algorithm: "ed25519", name },
  { kind: "vetkd", curve: "bls12_381_g2", name },
]);
const SEED = new Uint8Array(32).fill(5);
const FEE = 10_000_000_000n;
const KEY_1_FEE = 26_153_846_153n;

/** The generator of G1: the transport key of secret 1. */
const TRANSPORT_KEY: Uint8Array = fromHex(
  "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb",
);

const Blob = IDL.Vec(IDL.Nat8);
const Path = IDL.Vec(Blob);
const EcdsaKeyId = IDL.Record({ curve: IDL.Variant({ secp256k1: IDL.Null }), name: IDL.Text });
const SchnorrKeyId = IDL.Record({
  algorithm: IDL.Variant({ bip340secp256k1: IDL.Null, ed25519: IDL.Null }),
  name: IDL.Text,
});
const VetKdKeyId = IDL.Record({ curve: IDL.Variant({ bls12_381_g2: IDL.Null }), name: IDL.Text });
const Aux = IDL.Variant({ bip341: IDL.Record({ merkle_root_hash: Blob }) });

const types = {
  ecdsa_public_key: IDL.Record({
    canister_id: IDL.Opt(IDL.Principal),
    derivation_path: Path,
    key_id: EcdsaKeyId,
  }),
  schnorr_public_key: IDL.Record({
    canister_id: IDL.Opt(IDL.Principal),
    derivation_path: Path,
    key_id: SchnorrKeyId,
  }),
  vetkd_public_key: IDL.Record({
    canister_id: IDL.Opt(IDL.Principal),
    context: Blob,
    key_id: VetKdKeyId,
  }),
  sign_with_ecdsa: IDL.Record({ message_hash: Blob, derivation_path: Path, key_id: EcdsaKeyId }),
  sign_with_schnorr: IDL.Record({
    message: Blob,
    derivation_path: Path,
    key_id: SchnorrKeyId,
    aux: IDL.Opt(Aux),
  }),
  vetkd_derive_key: IDL.Record({
    input: Blob,
    context: Blob,
    transport_public_key: Blob,
    key_id: VetKdKeyId,
  }),
};
type Method = keyof typeof types;

const ecdsaKey = (name: string) => ({ curve: { secp256k1: null }, name });
const schnorrKey = (algorithm: string, name: string) => ({ algorithm: { [algorithm]: null }, name });
const vetKdKey = (name: string) => ({ curve: { bls12_381_g2: null }, name });

function newSubnet(type: "application" | "system" = "application"): TestSubnet {
  return new TestSubnet({ subnet: { chainKeys: KEYS, type }, chainKeys: createChainKeys(SEED) });
}

function call(subnet: TestSubnet, from: CanisterId, method: Method, value: unknown, cycles = 0n): Asked {
  return ask(subnet, from, { method, payload: encode([types[method]], [value]), cycles });
}

function decoded<T>(answer: Asked, fields: Record<string, IDL.Type>): T {
  assert.equal(answer.code, 0, answer.text);
  return IDL.decode([IDL.Record(fields)], answer.data)[0] as T;
}

const HASH = new Uint8Array(createHash("sha256").update("message").digest());
const path = [utf8("a"), new Uint8Array(0)];

test("signatures verify under the public keys that the subnet gives out, and cost their fee", () => {
  const subnet = newSubnet();
  const id = subnet.installed(ASKER);
  const before = totalCycles(subnet.state);
  const keys = createChainKeys(SEED);
  for (const name of NAMES) {
    const fee = name === "key_1" ? KEY_1_FEE : FEE;
    const extended = decoded<{ public_key: Uint8Array; chain_code: Uint8Array }>(
      call(subnet, id, "ecdsa_public_key", {
        canister_id: [],
        derivation_path: path,
        key_id: ecdsaKey(name),
      }),
      { public_key: Blob, chain_code: Blob },
    );
    const ref = { name, canisterId: id, path };
    assert.deepEqual(new Uint8Array(extended.public_key), keys.ecdsaPublicKey(ref).publicKey);
    assert.deepEqual(new Uint8Array(extended.chain_code), keys.ecdsaPublicKey(ref).chainCode);
    const signed = call(
      subnet,
      id,
      "sign_with_ecdsa",
      { message_hash: HASH, derivation_path: path, key_id: ecdsaKey(name) },
      fee + 7n,
    );
    assert.equal(signed.refunded, 7n);
    const { signature } = decoded<{ signature: Uint8Array }>(signed, { signature: Blob });
    assert.deepEqual(new Uint8Array(signature), keys.signWithEcdsa(ref, HASH));
  }
  assert.equal(totalCycles(subnet.state), before);
});

test("Schnorr: both algorithms, for another canister's public key too, with a taproot root", () => {
  const subnet = newSubnet();
  const id = subnet.installed(ASKER);
  const other = subnet.create();
  const keys = createChainKeys(SEED);
  const answer = call(subnet, id, "schnorr_public_key", {
    canister_id: [CandidPrincipal.fromUint8Array(other)],
    derivation_path: [],
    key_id: schnorrKey("ed25519", "key_1"),
  });
  const { public_key } = decoded<{ public_key: Uint8Array }>(answer, {
    public_key: Blob,
    chain_code: Blob,
  });
  const ref = { name: "key_1", canisterId: other, path: [] };
  assert.deepEqual(new Uint8Array(public_key), keys.schnorrPublicKey("ed25519", ref).publicKey);
  const sign = (algorithm: string, aux: unknown[], message = HASH): Asked =>
    call(
      subnet,
      id,
      "sign_with_schnorr",
      { message, derivation_path: path, key_id: schnorrKey(algorithm, "dfx_test_key"), aux },
      FEE,
    );
  const own = { name: "dfx_test_key", canisterId: id, path };
  const { signature } = decoded<{ signature: Uint8Array }>(sign("ed25519", []), { signature: Blob });
  const der = ed25519ToDer(keys.schnorrPublicKey("ed25519", own).publicKey);
  const platform = createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  assert.ok(verify(null, HASH, platform, new Uint8Array(signature)));
  for (const root of [new Uint8Array(0), HASH]) {
    const spent = decoded<{ signature: Uint8Array }>(
      sign("bip340secp256k1", [{ bip341: { merkle_root_hash: root } }]),
      { signature: Blob },
    );
    assert.deepEqual(
      new Uint8Array(spent.signature),
      keys.signWithSchnorr("bip340secp256k1", own, { message: HASH, merkleRoot: root }),
    );
  }
  assert.deepEqual(
    [sign("ed25519", [{ bip341: { merkle_root_hash: HASH } }]).text, sign("ed25519", []).code],
    ["Schnorr algorithm Ed25519 does not support aux input", 0],
  );
  const wrong = sign("bip340secp256k1", [{ bip341: { merkle_root_hash: HASH.slice(1) } }]);
  assert.deepEqual(
    [wrong.code, wrong.text, wrong.refunded],
    [4, "Invalid aux field for Bip340Secp256k1", FEE],
  );
});

test("vetKD: keys of contexts, and encrypted keys", () => {
  const subnet = newSubnet();
  const id = subnet.installed(ASKER);
  const keys = createChainKeys(SEED);
  const context = utf8("ctx");
  const { public_key } = decoded<{ public_key: Uint8Array }>(
    call(subnet, id, "vetkd_public_key", { canister_id: [], context, key_id: vetKdKey("test_key_1") }),
    { public_key: Blob },
  );
  assert.deepEqual(new Uint8Array(public_key), keys.vetKdPublicKey("test_key_1", id, context));
  const derive = (transport: Uint8Array): Asked =>
    call(
      subnet,
      id,
      "vetkd_derive_key",
      { input: utf8("in"), context, transport_public_key: transport, key_id: vetKdKey("test_key_1") },
      FEE,
    );
  const { encrypted_key } = decoded<{ encrypted_key: Uint8Array }>(derive(TRANSPORT_KEY), {
    encrypted_key: Blob,
  });
  const request = { canisterId: id, context, input: utf8("in"), transportPublicKey: TRANSPORT_KEY };
  assert.deepEqual(new Uint8Array(encrypted_key), keys.vetKdDeriveKey("test_key_1", request));
  assert.deepEqual([derive(new Uint8Array(48)).code, derive(new Uint8Array(47)).code], [4, 4]);
  assert.match(derive(new Uint8Array(47)).text, /^IC0408: Error decoding candid: .*48/);
});

test("what cannot be signed is refused with everything paid given back", () => {
  const subnet = newSubnet();
  const id = subnet.installed(ASKER);
  const before = totalCycles(subnet.state);
  const sign = (value: object, cycles = FEE): Asked =>
    call(
      subnet,
      id,
      "sign_with_ecdsa",
      { message_hash: HASH, derivation_path: path, key_id: ecdsaKey("test_key_1"), ...value },
      cycles,
    );
  const poor = sign({}, FEE - 1n);
  assert.deepEqual(
    [poor.code, poor.refunded, poor.text],
    [
      4,
      FEE - 1n,
      "sign_with_ecdsa request sent with 9_999_999_999 cycles, but 10_000_000_000 cycles are required.",
    ],
  );
  const short = sign({ message_hash: HASH.slice(1) });
  assert.deepEqual([short.code, short.refunded], [4, FEE]);
  const long = sign({ derivation_path: Array.from({ length: 256 }, () => new Uint8Array(0)) });
  assert.match(long.text, /The number of elements exceeds maximum allowed 255/);
  assert.equal(sign({ derivation_path: Array.from({ length: 255 }, () => new Uint8Array(0)) }).code, 0);
  const unknown = sign({ key_id: ecdsaKey("nobody") });
  const existing = [...NAMES].sort().map((name) => `ecdsa:Secp256k1:${name}`);
  assert.equal(unknown.code, 3);
  assert.ok(
    unknown.text.startsWith(
      "Unable to route management canister request sign_with_ecdsa: ChainKeyError(" +
        `"Requested unknown or disabled threshold key: ecdsa:Secp256k1:nobody, existing enabled keys: [${existing.join(", ")}, schnorr:`,
    ),
    unknown.text,
  );
  assert.equal(unknown.refunded, FEE);
  assert.equal(totalCycles(subnet.state), before);
});

test("20 requests wait for a key; more are refused, and other keys are not concerned", () => {
  const subnet = newSubnet("system");
  const id = subnet.installed(ASKER);
  const arg = (name: string): Uint8Array => {
    const value = { message_hash: HASH, derivation_path: [], key_id: ecdsaKey(name) };
    return askArg("sign_with_ecdsa", encode([types.sign_with_ecdsa], [value]));
  };
  const messages = Array.from({ length: 21 }, () =>
    subnet.envelope({ canisterId: id, method: "ask", arg: arg("key_1") }),
  );
  messages.push(subnet.envelope({ canisterId: id, method: "ask", arg: arg("test_key_1") }));
  subnet.round(messages.map(({ bytes }) => bytes));
  assert.equal(subnet.state.pendingManagement.length, 21);
  const state = decodeSystem(encodeSystem(subnet.state));
  assert.deepEqual(state.pendingManagement, subnet.state.pendingManagement);
  const texts = messages.map(({ id: request }) => {
    const status = subnet.settle(request);
    assert.equal(status.kind, "replied");
    return status.kind === "replied" && status.reply[0] === 0;
  });
  assert.deepEqual(texts.filter(Boolean).length, 21);
  assert.equal(texts[20], false);
});

test("a round answers what it has time for, and the rest in order in the next ones", () => {
  const subnet = newSubnet("system");
  const id = subnet.installed(ASKER);
  const before = totalCycles(subnet.state);
  const key_id = vetKdKey("key_1");
  const messages = Array.from({ length: 20 }, (_, i) => {
    const value = { input: Uint8Array.of(i), context: HASH, transport_public_key: TRANSPORT_KEY, key_id };
    const arg = askArg("vetkd_derive_key", encode([types.vetkd_derive_key], [value]));
    return subnet.envelope({ canisterId: id, method: "ask", arg });
  });
  subnet.round(messages.map(({ bytes }) => bytes));
  const waiting: number[] = [];
  while (subnet.state.pendingManagement.length > 0) {
    waiting.push(subnet.state.pendingManagement.length);
    assert.equal(subnet.results.at(-1)?.moreWork, true);
    subnet.round();
  }
  assert.deepEqual(waiting, [20, 11, 2]);
  for (const { id: request } of messages) assert.equal(subnet.settle(request).kind, "replied");
  assert.equal(totalCycles(subnet.state), before);
  // Public keys are free, but a round is not.
  const long = { canister_id: [], derivation_path: Array(255).fill(HASH), key_id: ecdsaKey("key_1") };
  const arg = askArg("ecdsa_public_key", encode([types.ecdsa_public_key], [long]));
  const many = Array.from({ length: 20 }, () => subnet.envelope({ canisterId: id, method: "ask", arg }));
  subnet.round(many.map(({ bytes }) => bytes));
  assert.ok(subnet.state.managementQueue.length > 0, "some wait for the next round");
});

test("a subnet without the key says so to whoever calls it by its own name; secrets must match the record", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(ASKER);
  const value = { canister_id: [], derivation_path: [], key_id: ecdsaKey("key_1") };
  const answer = call(subnet, id, "ecdsa_public_key", value);
  assert.deepEqual(
    [answer.code, answer.text],
    [
      3,
      "Unable to route management canister request ecdsa_public_key: ChainKeyError(" +
        '"Requested unknown threshold key: ecdsa:Secp256k1:key_1, existing keys: []")',
    ],
  );
  // Called by the subnet's id the management canister is this one, whatever others hold.
  const direct = subnet.installed(
    ASKER.replace(
      "(memory 80)",
      `(import "ic0" "subnet_self_size" (func $size (result i32)))
      (import "ic0" "subnet_self_copy" (func $self (param i32 i32 i32))) (memory 80)`,
    ).replace(
      "(call $call_new (i32.const 0) (i32.const 0)",
      `(call $self (i32.const 5200000) (i32.const 0) (call $size))
      (call $call_new (i32.const 5200000) (call $size)`,
    ),
  );
  const ecdsa = ecdsaKey("key_1");
  const rows: readonly (readonly [Method, object, string])[] = [
    ["ecdsa_public_key", value, "ecdsa:Secp256k1:key_1"],
    ["sign_with_ecdsa", { message_hash: HASH, derivation_path: [], key_id: ecdsa }, "ecdsa:Secp256k1:key_1"],
    [
      "schnorr_public_key",
      { canister_id: [], derivation_path: [], key_id: schnorrKey("ed25519", "dfx_test_key") },
      "schnorr:Ed25519:dfx_test_key",
    ],
    [
      "sign_with_schnorr",
      { message: HASH, derivation_path: [], key_id: schnorrKey("bip340secp256k1", "test_key_1"), aux: [] },
      "schnorr:Bip340Secp256k1:test_key_1",
    ],
    [
      "vetkd_public_key",
      { canister_id: [], context: HASH, key_id: vetKdKey("key_1") },
      "vetkd:Bls12_381_G2:key_1",
    ],
    [
      "vetkd_derive_key",
      { input: HASH, context: HASH, transport_public_key: TRANSPORT_KEY, key_id: vetKdKey("key_1") },
      "vetkd:Bls12_381_G2:key_1",
    ],
  ];
  for (const [method, arg, key] of rows) {
    const { code, text, refunded } = call(subnet, direct, method, arg, KEY_1_FEE);
    const name = principalToText(subnet.state.subnet.subnetId);
    assert.deepEqual([code, text], [4, `Subnet ${name} does not hold threshold key ${key}.`], method);
    assert.equal(refunded, KEY_1_FEE);
  }
  assert.throws(() => new TestSubnet({ chainKeys: createChainKeys(SEED) }), { code: "chain_keys_mismatch" });
  assert.throws(() => new TestSubnet({ subnet: { chainKeys: KEYS } }), { code: "chain_keys_mismatch" });
  assert.throws(
    () => new TestSubnet({ subnet: { chainKeys: KEYS, local: false }, chainKeys: createChainKeys(SEED) }),
    { code: "chain_keys_mismatch" },
  );
});

test("a local network answers for every kind of key under every label, each with a key of its own", () => {
  assert.deepEqual(LOCAL_CHAIN_KEYS, KEYS);
  const subnet = newSubnet();
  const id = subnet.installed(ASKER);
  const seen = new Set<string>();
  for (const label of NAMES) {
    const at = { canister_id: [], derivation_path: [] };
    const answers = [
      call(subnet, id, "ecdsa_public_key", { ...at, key_id: ecdsaKey(label) }),
      call(subnet, id, "schnorr_public_key", { ...at, key_id: schnorrKey("bip340secp256k1", label) }),
      call(subnet, id, "schnorr_public_key", { ...at, key_id: schnorrKey("ed25519", label) }),
      call(subnet, id, "vetkd_public_key", { canister_id: [], context: HASH, key_id: vetKdKey(label) }),
    ];
    for (const answer of answers)
      seen.add(
        toHex(new Uint8Array(decoded<{ public_key: number[] }>(answer, { public_key: Blob }).public_key)),
      );
  }
  assert.equal(seen.size, 4 * NAMES.length);
});

test("signatures are not to be had by ingress messages", () => {
  const subnet = newSubnet();
  const payload = encode(
    [types.sign_with_ecdsa],
    [{ message_hash: HASH, derivation_path: [], key_id: ecdsaKey("key_1") }],
  );
  const status = subnet.call({ method: "sign_with_ecdsa", arg: payload });
  assert.equal(status.kind === "rejected" && status.errorCode, "IC0406");
});

test("Bitcoin's methods are refused by name, with what was attached", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(ASKER);
  for (const method of [
    "bitcoin_get_balance",
    "bitcoin_get_utxos",
    "bitcoin_send_transaction",
    "bitcoin_get_current_fee_percentiles",
    "bitcoin_get_block_headers",
  ]) {
    const answer = ask(subnet, id, { method, payload: encode([], []), cycles: 9n });
    assert.deepEqual([answer.code, answer.refunded], [4, 9n]);
    assert.equal(
      answer.text,
      `${method} is not offered here: this network is not connected to the Bitcoin network`,
    );
  }
});
