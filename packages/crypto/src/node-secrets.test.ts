/** Secrets of nodes: the same from the same seed, unrelated to each other, and of the right kinds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex, utf8 } from "@orrery/base";
import { createMclCurve } from "./bls-mcl.ts";
import { ed25519Signer, nobleSignatures } from "./curves.ts";
import { createEncryptionKey, verifyEncryptionKey } from "./dkg/encryption-key.ts";
import { deriveNodeSecrets, NODE_SEED_BYTES } from "./node-secrets.ts";

const SEED = new Uint8Array(NODE_SEED_BYTES).fill(7);

test("every secret follows from the seed, and no two are the same", () => {
  const secrets = deriveNodeSecrets(SEED);
  assert.deepEqual(deriveNodeSecrets(SEED.slice()), secrets);
  const others = deriveNodeSecrets(new Uint8Array(NODE_SEED_BYTES).fill(8));
  const all = [...Object.values(secrets), ...Object.values(others), SEED].map(toHex);
  assert.equal(new Set(all).size, all.length);
  assert.ok(Object.values(secrets).every((secret) => secret.length === NODE_SEED_BYTES));
  // Kept as they are: a node that is restored from its seed must have its id.
  assert.equal(toHex(secrets.signing), "d31c0cda0cdbfe1b03daaa522e64c7a39050b19dbb45fccebc4d52169d84dbc0");
});

test("they are keys of signatures and of key generation", async () => {
  const { signing, committee, tls, encryption } = deriveNodeSecrets(SEED);
  const message = utf8("a block");
  for (const secret of [signing, committee, tls]) {
    const signer = ed25519Signer(secret);
    assert.ok(nobleSignatures.ed25519(signer.publicKeyDer.slice(-32), message, signer.sign(message)));
  }
  const curve = await createMclCurve();
  const { record } = createEncryptionKey(curve, encryption, utf8("node"));
  assert.ok(verifyEncryptionKey(curve, record, utf8("node")).ok);
});

test("a seed of another length is refused", () => {
  for (const length of [0, 31, 33, 64])
    assert.throws(() => deriveNodeSecrets(new Uint8Array(length)), { code: "node_key_invalid" });
});
