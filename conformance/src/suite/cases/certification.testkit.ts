/** Subnets in the certified state, certificates, delegations, principals (interface spec, "Certification"). */
import assert from "node:assert/strict";
import { Certificate } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import { type CborMap, decodeCbor, encodeCbor } from "@orrery/base";
import {
  decodeCertificate,
  decodeRanges,
  flattenForks,
  type HashTree,
  hashTreeFromCbor,
  listLabels,
  lookupSubtree,
  rangesContain,
  reconstruct,
} from "@orrery/crypto";
import { fromHex, hex, leb128, textOf } from "../bytes.ts";
import { section } from "../case.ts";
import { replied } from "../checks.ts";
import { ed25519, principalOfKey } from "../identity.ts";
import { code, copied, ic0, reply } from "../script.ts";
import { valueAt } from "../wire.ts";
import type { World } from "../world.ts";
import { found, homeOf, kindOf, leaf, path, reading, refusedWith, tree } from "./state-shared.testkit.ts";

const subnetTree = section("System state tree: Subnet information");

const certificates = section("Certification: certificates");

const lookups = section("Certification: lookup");

const delegations = section("Certification: delegation");

const encoding = section("Certification: encoding of certificates");

const principals = section("Principals");

const homeId = (world: World) => world.target.home.id.toUint8Array();

subnetTree("the public key of a subnet", async (world) => {
  const from = await tree(world, homeOf(world), [path("subnet", homeId(world), "public_key")]);
  const key = found(from, "subnet", homeId(world), "public_key");
  assert.equal(hex(principalOfKey(key)), hex(homeId(world)));
});

subnetTree("the type of a subnet", async (world) => {
  const from = await tree(world, homeOf(world), [path("subnet", homeId(world), "type")]);
  assert.match(
    textOf(found(from, "subnet", homeId(world), "type")),
    /^(application|verified_application|system|cloud_engine)$/,
  );
});

subnetTree("flat canister ranges on version 2", async (world) => {
  const from = await tree(world, homeOf(world), [path("subnet", homeId(world), "canister_ranges")], {
    version: 2,
  });
  const ranges = decodeRanges(found(from, "subnet", homeId(world), "canister_ranges"));
  assert.ok(ranges.ok && rangesContain(ranges.value, (await world.shared()).bytes));
});

subnetTree(
  "flat canister ranges of a subnet that is not the root are refused on version 3",
  async (world) => {
    const { root, home } = world.target;
    const answer = await reading(world, homeOf(world), [path("subnet", homeId(world), "canister_ranges")]);
    if (root.id.toText() === home.id.toText()) assert.equal(answer.status, 200);
    else refusedWith(answer, 404, "Invalid path requested.");
  },
);

subnetTree("ranges in shards", async (world) => {
  const from = await tree(world, homeOf(world), [path("canister_ranges", homeId(world))]);
  const shards = lookupSubtree(from, path("canister_ranges", homeId(world)));
  assert.ok(shards.kind === "found" && listLabels(shards.value).length > 0);
});

subnetTree("ranges in shards cover the subnet's canisters", async (world) => {
  const from = await tree(world, homeOf(world), [path("canister_ranges", homeId(world))]);
  const shards = lookupSubtree(from, path("canister_ranges", homeId(world)));
  assert.ok(shards.kind === "found");
  const bytes = (await world.shared()).bytes;
  const covers = flattenForks(shards.value).some((node) => {
    if (node.kind !== "labeled" || node.tree.kind !== "leaf") return false;
    const ranges = decodeRanges(node.tree.value);
    return ranges.ok && rangesContain(ranges.value, bytes);
  });
  assert.ok(covers);
});

subnetTree("ranges in shards are refused on a canister's endpoint", async (world) => {
  refusedWith(
    await reading(world, (await world.shared()).destination, [path("canister_ranges", homeId(world))]),
    404,
    "Invalid path requested.",
  );
});

subnetTree("the subnet's nodes have keys", async (world) => {
  const from = await tree(world, (await world.shared()).destination, [path("subnet", homeId(world), "node")]);
  const nodes = lookupSubtree(from, path("subnet", homeId(world), "node"));
  assert.ok(nodes.kind === "found");
  for (const node of listLabels(nodes.value)) {
    const key = found(from, "subnet", homeId(world), "node", node, "public_key");
    assert.equal(hex(principalOfKey(key)), hex(node));
  }
});

subnetTree("metrics on the subnet's endpoint", async (world) => {
  const from = await tree(world, homeOf(world), [path("subnet", homeId(world), "metrics")]);
  assert.equal((found(from, "subnet", homeId(world), "metrics")[0] ?? 0) >> 5, 5);
});

subnetTree("metrics are refused on a canister's endpoint", async (world) => {
  refusedWith(
    await reading(world, (await world.shared()).destination, [path("subnet", homeId(world), "metrics")]),
    404,
    "Invalid path requested.",
  );
});

subnetTree("an unknown field of a subnet is 404", async (world) => {
  refusedWith(
    await reading(world, homeOf(world), [path("subnet", homeId(world), "mood")]),
    404,
    "Invalid path requested.",
  );
});

subnetTree("a subnet that does not exist is provably absent", async (world) => {
  const id = ed25519().sender;
  const from = await tree(world, homeOf(world), [path("subnet", id, "public_key")]);
  assert.equal(kindOf(from, "subnet", id, "public_key"), "absent");
});

subnetTree("all subnets may be asked for", async (world) => {
  const from = await tree(world, homeOf(world), [path("subnet")]);
  const all = lookupSubtree(from, path("subnet"));
  assert.ok(all.kind === "found" && listLabels(all.value).length === world.target.subnets.length);
});

subnetTree("boundary nodes may be asked for", async (world) => {
  await tree(world, homeOf(world), [path("api_boundary_nodes")]);
});

subnetTree("an unknown field of a boundary node is 404", async (world) => {
  refusedWith(
    await reading(world, homeOf(world), [path("api_boundary_nodes", new Uint8Array(3), "shoe size")]),
    404,
    "Invalid path requested.",
  );
});

async function certificateOf(world: World, version: 2 | 3 = 3, destination?: string): Promise<Uint8Array> {
  const answer = await reading(world, destination ?? (await world.shared()).destination, [path("time")], {
    version,
  });
  return (decodeCbor(answer.body) as CborMap).get("certificate") as Uint8Array;
}

certificates("the signature is over the root hash under the subnet's key", async (world) => {
  await world.wire.verify(await certificateOf(world), (await world.shared()).destination);
});

certificates("the published client's own BLS code verifies it", async (world) => {
  await Certificate.create({
    certificate: await certificateOf(world),
    rootKey: world.wire.rootKey,
    principal: { canisterId: (await world.shared()).id },
  });
});

certificates("another root key does not verify it", async (world) => {
  const rootKey = world.wire.rootKey.slice();
  rootKey[100] = (rootKey[100] ?? 0) ^ 1;
  await assert.rejects(
    Certificate.create({
      certificate: await certificateOf(world),
      rootKey,
      principal: { canisterId: (await world.shared()).id },
    }),
  );
});

certificates("a changed tree does not verify", async (world) => {
  const decoded = new Map(decodeCbor(await certificateOf(world)) as CborMap);
  decoded.set("signature", flipped(decoded.get("signature") as Uint8Array));
  await assert.rejects(
    Certificate.create({
      certificate: encodeCbor(decoded),
      rootKey: world.wire.rootKey,
      principal: { canisterId: (await world.shared()).id },
    }),
  );
});

function flipped(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice();
  out[10] = (out[10] ?? 0) ^ 1;
  return out;
}

certificates("a signature has 48 bytes", async (world) => {
  assert.equal(
    ((decodeCbor(await certificateOf(world)) as CborMap).get("signature") as Uint8Array).length,
    48,
  );
});

certificates("two certificates of one height are of one root hash", async (world) => {
  const [a, b] = await Promise.all([certificateOf(world), certificateOf(world)]);
  const roots = [a, b].map((bytes) => {
    const certificate = decodeCertificate(bytes);
    assert.ok(certificate.ok);
    const { tree: from } = certificate.value;
    return `${leb128(found(from, "time"))} ${hex(reconstruct(from))}`;
  });
  const [first, second] = roots.map((root) => root.split(" ")) as [string[], string[]];
  assert.equal(first[0] === second[0], first[1] === second[1]);
});

encoding("a certificate carries the self-describing tag", async (world) => {
  assert.equal(hex((await certificateOf(world)).subarray(0, 3)), "d9d9f7");
});

encoding("a certificate has tree, signature and nothing but a delegation beside them", async (world) => {
  const keys = [...(decodeCbor(await certificateOf(world)) as CborMap).keys()].sort();
  assert.ok(["signature,tree", "delegation,signature,tree"].includes(keys.join(",")));
});

encoding("labels stand in order and once", async (world) => {
  const from = await tree(world, homeOf(world), [path("subnet"), path("time")]);
  const check = (node: HashTree): void => {
    const labels = listLabels(node).map(hex);
    assert.deepEqual(labels, [...new Set(labels)].sort());
    for (const one of flattenForks(node)) if (one.kind === "labeled") check(one.tree);
  };
  check(from);
});

encoding("the specification's example tree has the specification's root", async () => {
  const bytes = fromHex(
    "8301830183024161830183018302417882034568656c6c6f810083024179820345776f726c6483024162820344676f6f648301830241638100830241648203476d6f726e696e67",
  );
  assert.equal(
    hex(reconstruct(hashTreeFromCbor(decodeCbor(bytes)))),
    "eb5c5b2195e62d996b84c9bcc8259d19a83786a2f59e0878cec84c811f669aa0",
  );
});

lookups("what is not asked for is unknown, not absent", async (world) => {
  const canister = await world.shared();
  const from = await leaf(world, canister, "module_hash");
  assert.equal(kindOf(from, "canister", canister.bytes, "controllers"), "unknown");
});

lookups("a path below a leaf is an error or absent, never found", async (world) => {
  const canister = await world.shared();
  const from = await leaf(world, canister, "module_hash");
  assert.notEqual(kindOf(from, "canister", canister.bytes, "module_hash", "below"), "found");
});

lookups("a path that ends above a leaf is not found as a value", async (world) => {
  const canister = await world.shared();
  assert.notEqual(kindOf(await leaf(world, canister, "module_hash"), "canister", canister.bytes), "found");
});

lookups("the published client finds what our code finds", async (world) => {
  const canister = await world.shared();
  const certificate = await world.wire.readState(canister.destination, world.user, [
    path("canister", canister.bytes, "module_hash"),
  ]);
  const own = found(await leaf(world, canister, "module_hash"), "canister", canister.bytes, "module_hash");
  assert.equal(
    hex(valueAt(certificate, "canister", canister.bytes, "module_hash") ?? new Uint8Array()),
    hex(own),
  );
});

const several = delegations.needing("several subnets");

const delegationOf = async (world: World, version: 2 | 3 = 3) =>
  (decodeCbor(await certificateOf(world, version)) as CborMap).get("delegation") as CborMap;

delegations("the root subnet's certificates have none", async (world) => {
  const { root } = world.target;
  const bytes = await certificateOf(world, 3, `subnet/${root.id.toText()}`);
  assert.equal((decodeCbor(bytes) as CborMap).get("delegation"), undefined);
});

several("another subnet's certificates name it", async (world) => {
  assert.equal(hex((await delegationOf(world)).get("subnet_id") as Uint8Array), hex(homeId(world)));
});

several("a delegation's certificate has no delegation", async (world) => {
  const inner = decodeCbor((await delegationOf(world)).get("certificate") as Uint8Array) as CborMap;
  assert.equal(inner.get("delegation"), undefined);
});

several("a delegation's certificate is signed by the root subnet", async (world) => {
  const certificate = (await delegationOf(world)).get("certificate") as Uint8Array;
  const principal = { subnetId: world.target.root.id };
  await Certificate.create({
    certificate,
    rootKey: world.wire.rootKey,
    principal,
    disableTimeVerification: true,
  });
});

const innerTree = async (world: World, version: 2 | 3): Promise<HashTree> => {
  const certificate = decodeCertificate(
    (await delegationOf(world, version)).get("certificate") as Uint8Array,
  );
  assert.ok(certificate.ok);
  return certificate.value.tree;
};

several("a delegation proves the subnet's key", async (world) => {
  const key = found(await innerTree(world, 3), "subnet", homeId(world), "public_key");
  assert.equal(hex(principalOfKey(key)), hex(homeId(world)));
});

several("a delegation of version 2 carries flat ranges", async (world) => {
  const ranges = decodeRanges(found(await innerTree(world, 2), "subnet", homeId(world), "canister_ranges"));
  assert.ok(ranges.ok && rangesContain(ranges.value, (await world.shared()).bytes));
});

several("a delegation of version 3 carries the shard with the canister", async (world) => {
  const shards = lookupSubtree(await innerTree(world, 3), path("canister_ranges", homeId(world)));
  assert.ok(shards.kind === "found");
  const bytes = (await world.shared()).bytes;
  const covers = flattenForks(shards.value).some((node) => {
    if (node.kind !== "labeled" || node.tree.kind !== "leaf") return false;
    const ranges = decodeRanges(node.tree.value);
    return ranges.ok && rangesContain(ranges.value, bytes);
  });
  assert.ok(covers);
});

several("a delegation of version 3 carries no flat ranges of another subnet than the root", async (world) => {
  assert.notEqual(kindOf(await innerTree(world, 3), "subnet", homeId(world), "canister_ranges"), "found");
});

several("a certificate does not verify for a canister outside the ranges", async (world) => {
  const outside = world.target.subnets.find(
    ({ id, ranges }) => id.toText() !== world.target.home.id.toText() && ranges.length > 0,
  )?.ranges[0]?.start;
  const bytes = await certificateOf(world);
  await assert.rejects(
    world.wire.verify(bytes, `canister/${Principal.fromUint8Array(outside ?? new Uint8Array()).toText()}`),
  );
});

several("a canister sees a certificate with a delegation in its queries", async (world) => {
  const canister = await world.shared();
  const bytes = replied(await canister.query(copied("data_certificate"), reply));
  assert.ok((decodeCbor(bytes) as CborMap).get("delegation") !== undefined);
  await world.wire.verify(bytes, canister.destination);
});

several("version 3 calls carry flat ranges, version 4 calls shards", async (world) => {
  const canister = await world.shared();
  for (const version of [3, 4] as const) {
    const request = world.sign("call", {
      canister_id: canister.bytes,
      method_name: "update",
      arg: code(ic0.msg_reply),
    });
    const answer = await world.wire.post(`/api/v${version}/${canister.destination}/call`, request.body);
    const outer = decodeCbor(
      (decodeCbor(answer.body) as CborMap).get("certificate") as Uint8Array,
    ) as CborMap;
    const inner = decodeCertificate((outer.get("delegation") as CborMap).get("certificate") as Uint8Array);
    assert.ok(inner.ok);
    assert.equal(
      kindOf(inner.value.tree, "subnet", homeId(world), "canister_ranges") === "found",
      version === 3,
    );
  }
});

principals("the specification's example in text", () => {
  assert.equal(Principal.fromUint8Array(fromHex("abcd01")).toText(), "em77e-bvlzu-aq");
  return Promise.resolve();
});

principals("a user's principal is the hash of the key and a byte 2", async (world) => {
  const identity = ed25519();
  const canister = await world.shared();
  assert.equal(
    hex(replied(await canister.ask(code(copied("msg_caller"), reply), { as: identity }))),
    hex(principalOfKey(identity.publicKeyDer ?? new Uint8Array())),
  );
});

principals("a subnet's id is the principal of its key", async (world) => {
  for (const { id, publicKey } of world.target.subnets)
    assert.equal(hex(principalOfKey(publicKey)), hex(id.toUint8Array()));
});

principals("the management canister's id is empty", () => {
  assert.equal(Principal.fromUint8Array(new Uint8Array()).toText(), "aaaaa-aa");
  return Promise.resolve();
});

principals("the anonymous user's id is one byte, 4", () => {
  assert.equal(Principal.fromUint8Array(Uint8Array.of(4)).toText(), "2vxsx-fae");
  return Promise.resolve();
});

principals("a canister's id ends with a byte 1", async (world) => {
  assert.equal((await world.shared()).bytes.at(-1), 1);
});
