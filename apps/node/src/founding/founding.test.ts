/** Networks that their nodes found: nobody has another's share, and whoever carries the pieces cannot change one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CborValue, decodeCbor, encodeCborBare, equalBytes, utf8 } from "@orrery/base";
import { type DkgMeans, runKeyJob } from "@orrery/consensus/keys";
import type { MemberCrypto } from "@orrery/consensus/member";
import { blsFromDer, sha256 } from "@orrery/crypto";
import { createMclBls, createMclCurve } from "@orrery/crypto/mcl";
import type { FoundedSubnet } from "@orrery/execution/genesis";
import { decodeGenesis, encodeGenesis, type Genesis, networkOf, subnetsOf } from "../genesis.ts";
import { genesisRegistry } from "../registry/begin.ts";
import { keysFromFounding } from "../replica/subnet-keys.ts";
import { dealFor, foundGenesis, foundingRecord, keyMeansOf, verifyFounded } from "./founding.ts";

const NODES = 4;
const MESSAGE = utf8("a message");
const plan = encodeGenesis({
  seed: new Uint8Array(32).fill(5),
  time: 1n,
  subnets: networkOf([], [], NODES),
  profile: "local",
});
const bls = await createMclBls();
const curve = await createMclCurve();
const seeds = Array.from({ length: NODES }, (_, place) => sha256(utf8(`node ${place}`)));
const records = await Promise.all(seeds.map((seed) => foundingRecord(plan, seed)));
const dealings = await Promise.all(seeds.map((seed) => dealFor(plan, records, seed)));
const founded = await foundGenesis(plan, records, dealings);
const genesis = decodeGenesis(founded);

/** What a node signs with in the first interval. */
function cryptoOf(place: number, seed = seeds[place] as Uint8Array): MemberCrypto {
  const [local] = subnetsOf(genesis, bls, place, seed);
  const [subnet] = genesis.founding ?? [];
  assert.ok(local !== undefined && subnet !== undefined);
  const means = keyMeansOf(curve, seed, 0);
  const compute: DkgMeans["compute"] = (job) => runKeyJob(means, job) as never;
  const registry = genesisRegistry({ genesis, subnets: [local], processes: [], curve }).of(0);
  const { intervals } = keysFromFounding({ bls, local, founded: subnet, registry, compute });
  const crypto = intervals?.dkg.load(intervals.first);
  assert.ok(crypto !== undefined && crypto !== "later");
  return crypto;
}

const unproven = { code: "genesis_unproven" };
const self = (place: number) => ({ hosted: [{ subnet: 0, place }], seed: seeds[place] as Uint8Array });

test("every node finds itself in the genesis, and the nodes' shares are the subnet's signature", async () => {
  assert.deepEqual(encodeGenesis(genesis), founded);
  await verifyFounded(founded, self(2));
  const [local] = subnetsOf(genesis, bls);
  const key = blsFromDer(local?.info.publicKey ?? new Uint8Array(0));
  assert.ok(key.ok);
  const nodes = [0, 1, 3].map((place) => [place, cryptoOf(place)] as const);
  const shares = nodes.map(([place, crypto]) => [place, crypto.signShare("high", MESSAGE)] as const);
  const [[, first]] = nodes as [(typeof nodes)[number]];
  for (const [place, share] of shares) assert.ok(first.verifyShare("high", place, MESSAGE, share));
  const signature = first.combine("high", MESSAGE, shares);
  assert.ok(bls.verify(key.value, MESSAGE, signature));
  assert.ok(!bls.verify(key.value, MESSAGE, first.combine("high", MESSAGE, shares.slice(1))));
});

test("what all have opens nobody's share, and neither does another node's seed", () => {
  const [local] = subnetsOf(genesis, bls, 1);
  assert.deepEqual([local?.keys.subnetSecret.length, local?.keys.nodeSecret.length], [0, 0]);
  assert.throws(() => cryptoOf(1, seeds[2]), { code: "key_share_missing" });
});

test("a piece that was changed on its way is noticed", async () => {
  const swapped = [1, 0, 2, 3].map((place) => records[place] as Uint8Array);
  const [lists] = [decodeCbor(records[1] as Uint8Array)] as unknown as [Uint8Array[][]];
  const other = decodeCbor(records[2] as Uint8Array) as unknown as Uint8Array[][];
  // Another encryption key in a node's name.
  const forged = encodeCborBare(lists.map(([key, , sign], i) => [key, other[i]?.[1], sign] as Uint8Array[]));
  const withRecord = [records[0], forged, records[2], records[3]] as Uint8Array[];
  await assert.rejects(dealFor(plan, withRecord, seeds[0] as Uint8Array), unproven);
  // Dealt to the same nodes in another order, and by one node in another's name.
  await assert.rejects(foundGenesis(plan, swapped, dealings), unproven);
  const twice = [dealings[0], dealings[0], dealings[2], dealings[3]] as Uint8Array[];
  await assert.rejects(foundGenesis(plan, records, twice), unproven);
  await assert.rejects(dealFor(plan, records, new Uint8Array(32)), unproven);
});

test("a genesis that lacks a part of what was founded is none, and proves nothing without it", async () => {
  for (const part of ["i", "f"]) {
    const fields = new Map(decodeCbor(founded) as ReadonlyMap<string, CborValue>);
    assert.ok(fields.delete(part));
    assert.throws(() => decodeGenesis(encodeCborBare(fields)), { code: "genesis_invalid" }, part);
  }
  await assert.rejects(verifyFounded(plan, self(0)), unproven);
});

test("a genesis with another key, another node or another node's place is refused by its nodes", async () => {
  const [subnet] = genesis.founding as readonly [FoundedSubnet];
  const [first, second, ...rest] = subnet.nodes;
  assert.ok(first !== undefined && second !== undefined);
  const changes: readonly Partial<FoundedSubnet>[] = [
    { nodes: [second, first, ...rest] },
    { nodes: [first, { ...second, signatures: [second.signatures[0], first.signatures[1]] }, ...rest] },
    { transcripts: { low: subnet.transcripts.high, high: subnet.transcripts.high } },
  ];
  for (const change of changes) {
    const changed: Genesis = { ...genesis, founding: [{ ...subnet, ...change }] };
    await assert.rejects(verifyFounded(encodeGenesis(changed), self(3)), unproven);
  }
  await assert.rejects(verifyFounded(founded, { ...self(1), seed: seeds[0] as Uint8Array }), unproven);
  assert.ok(!equalBytes(seeds[0] as Uint8Array, seeds[1] as Uint8Array));
});

test("subnets whose nodes are in processes of their own are founded by all of them", async () => {
  const two = encodeGenesis({ ...decodeGenesis(plan), subnets: networkOf(["application"], [], 2) });
  const hosted = [
    { subnet: 0, place: 0 },
    { subnet: 0, place: 1 },
    { subnet: 1, place: 0 },
    { subnet: 1, place: 1 },
  ] as const;
  const at = (process: number): Uint8Array => seeds[process] as Uint8Array;
  const shown = await Promise.all(hosted.map(({ subnet }, i) => foundingRecord(two, at(i), [subnet])));
  const dealt = await Promise.all(hosted.map((_, i) => dealFor(two, shown, at(i))));
  const all = await foundGenesis(two, shown, dealt);
  for (const [i, own] of hosted.entries()) await verifyFounded(all, { hosted: [own], seed: at(i) });
  // In another's place, and in a subnet that it is not of.
  for (const own of [hosted[1], hosted[2]])
    await assert.rejects(verifyFounded(all, { hosted: [own], seed: at(0) }), unproven);
  const three = shown.slice(1);
  await assert.rejects(dealFor(two, three, at(1)), unproven);
  const misplaced = [dealt[2], dealt[3], dealt[0], dealt[1]] as Uint8Array[];
  await assert.rejects(foundGenesis(two, shown, misplaced), unproven);
});
