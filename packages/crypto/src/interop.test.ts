/**
 * What the unmodified client library makes and checks: its envelopes pass our validator, our certificates
 * pass its verifier.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Certificate, HttpAgent, type Identity } from "@icp-sdk/core/agent";
import {
  DelegationChain,
  DelegationIdentity,
  ECDSAKeyIdentity,
  Ed25519KeyIdentity,
} from "@icp-sdk/core/identity";
import { Secp256k1KeyIdentity } from "@icp-sdk/core/identity/secp256k1";
import { Principal } from "@icp-sdk/core/principal";
import { canisterIdFromIndex, decodeEnvelope, encodeUleb128, principalKey, toHex, utf8 } from "@orrery/base";
import { secretFromSeed } from "./bls.ts";
import { createMclBls } from "./bls-mcl.ts";
import { encodeCertificate, stateRootMessage } from "./certificate.ts";
import { nobleSignatures } from "./curves.ts";
import { blsToDer } from "./der.ts";
import { validateEnvelope } from "./ingress.ts";
import { emptyTree, treeSet } from "./label-tree.ts";
import { treeHash } from "./label-tree-hash.ts";
import { createSignatureVerifier } from "./signatures.ts";
import { createSoleSigner } from "./threshold.ts";
import { witness } from "./witness.ts";

const ID = canisterIdFromIndex(1n);
const CANISTER = Principal.fromUint8Array(ID);

/** Bodies that the library's agent posts for a call, a query and a read_state of one identity. */
async function bodies(identity: Identity | null): Promise<readonly Uint8Array[]> {
  const sent: Uint8Array[] = [];
  const capture = async (_url: unknown, init?: { readonly body?: unknown }): Promise<never> => {
    sent.push(new Uint8Array(init?.body as Uint8Array));
    throw new Error("captured");
  };
  const agent = await HttpAgent.create({
    ...(identity === null ? {} : { identity }),
    host: "http://127.0.0.1:1",
    shouldSyncTime: false,
    retryTimes: 0,
    verifyQuerySignatures: false,
    fetch: capture as typeof globalThis.fetch,
  });
  const call = { methodName: "greet", arg: utf8("DIDL"), effectiveCanisterId: CANISTER };
  await assert.rejects(agent.call(CANISTER, call));
  await assert.rejects(agent.query(CANISTER, call));
  await assert.rejects(agent.readState({ canisterId: CANISTER }, { paths: [[utf8("time")]] }));
  return sent;
}

test("envelopes of the library's identities pass the validator", async () => {
  const [outer, inner] = [5, 6].map((i) => Ed25519KeyIdentity.generate(new Uint8Array(32).fill(i)));
  assert.ok(outer !== undefined && inner !== undefined);
  const expiration = new Date(Date.now() + 3_600_000);
  const chain = await DelegationChain.create(outer, inner.getPublicKey(), expiration, {
    targets: [CANISTER],
  });
  const identities: readonly (Identity | null)[] = [
    null,
    outer,
    Secp256k1KeyIdentity.generate(new Uint8Array(32).fill(9)),
    await ECDSAKeyIdentity.generate(),
    DelegationIdentity.fromDelegation(inner, chain),
  ];
  for (const identity of identities) {
    const sent = await bodies(identity);
    assert.equal(sent.length, 3);
    for (const body of sent) {
      const envelope = decodeEnvelope(body);
      assert.ok(envelope.ok);
      const now = BigInt(Date.now()) * 1_000_000n;
      const valid = validateEnvelope(envelope.value, {
        now,
        verifier: createSignatureVerifier({ basic: nobleSignatures }),
      });
      assert.ok(valid.ok, valid.ok ? "" : valid.error.text);
      const sender = identity?.getPrincipal() ?? Principal.anonymous();
      assert.equal(toHex(valid.value.sender), sender.toHex().toLowerCase());
      const delegated = identity instanceof DelegationIdentity;
      assert.deepEqual(valid.value.targets, delegated ? new Set([principalKey(ID)]) : null);
    }
  }
});

test("the library verifies our certificates and reads them alike", async () => {
  const signer = createSoleSigner({
    bls: await createMclBls(),
    secret: secretFromSeed(new Uint8Array(32).fill(1)),
  });
  const requestId = new Uint8Array(32).fill(7);
  const status = [utf8("request_status"), requestId];
  const module = (i: number) => [utf8("canister"), canisterIdFromIndex(BigInt(i)), utf8("module_hash")];
  let state = treeSet(emptyTree(), [utf8("time")], encodeUleb128(BigInt(Date.now()) * 1_000_000n));
  state = treeSet(state, [...status, utf8("status")], utf8("replied"));
  state = treeSet(state, [...status, utf8("reply")], utf8("DIDL"));
  for (let i = 0; i < 50; i++) state = treeSet(state, module(i), new Uint8Array(32).fill(i));
  const paths = [[utf8("time")], status, module(3), module(99)];
  const signature = signer.combine([signer.signShare(stateRootMessage(treeHash(state)))]);
  assert.ok(signature.ok);
  const certificate = await Certificate.create({
    certificate: encodeCertificate({
      tree: witness(state, paths),
      signature: signature.value,
      delegation: null,
    }),
    rootKey: blsToDer(signer.publicKey),
    principal: { canisterId: CANISTER },
  });
  const look = (path: readonly Uint8Array[]) => certificate.lookup_path([...path]);
  assert.deepEqual(look([...status, utf8("reply")]), { status: "Found", value: utf8("DIDL") });
  assert.deepEqual(look(module(3)), { status: "Found", value: new Uint8Array(32).fill(3) });
  assert.equal(look(module(99)).status, "Absent");
  assert.equal(look(module(4)).status, "Unknown");
});
