/**
 * Chain keys over the HTTPS interface (interface spec, methods on ECDSA, Schnorr and vetKD keys): what a canister gets verifies with
 * libraries that know nothing of this network, and survives a kill.
 */
import assert from "node:assert/strict";
import { createHash, createPublicKey, ECDH, verify } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import { agentFor, type Network, startNetwork } from "../harness.ts";
import { ask, newAsker, type Told } from "./asking.ts";

const Blob = IDL.Vec(IDL.Nat8);
const EcdsaKeyId = IDL.Record({ curve: IDL.Variant({ secp256k1: IDL.Null }), name: IDL.Text });
const SchnorrKeyId = IDL.Record({
  algorithm: IDL.Variant({ bip340secp256k1: IDL.Null, ed25519: IDL.Null }),
  name: IDL.Text,
});
const EcdsaPublicKeyArgs = IDL.Record({
  canister_id: IDL.Opt(IDL.Principal),
  derivation_path: IDL.Vec(Blob),
  key_id: EcdsaKeyId,
});
const SignEcdsaArgs = IDL.Record({ message_hash: Blob, derivation_path: IDL.Vec(Blob), key_id: EcdsaKeyId });
const SchnorrPublicKeyArgs = IDL.Record({
  canister_id: IDL.Opt(IDL.Principal),
  derivation_path: IDL.Vec(Blob),
  key_id: SchnorrKeyId,
});
const SignSchnorrArgs = IDL.Record({ message: Blob, derivation_path: IDL.Vec(Blob), key_id: SchnorrKeyId });
const VetKdPublicKeyArgs = IDL.Record({
  canister_id: IDL.Opt(IDL.Principal),
  context: Blob,
  key_id: IDL.Record({ curve: IDL.Variant({ bls12_381_g2: IDL.Null }), name: IDL.Text }),
});
const PublicKeyResult = IDL.Record({ public_key: Blob, chain_code: Blob });

const ecdsaKey = (name: string) => ({ curve: { secp256k1: null }, name });
const message = new TextEncoder().encode("a message");
const digest = new Uint8Array(createHash("sha256").update(message).digest());
const path = [new TextEncoder().encode("path")];
const FEE = 10_000_000_000n;
/** SubjectPublicKeyInfo of a point on secp256k1, and of an Ed25519 key, up to the key. */
const SECP256K1_PREFIX = Buffer.from("3056301006072a8648ce3d020106052b8104000a034200", "hex");
const ED25519_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

function field(answer: Told, name: string, type: IDL.Type = IDL.Record({ [name]: Blob })): Uint8Array {
  assert.equal(answer.code, 0, answer.text);
  return new Uint8Array(
    (IDL.decode([type], answer.data)[0] as unknown as Record<string, Uint8Array>)[name] ?? [],
  );
}

describe("chain keys", () => {
  const stateDir = mkdtempSync(join(tmpdir(), "orrery-chain-keys-"));
  const identity = Ed25519KeyIdentity.generate();
  let network: Network;
  let agent: HttpAgent;
  let id: Principal;

  before(async () => {
    network = await startNetwork({ stateDir });
    agent = agentFor(network, identity);
    id = await newAsker(network, agent);
  });
  after(async () => {
    await network.end("SIGTERM");
    rmSync(stateDir, { recursive: true, force: true });
  });

  function call(method: string, type: IDL.Type, value: unknown, cycles = 0n): Promise<Told> {
    return ask(agent, id, { method, arg: IDL.encode([type], [value]), cycles });
  }
  const ecdsaPublicKey = async (name: string): Promise<Uint8Array> =>
    field(
      await call("ecdsa_public_key", EcdsaPublicKeyArgs, {
        canister_id: [],
        derivation_path: path,
        key_id: ecdsaKey(name),
      }),
      "public_key",
      PublicKeyResult,
    );

  test("ECDSA: all three keys sign, and the platform verifies", async () => {
    for (const name of ["dfx_test_key", "test_key_1", "key_1"]) {
      const publicKey = await ecdsaPublicKey(name);
      assert.equal(publicKey.length, 33);
      const signature = field(
        await call(
          "sign_with_ecdsa",
          SignEcdsaArgs,
          { message_hash: digest, derivation_path: path, key_id: ecdsaKey(name) },
          3n * FEE,
        ),
        "signature",
      );
      const point = ECDH.convertKey(publicKey, "secp256k1", undefined, undefined, "uncompressed") as Buffer;
      const key = createPublicKey({
        key: Buffer.concat([SECP256K1_PREFIX, point]),
        format: "der",
        type: "spki",
      });
      assert.ok(verify("sha256", message, { key, dsaEncoding: "ieee-p1363" }, signature), name);
    }
  });

  test("Ed25519 signs, and the platform verifies", async () => {
    const key_id = { algorithm: { ed25519: null }, name: "key_1" };
    const publicKey = field(
      await call("schnorr_public_key", SchnorrPublicKeyArgs, {
        canister_id: [],
        derivation_path: [],
        key_id,
      }),
      "public_key",
      PublicKeyResult,
    );
    const signature = field(
      await call("sign_with_schnorr", SignSchnorrArgs, { message, derivation_path: [], key_id }, 3n * FEE),
      "signature",
    );
    const key = createPublicKey({
      key: Buffer.concat([ED25519_PREFIX, publicKey]),
      format: "der",
      type: "spki",
    });
    assert.ok(verify(null, message, key, signature));
  });

  test("vetKD public keys are points of G2, one a context", async () => {
    const key_id = { curve: { bls12_381_g2: null }, name: "test_key_1" };
    const keys = await Promise.all(
      ["", "a", "b"].map(async (context) =>
        Buffer.from(
          field(
            await call("vetkd_public_key", VetKdPublicKeyArgs, {
              canister_id: [],
              context: new TextEncoder().encode(context),
              key_id,
            }),
            "public_key",
          ),
        ).toString("hex"),
      ),
    );
    assert.equal(new Set(keys).size, 3);
    assert.ok(keys.every((key) => key.length === 192));
  });

  test("unknown keys and missing cycles are refused in the replica's words", async () => {
    const value = { message_hash: digest, derivation_path: path, key_id: ecdsaKey("other") };
    const unknown = await call("sign_with_ecdsa", SignEcdsaArgs, value, FEE);
    assert.equal(unknown.code, 3);
    assert.match(
      unknown.text,
      /Requested unknown or disabled threshold key: ecdsa:Secp256k1:other, existing/,
    );
    const poor = await call(
      "sign_with_ecdsa",
      SignEcdsaArgs,
      { ...value, key_id: ecdsaKey("key_1") },
      26_153_846_152n,
    );
    assert.deepEqual(
      [poor.code, poor.text],
      [4, "sign_with_ecdsa request sent with 26_153_846_152 cycles, but 26_153_846_153 cycles are required."],
    );
  });

  test("Bitcoin's methods are refused by name", async () => {
    const told = await ask(agent, id, {
      method: "bitcoin_get_balance",
      arg: IDL.encode([], []),
      cycles: 100_000_000n,
    });
    assert.equal(told.code, 4);
    assert.match(told.text, /bitcoin_get_balance/);
  });

  test("keys are the same after a kill", async () => {
    const before = await ecdsaPublicKey("key_1");
    await network.end("SIGKILL");
    network = await startNetwork({ stateDir });
    agent = agentFor(network, identity);
    assert.deepEqual(await ecdsaPublicKey("key_1"), before);
  });
});
