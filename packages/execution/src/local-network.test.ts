/** Ranges of a local network: every id has one subnet, and the ids that programs know are where they are looked for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CanisterId,
  canisterIdFromIndex,
  equalBytes,
  principalFromText,
  principalToText,
  toHex,
} from "@orrery/base";
import { decodeRanges, encodeRanges, rangesContain } from "@orrery/crypto";
import fc from "fast-check";
import {
  deriveLocalKeys,
  FIRST_CANISTER,
  LOCAL_CHAIN_KEYS,
  LOCAL_SUBNETS_MAX,
  type LocalSubnet,
  lateAllocation,
  localNetwork,
  reservedIds,
  withSubnet,
} from "./local-network.ts";

const makers = {
  bls: { publicKey: (secret: Uint8Array): Uint8Array => new Uint8Array(96).fill(secret[0] ?? 0) },
  ed25519PublicKeyDer: (secret: Uint8Array): Uint8Array => secret.slice(),
};

function network(count: number, seed = 1): readonly LocalSubnet[] {
  return localNetwork({
    seed: new Uint8Array(32).fill(seed),
    subnets: Array.from({ length: count }, (_, i) => ({
      type: i === 0 ? ("system" as const) : ("application" as const),
      feeSize: 13,
    })),
    local: true,
    makers,
  });
}

function holders(count: number, id: CanisterId): readonly number[] {
  const { routing } = (network(count)[0] as LocalSubnet).info;
  return routing.flatMap(({ ranges }, index) => (rangesContain(ranges, id) ? [index] : []));
}

test("every canister id belongs to exactly one subnet, however many there are", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: LOCAL_SUBNETS_MAX }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      (n, i) => assert.equal(holders(n, canisterIdFromIndex(i)).length, 1),
    ),
  );
  for (const { info } of network(5)) {
    for (const { ranges } of info.routing) assert.ok(decodeRanges(encodeRanges(ranges)).ok);
    const { start, end } = info.allocation;
    const own = info.routing.find(({ subnetId }) => subnetId === info.subnetId)?.ranges ?? [];
    assert.ok(rangesContain(own, start) && rangesContain(own, end), "allocated ids are its own");
  }
});

test("projects' first canister is on the second subnet, the system canisters are on the root", () => {
  assert.equal(principalToText(FIRST_CANISTER), "tqzl2-p7777-77776-aaaaa-cai");
  for (const count of [2, 3, 9]) {
    assert.deepEqual(holders(count, FIRST_CANISTER), [1]);
    assert.deepEqual(network(count)[1]?.info.allocation.start, FIRST_CANISTER);
    for (const id of [
      "ryjl3-tyaaa-aaaaa-aaaba-cai",
      "rkp4c-7iaaa-aaaaa-aaaca-cai",
      "um5iw-rqaaa-aaaaq-qaaba-cai",
    ]) {
      assert.deepEqual(holders(count, principalFromText(id)), [0], id);
    }
  }
  assert.deepEqual(holders(1, FIRST_CANISTER), [0]);
});

test("the root is the first subnet's key; keys follow from seed and place", () => {
  const [root, application] = network(2);
  assert.deepEqual(application?.info.rootKey, root?.info.publicKey);
  assert.deepEqual(application?.info.rootSubnetId, root?.info.subnetId);
  assert.notDeepEqual(application?.keys.subnetSecret, root?.keys.subnetSecret);
  assert.deepEqual(network(3)[1]?.keys, application?.keys);
  assert.notDeepEqual(network(2, 2)[0]?.keys.subnetSecret, root?.keys.subnetSecret);
});

test("the second subnet of a local network holds the chain keys, or the only one; others know it from the routing table", () => {
  for (const [count, holder] of [
    [1, 0],
    [2, 1],
    [4, 1],
  ] as const) {
    for (const [index, { info }] of network(count).entries()) {
      assert.deepEqual(info.chainKeys, index === holder ? LOCAL_CHAIN_KEYS : undefined);
      if (count > 1) {
        const listed = info.routing.map(({ chainKeys }) => chainKeys !== undefined);
        assert.deepEqual(
          listed,
          info.routing.map((_, at) => at === holder),
        );
      }
    }
  }
  assert.equal(LOCAL_CHAIN_KEYS.length, 12);
});

test("a subnet's key is derived once, however many nodes it has", () => {
  const derived: string[] = [];
  const bls = {
    publicKey(secret: Uint8Array): Uint8Array {
      derived.push(toHex(secret));
      return makers.bls.publicKey(secret);
    },
  };
  const subnets = [0, 1].map(() => ({ type: "application" as const, feeSize: 13, nodes: 4 }));
  const network = localNetwork({
    seed: new Uint8Array(32),
    subnets,
    local: true,
    makers: { ...makers, bls },
    self: 2,
  });
  assert.deepEqual([derived.length, new Set(derived).size], [2, 2]);
  for (const [index, { info }] of network.entries()) {
    const ids = info.nodes.map(
      (_, place) => deriveLocalKeys(new Uint8Array(32), makers, index, place).nodeId,
    );
    assert.deepEqual(
      info.nodes.map(({ nodeId }) => nodeId),
      ids,
    );
  }
});

test("what is reserved for later subnets is what the second one has of it, and each gets its own of that", () => {
  for (const count of [2, 3, 40]) {
    const [, second] = network(count);
    const reserved = reservedIds(count);
    assert.ok(second !== undefined && reserved !== null);
    const { subnetId, routing } = second.info;
    const ranges = routing.find((entry) => equalBytes(entry.subnetId, subnetId))?.ranges ?? [];
    for (let place = count; place < LOCAL_SUBNETS_MAX; place++) {
      for (const id of [lateAllocation(place).start, lateAllocation(place).end])
        assert.ok(rangesContain([reserved], id) && rangesContain(ranges, id));
    }
    for (let place = 2; place < count; place++)
      assert.ok(!rangesContain([reserved], lateAllocation(place).start));
    for (const { info } of network(count)) assert.ok(!rangesContain([reserved], info.allocation.start));
  }
  assert.deepEqual([reservedIds(1), reservedIds(LOCAL_SUBNETS_MAX)], [null, null]);
});

test("a subnet that comes late has the ids that it would have had from the beginning", () => {
  for (const count of [2, 3, 7]) {
    const [all, before] = [network(count + 1), network(count)];
    const late = (all[count] as LocalSubnet).info;
    const routing = (before[0] as LocalSubnet).info.routing;
    const { publicKey, type } = late;
    const grown = withSubnet(routing, { place: count, type, publicKey });
    const rangesOf = (table: typeof grown) => table.map(({ ranges }) => ranges);
    assert.deepEqual(rangesOf(grown), rangesOf(late.routing));
    assert.deepEqual(grown.at(-1)?.subnetId, late.subnetId);
    assert.deepEqual(lateAllocation(count), late.allocation);
    assert.equal(withSubnet(grown, { place: count, type, publicKey }), grown, "it is there already");
    const misplaced = { type, publicKey };
    for (const place of [0, 1, LOCAL_SUBNETS_MAX])
      assert.equal(withSubnet(routing, { ...misplaced, place }), routing, "no place of its own");
  }
});
