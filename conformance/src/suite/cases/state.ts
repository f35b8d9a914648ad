/** Certified state: who may read which path, what it says, and what its certificates prove (interface spec, "Request: Read state", "Certification"). */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Certificate } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import { type CborMap, type CborValue, decodeCbor, encodeCbor } from "@orrery/base";
import {
  decodeCertificate,
  decodeRanges,
  flattenForks,
  type HashTree,
  hashTreeFromCbor,
  listLabels,
  lookupPath,
  lookupSubtree,
  rangesContain,
  reconstruct,
} from "@orrery/crypto";
import { fromHex, hex, leb128, numberOf, textOf, utf8 } from "../bytes.ts";
import { section } from "../case.ts";
import { replied } from "../checks.ts";
import { ANONYMOUS, ed25519, type Identity, principalOfKey } from "../identity.ts";
import { universalModule } from "../module.ts";
import { code, copied, ic0, reply, reply64 } from "../script.ts";
import { contentOf, nowNs, sign, signDelegation, valueAt } from "../wire.ts";
import type { Universal, World } from "../world.ts";

const read = section("Request: Read state");
const time = section("System state tree: Time");
const subnetTree = section("System state tree: Subnet information");
const requests = section("System state tree: Request status");
const canisters = section("System state tree: Canister information");
const certificates = section("Certification: certificates");
const lookups = section("Certification: lookup");
const delegations = section("Certification: delegation");
const encoding = section("Certification: encoding of certificates");
const principals = section("Principals");

type Label = string | Uint8Array;
const path = (...labels: readonly Label[]) =>
  labels.map((label) => (typeof label === "string" ? utf8(label) : label));

interface Reading {
  readonly status: number;
  readonly text: string;
  readonly body: Uint8Array;
}
async function reading(
  world: World,
  destination: string,
  paths: readonly (readonly Uint8Array[])[],
  options: {
    readonly as?: Identity;
    readonly version?: 2 | 3;
    readonly fields?: Record<string, CborValue>;
  } = {},
): Promise<Reading> {
  const request = world.sign("read_state", { paths, ...options.fields }, options.as ?? world.user);
  const answer = await world.wire.post(
    `/api/v${options.version ?? 3}/${destination}/read_state`,
    request.body,
  );
  return { status: answer.status, text: textOf(answer.body), body: answer.body };
}
async function tree(...args: Parameters<typeof reading>): Promise<HashTree> {
  const answer = await reading(...args);
  assert.equal(answer.status, 200, answer.text);
  const bytes = (decodeCbor(answer.body) as CborMap).get("certificate") as Uint8Array;
  await args[0].wire.verify(bytes, args[1]);
  const certificate = decodeCertificate(bytes);
  assert.ok(certificate.ok);
  return certificate.value.tree;
}
const found = (from: HashTree, ...labels: readonly Label[]): Uint8Array => {
  const value = lookupPath(from, path(...labels));
  assert.equal(value.kind, "found", labels.map(String).join("/"));
  return value.kind === "found" ? value.value : new Uint8Array();
};
const kindOf = (from: HashTree, ...labels: readonly Label[]) => lookupPath(from, path(...labels)).kind;
const refusedWith = (answer: Reading, status: number, text: RegExp | string) => {
  assert.equal(answer.status, status, answer.text);
  assert.ok(typeof text === "string" ? answer.text.includes(text) : text.test(answer.text), answer.text);
};
const homeOf = (world: World) => `subnet/${world.target.home.id.toText()}`;
const homeId = (world: World) => world.target.home.id.toUint8Array();

time("it is near the client's clock", async (world) => {
  const value = leb128(found(await tree(world, (await world.shared()).destination, [path("time")]), "time"));
  const away = value - nowNs();
  assert.ok(away < 60_000_000_000n && away > -60_000_000_000n);
});
time("it is revealed without being asked for", async (world) => {
  assert.ok(leb128(found(await tree(world, (await world.shared()).destination, []), "time")) > 0n);
});
time("it does not go back", async (world) => {
  const canister = await world.shared();
  let before = 0n;
  for (let i = 0; i < 3; i++) {
    const now = leb128(found(await tree(world, canister.destination, [path("time")]), "time"));
    assert.ok(now >= before);
    before = now;
  }
});
time("a canister's time is not after that of a later certificate", async (world) => {
  const canister = await world.shared();
  const executed = numberOf(replied(await canister.update(ic0.time, reply64)));
  assert.ok(leb128(found(await tree(world, canister.destination, [path("time")]), "time")) >= executed);
});

for (const version of [2, 3] as const) {
  read(`version ${version}: a canister's endpoint answers`, async (world) => {
    await tree(world, (await world.shared()).destination, [path("time")], { version });
  });
  read(`version ${version}: a subnet's endpoint answers`, async (world) => {
    await tree(world, homeOf(world), [path("time")], { version });
  });
  read(`version ${version}: the anonymous user may read`, async (world) => {
    await tree(world, (await world.shared()).destination, [path("time")], { version, as: ANONYMOUS });
  });
}
read("an anonymous read with an old expiry is answered", async (world) => {
  await tree(world, (await world.shared()).destination, [path("time")], {
    as: ANONYMOUS,
    fields: { ingress_expiry: 1n },
  });
});
read("a signed read that has expired is refused", async (world) => {
  refusedWith(
    await reading(world, (await world.shared()).destination, [path("time")], {
      fields: { ingress_expiry: nowNs() - 10_000_000_000n },
    }),
    400,
    "Invalid request expiry",
  );
});
read("an unknown path is 404", async (world) => {
  refusedWith(
    await reading(world, (await world.shared()).destination, [path("nonsense")]),
    404,
    "Invalid path requested.",
  );
});
read("an empty path is 404", async (world) => {
  refusedWith(await reading(world, (await world.shared()).destination, [[]]), 404, "Invalid path requested.");
});
read("one bad path among good ones is 404", async (world) => {
  refusedWith(
    await reading(world, (await world.shared()).destination, [path("time"), path("nonsense")]),
    404,
    "Invalid path requested.",
  );
});
read("a path below the time is 404", async (world) => {
  refusedWith(
    await reading(world, (await world.shared()).destination, [path("time", "below")]),
    404,
    "Invalid path requested.",
  );
});
read("a thousand paths are allowed", async (world) => {
  await tree(
    world,
    (await world.shared()).destination,
    Array.from({ length: 1_000 }, () => path("time")),
  );
});
read("a thousand and one paths are refused", async (world) => {
  refusedWith(
    await reading(
      world,
      (await world.shared()).destination,
      Array.from({ length: 1_001 }, () => path("time")),
    ),
    400,
    "Too many paths in read state request: got 1001 paths, but at most 1000 are allowed.",
  );
});
read("a path of 128 labels is refused", async (world) => {
  refusedWith(
    await reading(world, (await world.shared()).destination, [new Array<Uint8Array>(128).fill(utf8("x"))]),
    400,
    "too deep: got 128 labels, but at most 127 are allowed.",
  );
});
read("a path of 127 labels is looked at", async (world) => {
  refusedWith(
    await reading(world, (await world.shared()).destination, [new Array<Uint8Array>(127).fill(utf8("x"))]),
    404,
    "Invalid path requested.",
  );
});
read("a call's content at the read_state endpoint is refused", async (world) => {
  const canister = await world.shared();
  const request = world.sign("call", {
    canister_id: canister.bytes,
    method_name: "update",
    arg: new Uint8Array(),
  });
  const answer = await world.wire.post(`/api/v3/${canister.destination}/read_state`, request.body);
  assert.equal(answer.status, 400);
});
read("paths that are no list are refused", async (world) => {
  const answer = await reading(world, (await world.shared()).destination, [], { fields: { paths: "time" } });
  assert.equal(answer.status, 400);
});
read("a delegation for another canister's requests may read the time", async (world) => {
  const canister = await world.shared();
  const [owner, session] = [ed25519(), ed25519()];
  const delegation = signDelegation(owner, {
    pubkey: session.publicKeyDer ?? new Uint8Array(),
    expiration: nowNs() + 10n ** 12n,
    targets: [Uint8Array.of(9)],
  });
  const request = sign(session, contentOf("read_state", owner.sender, { paths: [path("time")] }), {
    from: owner,
    delegations: [delegation],
  });
  const answer = await world.wire.post(`/api/v3/${canister.destination}/read_state`, request.body);
  assert.equal(answer.status, 200);
});

requests("an unknown request is provably absent", async (world) => {
  const from = await tree(world, (await world.shared()).destination, [
    path("request_status", new Uint8Array(32).fill(7)),
  ]);
  assert.equal(kindOf(from, "request_status", new Uint8Array(32).fill(7), "status"), "absent");
});
requests("a request id of another length is refused", async (world) => {
  refusedWith(
    await reading(world, (await world.shared()).destination, [path("request_status", new Uint8Array(31))]),
    400,
    "Invalid request id in paths",
  );
});
requests("two requests in one read are refused", async (world) => {
  const paths = [1, 2].map((i) => path("request_status", new Uint8Array(32).fill(i)));
  refusedWith(await reading(world, (await world.shared()).destination, paths), 400, "request ID");
});
requests("several paths of one request are fine", async (world) => {
  const id = new Uint8Array(32).fill(3);
  await tree(world, (await world.shared()).destination, [
    path("request_status", id, "status"),
    path("request_status", id, "reply"),
  ]);
});
requests("an unknown field of a request is 404", async (world) => {
  refusedWith(
    await reading(world, (await world.shared()).destination, [
      path("request_status", new Uint8Array(32), "weather"),
    ]),
    404,
    "Invalid path requested.",
  );
});
async function done(world: World, canister: Universal, program: Uint8Array, as: Identity = world.user) {
  const request = world.sign(
    "call",
    { canister_id: canister.bytes, method_name: "update", arg: program },
    as,
  );
  await world.wire.call(canister.destination, request, { identity: as });
  return request.id;
}
requests("a replied request has status and reply", async (world) => {
  const canister = await world.shared();
  const id = await done(world, canister, code("answer", reply));
  const from = await tree(world, canister.destination, [path("request_status", id)]);
  assert.equal(textOf(found(from, "request_status", id, "status")), "replied");
  assert.equal(textOf(found(from, "request_status", id, "reply")), "answer");
});
requests("a replied request has no reject code, provably", async (world) => {
  const canister = await world.shared();
  const id = await done(world, canister, code("answer", reply));
  assert.equal(
    kindOf(
      await tree(world, canister.destination, [path("request_status", id)]),
      "request_status",
      id,
      "reject_code",
    ),
    "absent",
  );
});
requests("a rejected request has status, code, message and error code", async (world) => {
  const canister = await world.shared();
  const id = await done(world, canister, code("no", ic0.msg_reject));
  const from = await tree(world, canister.destination, [path("request_status", id)]);
  assert.deepEqual(
    ["status", "reject_message", "error_code"].map((name) => textOf(found(from, "request_status", id, name))),
    ["rejected", "no", "IC0406"],
  );
  assert.equal(leb128(found(from, "request_status", id, "reject_code")), 4n);
});
requests("only what was asked for is revealed", async (world) => {
  const canister = await world.shared();
  const id = await done(world, canister, code("answer", reply));
  const from = await tree(world, canister.destination, [path("request_status", id, "status")]);
  assert.equal(textOf(found(from, "request_status", id, "status")), "replied");
  assert.equal(kindOf(from, "request_status", id, "reply"), "unknown");
});
requests("another user's request is private", async (world) => {
  const canister = await world.shared();
  const id = await done(world, canister, code("answer", reply));
  refusedWith(
    await reading(world, canister.destination, [path("request_status", id)], { as: world.stranger }),
    403,
    "The user tries to access Request ID not signed by the caller.",
  );
});
requests("another user's request is private from the anonymous user", async (world) => {
  const canister = await world.shared();
  const id = await done(world, canister, code("answer", reply));
  refusedWith(
    await reading(world, canister.destination, [path("request_status", id)], { as: ANONYMOUS }),
    403,
    "not signed by the caller",
  );
});
requests("an anonymous request may be read by everybody who is anonymous", async (world) => {
  const canister = await world.shared();
  const id = await done(world, canister, code("answer", reply), ANONYMOUS);
  const from = await tree(world, canister.destination, [path("request_status", id)], { as: ANONYMOUS });
  assert.equal(textOf(found(from, "request_status", id, "reply")), "answer");
});
requests("a request through another canister's id is refused", async (world) => {
  const [canister, other] = [await world.shared(), await world.shared(64)];
  const id = await done(world, canister, code("answer", reply));
  const answer = await reading(world, other.destination, [path("request_status", id)]);
  assert.ok(answer.status === 400 || answer.status === 403, `HTTP ${answer.status}`);
});
requests("a delegation whose targets do not name the canister may not read its request", async (world) => {
  const canister = await world.shared();
  const [owner, session] = [ed25519(), ed25519()];
  const id = await done(world, canister, code("answer", reply), owner);
  const delegation = signDelegation(owner, {
    pubkey: session.publicKeyDer ?? new Uint8Array(),
    expiration: nowNs() + 10n ** 12n,
    targets: [Uint8Array.of(9)],
  });
  const request = sign(
    session,
    contentOf("read_state", owner.sender, { paths: [path("request_status", id)] }),
    { from: owner, delegations: [delegation] },
  );
  const answer = await world.wire.post(`/api/v3/${canister.destination}/read_state`, request.body);
  assert.equal(answer.status, 403);
});
requests("a delegation whose targets name the canister may", async (world) => {
  const canister = await world.shared();
  const [owner, session] = [ed25519(), ed25519()];
  const id = await done(world, canister, code("answer", reply), owner);
  const delegation = signDelegation(owner, {
    pubkey: session.publicKeyDer ?? new Uint8Array(),
    expiration: nowNs() + 10n ** 12n,
    targets: [canister.bytes],
  });
  const request = sign(
    session,
    contentOf("read_state", owner.sender, { paths: [path("request_status", id)] }),
    { from: owner, delegations: [delegation] },
  );
  assert.equal(
    (await world.wire.post(`/api/v3/${canister.destination}/read_state`, request.body)).status,
    200,
  );
});

const leaf = async (world: World, canister: Universal, name: string, as?: Identity) =>
  await tree(
    world,
    canister.destination,
    [path("canister", canister.bytes, name)],
    as === undefined ? {} : { as },
  );

canisters("the module's hash", async (world) => {
  const canister = await world.shared();
  const value = found(await leaf(world, canister, "module_hash"), "canister", canister.bytes, "module_hash");
  assert.equal(hex(value), createHash("sha256").update(universalModule()).digest("hex"));
});
canisters("an empty canister has no module hash, provably", async (world) => {
  const canister = await world.fresh({ install: false });
  assert.equal(
    kindOf(await leaf(world, canister, "module_hash"), "canister", canister.bytes, "module_hash"),
    "absent",
  );
});
canisters("the controllers, as CBOR", async (world) => {
  const canister = await world.shared();
  const value = found(await leaf(world, canister, "controllers"), "canister", canister.bytes, "controllers");
  assert.deepEqual((decodeCbor(value) as Uint8Array[]).map(hex), [hex(world.user.sender)]);
});
canisters("anybody may read the controllers", async (world) => {
  const canister = await world.shared();
  await leaf(world, canister, "controllers", ANONYMOUS);
});
canisters("an empty canister has controllers", async (world) => {
  const canister = await world.fresh({ install: false });
  found(await leaf(world, canister, "controllers"), "canister", canister.bytes, "controllers");
});
canisters("the time of creation", async (world) => {
  const canister = await world.fresh({ install: false });
  const value = leb128(
    found(
      await leaf(world, canister, "canister_creation_timestamp"),
      "canister",
      canister.bytes,
      "canister_creation_timestamp",
    ),
  );
  const away = value - nowNs();
  assert.ok(away < 60_000_000_000n && away > -120_000_000_000n);
});
canisters("the time of the last installation is not before the creation's", async (world) => {
  const canister = await world.fresh();
  const at = async (name: string) =>
    leb128(found(await leaf(world, canister, name), "canister", canister.bytes, name));
  assert.ok((await at("last_install_timestamp")) >= (await at("canister_creation_timestamp")));
});
canisters("an upgrade moves the time of the last installation", async (world) => {
  const canister = await world.fresh();
  const at = async () =>
    leb128(
      found(
        await leaf(world, canister, "last_install_timestamp"),
        "canister",
        canister.bytes,
        "last_install_timestamp",
      ),
    );
  const before = await at();
  replied(await canister.upgrade());
  assert.ok((await at()) > before);
});
canisters("an empty canister has no time of installation", async (world) => {
  const canister = await world.fresh({ install: false });
  assert.equal(
    kindOf(
      await leaf(world, canister, "last_install_timestamp"),
      "canister",
      canister.bytes,
      "last_install_timestamp",
    ),
    "absent",
  );
});
canisters("certified data may not be asked for", async (world) => {
  const canister = await world.shared();
  refusedWith(
    await reading(world, canister.destination, [path("canister", canister.bytes, "certified_data")]),
    404,
    "Invalid path requested.",
  );
});
canisters("the whole of a canister may not be asked for", async (world) => {
  const canister = await world.shared();
  refusedWith(
    await reading(world, canister.destination, [path("canister", canister.bytes)]),
    404,
    "Invalid path requested.",
  );
});
canisters("all canisters may not be asked for", async (world) => {
  refusedWith(
    await reading(world, (await world.shared()).destination, [path("canister")]),
    404,
    "Invalid path requested.",
  );
});
canisters("another canister's information is refused", async (world) => {
  const [canister, other] = [await world.shared(), await world.shared(64)];
  refusedWith(
    await reading(world, canister.destination, [path("canister", other.bytes, "controllers")]),
    400,
    "does not match requested principal id",
  );
});
canisters("a canister's information through the subnet is refused", async (world) => {
  const canister = await world.shared();
  refusedWith(
    await reading(world, homeOf(world), [path("canister", canister.bytes, "controllers")]),
    404,
    "Invalid path requested.",
  );
});
canisters("a canister that does not exist is provably absent", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("delete_canister", { canister_id: canister.id }));
  assert.equal(
    kindOf(await leaf(world, canister, "controllers"), "canister", canister.bytes, "controllers"),
    "absent",
  );
});
const PUBLIC = { "icp:public open": "for all", "icp:private closed": "for few" };
const meta = (canister: Universal, name: Label) => path("canister", canister.bytes, "metadata", name);
canisters("anybody reads a public section", async (world) => {
  const canister = await world.fresh({ sections: PUBLIC });
  const from = await tree(world, canister.destination, [meta(canister, "open")], { as: ANONYMOUS });
  assert.equal(textOf(found(from, "canister", canister.bytes, "metadata", "open")), "for all");
});
canisters("a controller reads a private section", async (world) => {
  const canister = await world.fresh({ sections: PUBLIC });
  const from = await tree(world, canister.destination, [meta(canister, "closed")]);
  assert.equal(textOf(found(from, "canister", canister.bytes, "metadata", "closed")), "for few");
});
canisters("a stranger does not read a private section", async (world) => {
  const canister = await world.fresh({ sections: PUBLIC });
  refusedWith(
    await reading(world, canister.destination, [meta(canister, "closed")], { as: world.stranger }),
    403,
    "can only be requested by the controllers of the canister",
  );
});
canisters("a section that does not exist is provably absent", async (world) => {
  const canister = await world.fresh({ sections: PUBLIC });
  assert.equal(
    kindOf(
      await tree(world, canister.destination, [meta(canister, "missing")]),
      "canister",
      canister.bytes,
      "metadata",
      "missing",
    ),
    "absent",
  );
});
canisters("a section's name that is no UTF-8 is refused", async (world) => {
  const canister = await world.shared();
  refusedWith(
    await reading(world, canister.destination, [meta(canister, Uint8Array.of(0xff))]),
    400,
    "utf-8",
  );
});
canisters("all sections at once may not be asked for", async (world) => {
  const canister = await world.shared();
  refusedWith(
    await reading(world, canister.destination, [path("canister", canister.bytes, "metadata")]),
    404,
    "Invalid path requested.",
  );
});
canisters("an upgrade replaces the sections", async (world) => {
  const canister = await world.fresh({ sections: PUBLIC });
  replied(await canister.install({ upgrade: null }, { sections: { "icp:public open": "anew" } }));
  const from = await tree(world, canister.destination, [meta(canister, "open")]);
  assert.equal(textOf(found(from, "canister", canister.bytes, "metadata", "open")), "anew");
});
canisters("a canister in a path that is no principal is refused", async (world) => {
  const answer = await reading(world, (await world.shared()).destination, [
    path("canister", new Uint8Array(40), "controllers"),
  ]);
  assert.equal(answer.status, 400);
});

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
  assert.equal(hex(found(from, "subnet", homeId(world), "metrics").subarray(0, 3)), "d9d9f7");
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
several("a delegation's certificate is the root subnet's", async (world) => {
  const bytes = (await delegationOf(world)).get("certificate") as Uint8Array;
  await world.wire.verify(bytes, `subnet/${world.target.root.id.toText()}`);
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
