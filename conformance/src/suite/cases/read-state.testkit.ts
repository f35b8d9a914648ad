/** Certified state: who may read which path and what it says (interface spec, "Request: Read state"). */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { decodeCbor } from "@orrery/base";
import { hex, leb128, numberOf, textOf, utf8 } from "../bytes.ts";
import { section } from "../case.ts";
import { replied } from "../checks.ts";
import { ANONYMOUS, ed25519, type Identity } from "../identity.ts";
import { universalModule } from "../module.ts";
import { code, ic0, reply, reply64 } from "../script.ts";
import { contentOf, nowNs, sign, signDelegation } from "../wire.ts";
import type { Universal, World } from "../world.ts";
import {
  found,
  homeOf,
  kindOf,
  type Label,
  leaf,
  path,
  reading,
  refusedWith,
  tree,
} from "./state-shared.testkit.ts";

const read = section("Request: Read state");

const time = section("System state tree: Time");

const requests = section("System state tree: Request status");

const canisters = section("System state tree: Canister information");

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

const VERSIONS = [2, 3] as const;
read.each("versions 2 and 3: a canister's endpoint answers", VERSIONS, async (world, version) => {
  await tree(world, (await world.shared()).destination, [path("time")], { version });
});
read.each("versions 2 and 3: a subnet's endpoint answers", VERSIONS, async (world, version) => {
  await tree(world, homeOf(world), [path("time")], { version });
});
read.each("versions 2 and 3: the anonymous user may read", VERSIONS, async (world, version) => {
  await tree(world, (await world.shared()).destination, [path("time")], { version, as: ANONYMOUS });
});

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
