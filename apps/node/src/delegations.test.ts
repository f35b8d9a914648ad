/** When delegations are taken, renewed and waited for, and that none is used which does not hold. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TimeNs } from "@orrery/base";
import { createSoleSigner, stateRootMessage, treeHash } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { CertifiedView, takeSnapshot } from "@orrery/execution";
import type { Delegation } from "@orrery/execution/delegation";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { newState, PageReader } from "@orrery/state";
import { DELEGATION_AGE_NS_MAX, DELEGATION_RENEWAL_NS, Delegations } from "./delegations.ts";
import { networkOf, subnetsOf } from "./genesis.ts";

const bls = await createMclBls();
const BEGINNING = 1_700_000_000_000_000_000n;
const subnets = subnetsOf(
  {
    seed: new Uint8Array(32).fill(8),
    time: BEGINNING,
    subnets: networkOf(["application"]),
    profile: "local",
  },
  bls,
);

/** The root's word at a time. */
function issued(time: TimeNs, about: LocalSubnet): Delegation | null {
  const root = subnets[0] as LocalSubnet;
  const state = newState({ subnet: root.info, time });
  const signer = createSoleSigner({ bls, secret: root.keys.subnetSecret });
  const signature = signer.combine([signer.signShare(stateRootMessage(treeHash(state.tree)))]);
  assert.ok(signature.ok);
  const view = new CertifiedView({
    snapshot: takeSnapshot(state),
    certification: { signature: signature.value, delegation: null },
    pages: new PageReader(),
    inflate: (bytes) => bytes,
  });
  return view.delegationOf(about.info.subnetId);
}

function world() {
  const at = {
    now: BEGINNING,
    rootTime: BEGINNING,
    rounds: 0,
    installed: [] as TimeNs[],
    /** The root is asked at other nodes. */
    isElsewhere: false,
    lies: [] as string[],
    failures: [] as unknown[],
    spoil: (delegation: Delegation | null): Delegation | null => delegation,
  };
  const delegations = new Delegations({
    bls,
    subnets: new Map(subnets.map(({ info }, subnet) => [subnet, info])),
    ask: async () => {
      const delegation = at.spoil(issued(at.rootTime, subnets[1] as LocalSubnet));
      if (delegation === null) return null;
      return at.isElsewhere ? { delegation, lie: (why) => at.lies.push(why) } : { delegation };
    },
    freshRoot: async () => {
      at.rounds++;
      at.rootTime = at.now;
    },
    install: (subnet, delegation) => {
      assert.equal(subnet, 1);
      at.installed.push(delegation.time);
    },
    now: () => at.now,
    onFailure: (error) => at.failures.push(error),
  });
  return { at, delegations };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("before there is one only the root can be verified", async () => {
  const { at, delegations } = world();
  assert.deepEqual([delegations.has(0), delegations.has(1)], [true, false]);
  await delegations.renew(false);
  assert.ok(delegations.has(1));
  await delegations.complete;
  assert.deepEqual(at.installed, [BEGINNING]);
  assert.equal(at.rounds, 0);
});

test("a publication of the root renews an old one and no young one", async () => {
  const { at, delegations } = world();
  await delegations.renew(false);
  at.now += DELEGATION_RENEWAL_NS;
  at.rootTime = at.now;
  delegations.published();
  await settled();
  assert.equal(at.installed.length, 1);
  at.now += 1n;
  delegations.published();
  await delegations.renew(false);
  assert.deepEqual(at.installed, [BEGINNING, at.rootTime]);
  assert.equal(at.rounds, 0);
});

test("on an idle root an answer makes it publish; a very old delegation does not go out", async () => {
  const { at, delegations } = world();
  await delegations.renew(false);
  assert.equal(delegations.current(0), null);
  assert.equal(delegations.current(1), null);
  at.now += DELEGATION_RENEWAL_NS + 1n;
  // Young enough to go out, while the renewal runs.
  assert.equal(delegations.current(1), null);
  assert.equal(delegations.current(1), null);
  await settled();
  assert.equal(at.rounds, 1);
  assert.deepEqual(at.installed, [BEGINNING, at.now]);
  at.now += DELEGATION_AGE_NS_MAX + 1n;
  const wait = delegations.current(1);
  assert.ok(wait !== null);
  await wait;
  assert.equal(at.installed.at(-1), at.now);
  assert.equal(delegations.current(1), null);
});

test("one that does not verify is a failure and not used", async () => {
  const { at, delegations } = world();
  at.spoil = (delegation) => (delegation === null ? null : { ...delegation, flat: delegation.bare });
  await assert.rejects(delegations.renew(false), { code: "delegation_invalid" });
  assert.ok(!delegations.has(1));
  at.spoil = () => null;
  await delegations.renew(false);
  assert.ok(!delegations.has(1));
  delegations.published();
  await settled();
  assert.deepEqual(at.installed, []);
  assert.deepEqual(at.failures, []);
});

test("other nodes' words are judged: a lie is reported and asked about again, one older than what is known is not used", async () => {
  const { at, delegations } = world();
  at.isElsewhere = true;
  at.spoil = (delegation) => (delegation === null ? null : { ...delegation, flat: delegation.bare });
  delegations.published();
  await delegations.renew(false);
  assert.ok(!delegations.has(1));
  assert.equal(at.lies.length, 1);
  at.spoil = (delegation) => delegation;
  // Publications come often; it is asked again a second later.
  delegations.published();
  await settled();
  assert.ok(!delegations.has(1));
  at.now += 1_000_000_000n;
  delegations.published();
  await settled();
  assert.ok(delegations.has(1));
  at.rootTime -= 1n;
  await delegations.renew(false);
  assert.deepEqual(at.installed, [BEGINNING]);
  assert.deepEqual(at.failures, []);
});
