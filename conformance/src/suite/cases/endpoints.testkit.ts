/** The HTTPS interface: endpoints, effective canister ids, request ids (interface spec, "HTTPS Interface"). */
import assert from "node:assert/strict";
import { requestIdOf } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import { type CborMap, decodeCbor, encodeCbor } from "@orrery/base";
import { requestId } from "@orrery/crypto";
import { fromHex, hex, textOf, utf8 } from "../bytes.ts";
import { section } from "../case.ts";
import { refused, rejected, replied, repliedNumber } from "../checks.ts";
import { ed25519 } from "../identity.ts";
import { encodeArg, MANAGEMENT } from "../management.ts";
import { code, ic0, reply64 } from "../script.ts";
import { contentOf, nowNs, sign, valueAt } from "../wire.ts";
import { OK, update } from "./http-shared.testkit.ts";

const status = section("Status endpoint");

const http = section("HTTPS interface");

const hashing = section("Representation-independent hashing of structured data");

const effective = section("Effective canister id");

status("it is CBOR with the self-describing tag", async (world) => {
  const answer = await world.wire.send("GET", "/api/v2/status");
  assert.equal(answer.status, 200);
  assert.equal(answer.contentType, "application/cbor");
  assert.equal(hex(answer.body.subarray(0, 3)), "d9d9f7");
});

status("it has the root key in DER", async (world) => {
  const key = (await world.wire.status()).get("root_key") as Uint8Array;
  assert.equal(key.length, 133);
  assert.equal(
    hex(key.subarray(0, 37)),
    "308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100",
  );
});

status("the node says that it is healthy", async (world) => {
  assert.equal((await world.wire.status()).get("replica_health_status"), "healthy");
});

status("the certified height rises", async (world) => {
  const before = Number((await world.wire.status()).get("certified_height"));
  replied(await (await world.shared()).update(ic0.msg_reply));
  assert.ok(Number((await world.wire.status()).get("certified_height")) > before);
});

status("it takes GET only", async (world) => {
  assert.equal((await world.wire.send("POST", "/api/v2/status", { body: new Uint8Array() })).status, 405);
});

status("any origin may read it", async (world) => {
  const answer = await world.wire.send("GET", "/api/v2/status", {
    headers: { origin: "https://elsewhere.example" },
  });
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
});

http("an unknown path is 404", async (world) => {
  assert.equal((await world.wire.send("GET", "/api/v2/nothing")).status, 404);
});

http.each(
  "versions that the interface does not have are client errors",
  ["/api/v1/status", "/api/v1/canister/aaaaa-aa/call", "/api/v5/canister/aaaaa-aa/call"],
  async (world, path) => {
    // A gateway at the same address looks for a canister that has the page, and finds none.
    const { status } = await world.wire.post(path, new Uint8Array(1));
    assert.ok([400, 404, 405].includes(status), `${status}`);
  },
);

http.each(
  "versions that an endpoint does not have are 404",
  [
    ["canister", 4, "query"],
    ["canister", 4, "read_state"],
    ["subnet", 2, "call"],
    ["subnet", 3, "call"],
    ["subnet", 2, "query"],
    ["subnet", 4, "read_state"],
  ] as const,
  async (world, [scope, version, operation]) => {
    const id = scope === "canister" ? (await world.shared()).id : world.target.home.id;
    assert.equal(
      (await world.wire.post(`/api/v${version}/${scope}/${id.toText()}/${operation}`, new Uint8Array(1)))
        .status,
      404,
    );
  },
);

http.each(
  "GET is refused where POST is meant",
  ["call", "query", "read_state"] as const,
  async (world, operation) => {
    const canister = await world.shared();
    assert.equal((await world.wire.send("GET", `/api/v3/${canister.destination}/${operation}`)).status, 405);
  },
);

http.each(
  "another content type is refused",
  ["application/json", "text/plain", ""] as const,
  async (world, type) => {
    const canister = await world.shared();
    const answer = await world.wire.send("POST", `/api/v3/${canister.destination}/query`, {
      body: new Uint8Array(1),
      headers: type === "" ? {} : { "content-type": type },
    });
    assert.equal(answer.status, 400);
    assert.equal(textOf(answer.body), "Unexpected content-type, expected application/cbor.");
  },
);

http("a content type in capitals is taken", async (world) => {
  const canister = await world.shared();
  const { body } = world.sign("query", { canister_id: canister.bytes, method_name: "query", arg: OK });
  const answer = await world.wire.send("POST", `/api/v3/${canister.destination}/query`, {
    body,
    headers: { "content-type": "Application/CBOR" },
  });
  assert.equal(answer.status, 200);
});

http("a principal that is none is 400", async (world) => {
  assert.equal(
    (await world.wire.post("/api/v3/canister/not-a-principal/query", new Uint8Array(1))).status,
    400,
  );
});

http("a principal with a wrong checksum is 400", async (world) => {
  const text = (await world.shared()).id.toText();
  const wrong = `${text[0] === "a" ? "b" : "a"}${text.slice(1)}`;
  assert.equal((await world.wire.post(`/api/v3/canister/${wrong}/query`, new Uint8Array(1))).status, 400);
});

http("an empty body is 400", async (world) => {
  const canister = await world.shared();
  const answer = await world.wire.post(`/api/v4/${canister.destination}/call`, new Uint8Array());
  assert.equal(answer.status, 400);
  assert.match(textOf(answer.body), /^Failed to deserialize cbor request: /);
});

http("a body that is no CBOR is 400", async (world) => {
  const canister = await world.shared();
  const answer = await world.wire.post(`/api/v4/${canister.destination}/call`, utf8("hello"));
  assert.equal(answer.status, 400);
});

http("a preflight from any origin is allowed", async (world) => {
  const canister = await world.shared();
  const headers = {
    origin: "https://a.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type",
  };
  const answer = await world.wire.send("OPTIONS", `/api/v4/${canister.destination}/call`, { headers });
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
  assert.match(answer.headers.get("access-control-allow-methods") ?? "", /POST/);
  assert.match(answer.headers.get("access-control-allow-headers") ?? "", /content-type/i);
});

http("answers may be read from any origin", async (world) => {
  const canister = await world.shared();
  const { body } = world.sign("query", { canister_id: canister.bytes, method_name: "query", arg: OK });
  assert.equal(
    (await world.wire.post(`/api/v3/${canister.destination}/query`, body)).headers.get(
      "access-control-allow-origin",
    ),
    "*",
  );
});

http("refusals are text and may be read from any origin", async (world) => {
  const answer = await world.wire.post(
    `/api/v3/${(await world.shared()).destination}/query`,
    new Uint8Array(1),
  );
  assert.match(answer.contentType, /^text\/plain/);
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
});

const vector = "1d1091364d6bb8a6c16b203ee75467d59ead468f523eb058880ae8ec80e2b101";

const sample = {
  request_type: "call",
  sender: Uint8Array.of(4),
  ingress_expiry: 1_685_570_400_000_000_000n,
  canister_id: fromHex("00000000000004d2"),
  method_name: "hello",
  arg: fromHex("4449444c00fd2a"),
};

hashing("the specification's example, by the published client's code and by ours", async () => {
  assert.equal(hex(requestId(new Map(Object.entries(sample)))), vector);
  assert.equal(
    hex(
      new Uint8Array(requestIdOf({ ...sample, canister_id: Principal.fromUint8Array(sample.canister_id) })),
    ),
    vector,
  );
});

hashing("the network knows a request by that hash", async (world) => {
  const canister = await world.shared();
  const request = update(world, canister, code(7, reply64));
  repliedNumber(await world.wire.call(canister.destination, request, { identity: world.user }), 7);
  const certificate = await world.wire.readState(canister.destination, world.user, [
    [utf8("request_status"), request.id],
  ]);
  assert.equal(textOf(valueAt(certificate, "request_status", request.id, "status") ?? undefined), "replied");
});

hashing("the order of fields does not matter", async (world) => {
  const canister = await world.shared();
  const content = contentOf("call", world.user.sender, {
    canister_id: canister.bytes,
    method_name: "update",
    arg: code(7, reply64),
  });
  const reversed = new Map([...content].reverse());
  const request = sign(world.user, reversed);
  assert.equal(hex(request.id), hex(requestId(content)));
  repliedNumber(await world.wire.call(canister.destination, request, { identity: world.user }), 7);
});

hashing("a changed argument breaks the signature", async (world) => {
  const canister = await world.shared();
  const content = contentOf("call", world.user.sender, {
    canister_id: canister.bytes,
    method_name: "update",
    arg: OK,
  });
  const request = sign(world.user, content);
  const decoded = new Map(decodeCbor(request.body) as CborMap);
  decoded.set("content", new Map([...content, ["arg", code(1, reply64)]]));
  refused(
    await world.wire.call(
      canister.destination,
      { ...request, body: encodeCbor(decoded) },
      { identity: world.user },
    ),
    400,
    /signature/i,
  );
});

hashing("numbers are hashed by their LEB128", async (world) => {
  // An expiry whose shortest encoding has nine bytes, as all of this century: a wrong encoding would break the signature.
  const canister = await world.shared();
  const request = update(world, canister, code(7, reply64), {
    ingress_expiry: nowNs() + 123_456_789n * 100n,
  });
  repliedNumber(await world.wire.call(canister.destination, request, { identity: world.user }), 7);
});

effective("a call through another canister's id is refused", async (world) => {
  const [a, b] = [await world.shared(), await world.shared(64)];
  refused(
    await world.call(b.destination, { canister_id: a.bytes, method_name: "update", arg: OK }),
    400,
    `Specified CanisterId ${a.id.toText()} does not match effective canister id in URL ${b.id.toText()}`,
  );
});

effective("a query through another canister's id is refused", async (world) => {
  const [a, b] = [await world.shared(), await world.shared(64)];
  refused(
    await world.query(b.destination, { canister_id: a.bytes, method_name: "query", arg: OK }),
    400,
    "does not match effective canister id in URL",
  );
});

effective("a management call through another canister's id is refused", async (world) => {
  const [a, b] = [await world.shared(), await world.shared(64)];
  refused(
    await world.manage("canister_status", { canister_id: a.id }, { near: b.id }),
    400,
    "does not match effective canister id in URL",
  );
});

effective("a management query through another canister's id is refused", async (world) => {
  const [a, b] = [await world.shared(), await world.shared(64)];
  refused(
    await world.manageQuery("canister_status", { canister_id: a.id }, { near: b.id }),
    400,
    "does not match effective canister id in URL",
  );
});

effective("a creation through any id of the subnet is taken", async (world) => {
  replied(
    await world.manage("provisional_create_canister_with_cycles", {}, { near: (await world.shared()).id }),
  );
});

effective("install_chunked_code goes through its target", async (world) => {
  const [a, b] = [await world.shared(), await world.shared(64)];
  const value = {
    mode: { reinstall: null },
    target_canister: a.id,
    chunk_hashes_list: [],
    wasm_module_hash: new Uint8Array(32),
    arg: new Uint8Array(),
  };
  refused(
    await world.manage("install_chunked_code", value, { near: b.id }),
    400,
    "does not match effective canister id in URL",
  );
});

effective("an id that no subnet hosts is refused", async (world) => {
  const id = Principal.fromUint8Array(ed25519().sender);
  const outcome = await world.query(`canister/${id.toText()}`, {
    canister_id: id.toUint8Array(),
    method_name: "query",
    arg: OK,
  });
  assert.notEqual(outcome.kind, "replied");
});

effective(
  "the management canister itself as effective id does for a creation or is refused",
  async (world) => {
    const fields = {
      canister_id: MANAGEMENT,
      method_name: "provisional_create_canister_with_cycles",
      arg: encodeArg("provisional_create_canister_with_cycles", {}),
    };
    const request = world.sign("call", fields);
    const answer = await world.wire.post("/api/v4/canister/aaaaa-aa/call", request.body);
    assert.ok([200, 202, 400].includes(answer.status), `HTTP ${answer.status}`);
  },
);

effective("canister_status of a query goes through the canister", async (world) => {
  const canister = await world.shared();
  replied(await world.manageQuery("canister_status", { canister_id: canister.id }));
});

effective("a subnet endpoint of a subnet that does not exist is refused", async (world) => {
  const outcome = await world.query(`subnet/${Principal.fromUint8Array(ed25519().sender).toText()}`, {
    canister_id: MANAGEMENT,
    method_name: "list_canisters",
    arg: encodeArg("list_canisters", {}),
  });
  refused(outcome, 400);
});

effective("a subnet endpoint's call that creates no canister is refused", async (world) => {
  const canister = await world.shared();
  const outcome = await world.call(`subnet/${world.target.home.id.toText()}`, {
    canister_id: canister.bytes,
    method_name: "update",
    arg: OK,
  });
  assert.notEqual(outcome.kind, "replied");
});

effective("a creation through the subnet endpoint is the administrators'", async (world) => {
  const fields = {
    canister_id: MANAGEMENT,
    method_name: "create_canister",
    arg: encodeArg("create_canister", {}),
  };
  rejected(await world.call(`subnet/${world.target.home.id.toText()}`, fields), {
    code: 4,
    error: ["IC0410", "IC0406"],
  });
});
