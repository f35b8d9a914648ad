/** Delegations issued by a root's view hold for the subnet that they are about, in every form, and for nothing else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, canisterIdFromIndex, type Principal } from "@orrery/base";
import {
  createSoleSigner,
  decodeCertificate,
  encodeCertificate,
  stateRootMessage,
  treeHash,
  verifyCertificate,
} from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { newState, PageReader } from "@orrery/state";
import { FIRST_CANISTER, type LocalSubnet, localNetwork } from "../local-network.ts";
import { formedView } from "../testing/formed.testkit.ts";
import { type Delegation, verifyDelegation } from "./delegation.ts";
import { CertifiedView } from "./view.ts";

const bls = await createMclBls();
const TIME = 1_700_000_000_000_000_000n;
// Nine subnets: the second one's ranges fill more than one shard.
const subnets = localNetwork({
  seed: new Uint8Array(32).fill(6),
  subnets: Array.from({ length: 9 }, (_, i) => ({ type: i === 0 ? "system" : "application", feeSize: 13 })),
  local: true,
  makers: { bls, ed25519PublicKeyDer: (secret) => secret.slice() },
});
const [root, application, third] = subnets as [LocalSubnet, LocalSubnet, LocalSubnet];

function viewOf({ keys, info }: LocalSubnet): CertifiedView {
  const state = newState({ subnet: info, time: TIME });
  const signer = createSoleSigner({ bls, secret: keys.subnetSecret });
  const signature = signer.combine([signer.signShare(stateRootMessage(treeHash(state.tree)))]);
  assert.ok(signature.ok);
  return new CertifiedView({
    snapshot: formedView(state),
    certification: { signature: signature.value, delegation: null },
    pages: new PageReader(),
    inflate: (bytes) => bytes,
  });
}

const rootView = viewOf(root);

function delegationOf({ info }: LocalSubnet): Delegation {
  const delegation = rootView.delegationOf(info.subnetId);
  assert.ok(delegation !== null);
  return delegation;
}

function timeCertificate(
  view: CertifiedView,
  destination: { readonly kind: "canister" | "subnet"; readonly id: Principal },
  ranges: "flat" | "sharded",
): Uint8Array {
  const answer = view.readState({ destination, ranges, paths: [], sender: destination.id, targets: null });
  assert.ok(answer.kind === "certificate");
  return answer.certificate;
}

test("certificates with the delegation verify under the root key, in every form of ranges", () => {
  for (const [subnet, inside, outside] of [
    [application, [FIRST_CANISTER, canisterIdFromIndex(2n ** 20n)], [third.info.allocation.start]],
    [third, [third.info.allocation.start], [FIRST_CANISTER]],
  ] as const) {
    const view = viewOf(subnet);
    const delegation = delegationOf(subnet);
    assert.deepEqual(verifyDelegation(delegation, subnet.info, bls), { ok: true, value: null });
    view.delegate(delegation);
    const rootKeyDer = root.info.publicKey;
    for (const ranges of ["flat", "sharded"] as const) {
      const verdict = (id: CanisterId, of = id): boolean =>
        verifyCertificate({
          bytes: timeCertificate(view, { kind: "canister", id: of }, ranges),
          rootKeyDer,
          scope: { canister: id },
          bls,
          ranges,
        }).ok;
      for (const id of inside) assert.ok(verdict(id), ranges);
      for (const id of outside) assert.ok(!verdict(id, inside[0]), ranges);
      const { subnetId } = subnet.info;
      const own = timeCertificate(view, { kind: "subnet", id: subnetId }, ranges);
      assert.ok(verifyCertificate({ bytes: own, rootKeyDer, scope: { subnet: subnetId }, bls }).ok);
    }
  }
  assert.equal(rootView.delegationOf(application.keys.nodeId as Principal), null);
});

test("what does not hold is refused with the reason", () => {
  const good = delegationOf(application);
  const other = delegationOf(third);
  const forged = (bytes: Uint8Array): Uint8Array => {
    const decoded = decodeCertificate(bytes);
    assert.ok(decoded.ok);
    return encodeCertificate({ ...decoded.value, signature: new Uint8Array(48).fill(1) });
  };
  const [shard] = good.shards;
  assert.ok(shard !== undefined);
  const bad: readonly (readonly [Partial<Delegation>, RegExp])[] = [
    [{ subnetId: third.info.subnetId }, /another subnet/],
    [{ shards: [] }, /no shard/],
    [{ flat: forged(good.flat) }, /signature/],
    [{ bare: forged(good.bare) }, /signature/],
    [{ shards: [{ ...shard, certificate: forged(shard.certificate) }] }, /signature/],
    [{ flat: other.flat }, /key/],
    [{ bare: other.bare }, /key/],
    [{ flat: good.bare }, /no canister ranges/],
    [{ shards: [{ ...shard, certificate: good.bare }] }, /no canister ranges/],
    [{ time: good.time + 1n }, /different states/],
  ];
  for (const [change, why] of bad) {
    const verdict = verifyDelegation({ ...good, ...change }, application.info, bls);
    assert.ok(!verdict.ok);
    assert.match(verdict.error, why);
  }
});
