/** Which packages of the root subnet create a subnet, what its nodes begin with, and how it goes from process to process. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Block,
  equalBytes,
  type NodeId,
  type Principal,
  type SubnetId,
  selfAuthenticating,
  silentLogger,
  utf8,
} from "@orrery/base";
import { combineFounding, dealFounding, foundedKey } from "@orrery/consensus/keys";
import {
  type CatchUpPackage,
  catchUpHash,
  type Epoch,
  encodeSummary,
  type Summary,
  thresholdContent,
} from "@orrery/consensus/member";
import { blsToDer, secretFromSeed, sha256 } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { type LocalSubnet, lateAllocation } from "@orrery/execution/local-network";
import { keyMeansOf } from "../founding/founding.ts";
import { judgeNode } from "../founding/introduction.ts";
import { decodeGenesis, encodeGenesis, type Genesis, networkOf, subnetsOf } from "../genesis.ts";
import { encodeArtifact } from "../replica/artifact-codec.ts";
import { Creations } from "./creations.ts";
import type { RegistryChange } from "./record.ts";
import { addressOf, approved, curve, idOf, nodeOf, registryOf, seedOf } from "./registry.testkit.ts";
import type { Registry } from "./registry.ts";
import { RegistryTelling } from "./telling.ts";

const bls = await createMclBls();
const rootSecret = secretFromSeed(sha256(utf8("the root")));
const rootKey = blsToDer(bls.publicKey(rootSecret));
const ROOT = { subnetId: selfAuthenticating(rootKey) as Principal as SubnetId, publicKey: rootKey };
const OPERATORS = [10, 11, 12, 13];
const SUBNET = 2;
const TIME = 7_000n;

/** With a subnet that waits for its keys. */
function registry(): Registry {
  const made = registryOf(4);
  const changes: readonly RegistryChange[] = [
    { kind: "create", subnet: SUBNET, type: "application" },
    ...OPERATORS.map(
      (operator): RegistryChange => ({
        kind: "join",
        address: addressOf(operator),
        nodes: [nodeOf(operator, SUBNET)],
      }),
    ),
  ];
  assert.ok(made.append(approved(made.propose(changes), [0, 1, 2])).ok);
  return made;
}

/** Anybody's dealings to the subnet's nodes. */
const epoch: Epoch = (() => {
  const nodes = OPERATORS.map((operator) => {
    const judged = judgeNode(curve, nodeOf(operator, SUBNET));
    assert.ok(judged.ok);
    return judged.value;
  });
  const founders = { network: sha256(utf8("a network")), subnet: SUBNET, nodes };
  const dealings = OPERATORS.map((operator, at) =>
    dealFounding(keyMeansOf(curve, seedOf(operator), SUBNET), founders, at),
  );
  const transcripts = combineFounding(curve, founders, dealings);
  assert.ok(transcripts.ok);
  const members = OPERATORS.map((operator) => idOf(operator, SUBNET));
  return { registryVersion: 2, members, transcripts: transcripts.value };
})();

const NOTHING = { registryVersion: 1, members: [idOf(0, 0)], transcripts: { low: rootKey, high: rootKey } };
const SUMMARY: Summary = {
  length: 20,
  nextLength: 20,
  halts: false,
  current: NOTHING,
  next: null,
  created: [SUBNET],
  founded: { subnet: SUBNET, epoch },
};

function packageOf(summary: Summary, secret = rootSecret): CatchUpPackage {
  const block: Block = {
    version: 1,
    parent: new Uint8Array(32),
    height: 40,
    rank: 0,
    context: { registryVersion: 2, certifiedHeight: 38, time: TIME },
    payload: { ingress: [], summary: encodeSummary(summary) },
  };
  const content = { height: 40, block, beacon: sha256(utf8("beacon")), stateHash: sha256(utf8("state")) };
  const message = thresholdContent("catch_up", ROOT.subnetId, 40, catchUpHash(content));
  return { kind: "catch_up", ...content, signature: bls.sign(secret, message) };
}

const told = encodeArtifact(packageOf(SUMMARY));
const creationsOf = (of: Registry): Creations =>
  new Creations({ registry: of, root: ROOT, begun: 2, verifyBls: bls.verify });
const founded = (subnet: number, of: Epoch): Summary => ({
  ...SUMMARY,
  created: [subnet],
  founded: { subnet, epoch: of },
});

test("a package that the root signed gives a subnet its keys, once", () => {
  const creations = creationsOf(registry());
  assert.equal(creations.at(SUBNET), null);
  const added = creations.add(told);
  assert.ok(added.ok && added.value !== null);
  const { place, type, publicKey, subnetId, time } = added.value;
  assert.deepEqual([place, type, time], [SUBNET, "application", TIME]);
  assert.deepEqual(publicKey, blsToDer(foundedKey(epoch.transcripts)));
  assert.deepEqual(subnetId, selfAuthenticating(publicKey));
  assert.equal(creations.at(SUBNET), added.value);
  assert.deepEqual(creations.add(told), { ok: true, value: null });
  assert.equal(creations.all.length, 1);
});

test("what the root did not sign, or what is not the registry's, creates none", () => {
  const others = [...epoch.members.slice(1), idOf(14, SUBNET)];
  const bare = packageOf(SUMMARY);
  const of = (summary: Summary, secret = rootSecret): Uint8Array =>
    encodeArtifact(packageOf(summary, secret));
  const { founded: _, ...none } = SUMMARY;
  for (const [bytes, fault] of [
    [of(SUMMARY, secretFromSeed(sha256(utf8("another")))), /the root subnet did not sign it/],
    [encodeArtifact({ ...bare, stateHash: sha256(bare.stateHash) }), /did not sign it/],
    [of(founded(SUBNET, { ...epoch, members: others })), /its nodes are others than the registry's/],
    [of(founded(SUBNET, { ...epoch, members: epoch.members.slice(1) })), /its nodes are others/],
    [of(none), /it creates no subnet/],
    [Uint8Array.of(1), /not an artifact/],
    [new Uint8Array(9 * 1024 * 1024), /more than/],
  ] as const) {
    const creations = creationsOf(registry());
    const added = creations.add(bytes);
    assert.match(added.ok ? "" : added.error, fault);
    assert.deepEqual(creations.all, []);
  }
  // Neither a lie nor of use: another one comes first, or the registry here is behind.
  for (const [bytes, known] of [
    [of(founded(3, epoch)), registry()],
    [of(founded(SUBNET, { ...epoch, registryVersion: 3 })), registry()],
    [told, registryOf(4)],
  ] as const)
    assert.deepEqual(creationsOf(known).add(bytes), { ok: true, value: null });
});

const GENESIS: Genesis = decodeGenesis(
  encodeGenesis({
    seed: sha256(utf8("a network")),
    time: 1n,
    subnets: networkOf(["application"], [], 4),
    catchUpInterval: 500,
    profile: "local",
    founding: [0, 1].map((subnet) => ({
      publicKey: subnet === 0 ? rootKey : blsToDer(bls.publicKey(secretFromSeed(sha256(rootSecret)))),
      nodes: [0, 1, 2, 3].map((operator) => {
        const { publicKey, encryption, signature } = nodeOf(operator, subnet);
        return { publicKey, encryption, signatures: [signature, signature] as const };
      }),
      transcripts: { low: rootKey, high: rootKey },
    })),
  }),
);

test("the nodes of a created subnet begin with the same, and others' tables come to what theirs is", () => {
  const creations = creationsOf(registry());
  assert.ok(creations.add(told).ok);
  const own = creations.genesisOf(SUBNET, GENESIS);
  assert.deepEqual(decodeGenesis(encodeGenesis(own)), own);
  const again = creationsOf(registry());
  assert.ok(again.add(told).ok);
  assert.deepEqual(encodeGenesis(again.genesisOf(SUBNET, GENESIS)), encodeGenesis(own));
  assert.deepEqual([own.time, own.catchUpInterval], [TIME, 20]);

  const seed = seedOf(OPERATORS[1] as number);
  const local = subnetsOf(own, bls, 40, seed)[SUBNET] as LocalSubnet;
  assert.ok(equalBytes(local.keys.nodeId, epoch.members[1] as NodeId));
  assert.deepEqual(local.info.subnetId, creations.at(SUBNET)?.subnetId);
  assert.deepEqual(
    local.info.nodes.map(({ nodeId }) => nodeId),
    epoch.members,
  );
  assert.deepEqual(local.info.allocation, lateAllocation(SUBNET));
  const [, application] = subnetsOf(GENESIS, bls);
  assert.ok(application !== undefined);
  const grown = creations.infoOf(application.info);
  assert.deepEqual(grown.routing, local.info.routing);
  assert.equal(creations.infoOf(application.info), grown);
  assert.equal(creationsOf(registry()).infoOf(application.info), application.info);
  assert.equal(creations.infoOf(local.info), local.info);
});

test("who has a package tells it, and all keep it", async () => {
  const names = ["a", "b", "c"];
  const kept = new Map<string, number>();
  const nodes = new Map<string, { readonly creations: Creations; readonly telling: RegistryTelling }>();
  for (const name of names) {
    const own = registry();
    const creations = creationsOf(own);
    const telling = new RegistryTelling({
      registry: own,
      creations,
      peers: () => names.filter((other) => other !== name),
      async ask(body, [peer = ""]) {
        await Promise.resolve();
        const said = nodes.get(peer)?.telling.answer(name, body) ?? null;
        return said === null ? null : { peer, body: said };
      },
      report: (peer) => assert.fail(`${peer} is reported`),
      keep: () => {},
      keepCreations: (packages) => kept.set(name, packages.length),
      onGrown: () => {},
      logger: silentLogger,
      onFailure(error): void {
        throw error;
      },
    });
    nodes.set(name, { creations, telling });
  }
  nodes.get("b")?.telling.created(told);
  for (let turn = 0; turn < 4; turn++) await new Promise((done) => setImmediate(done));
  for (const name of names) {
    assert.equal(nodes.get(name)?.creations.all.length, 1);
    assert.equal(kept.get(name), 1);
  }
  assert.throws(() => nodes.get("a")?.telling.created(Uint8Array.of(1)), { code: "registry_invalid" });
});
