/** The HTTPS interface at the level of bytes: endpoints, encodings, calls, queries (interface spec, "HTTPS Interface"). */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { HttpAgent, requestIdOf } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import { type CborMap, type CborValue, decodeCbor, encodeCbor } from "@orrery/base";
import { requestId } from "@orrery/crypto";
import { fromHex, hex, join, textOf, utf8 } from "../bytes.ts";
import { section } from "../case.ts";
import { refused, rejected, replied, repliedNumber } from "../checks.ts";
import { ANONYMOUS, ed25519 } from "../identity.ts";
import { encodeArg, MANAGEMENT } from "../management.ts";
import { code, get, ic0, op, reply, reply64, set, setHook } from "../script.ts";
import { type Answer, contentOf, nowNs, outcomeIn, sign, valueAt } from "../wire.ts";
import type { Universal, World } from "../world.ts";

const status = section("Status endpoint");
const http = section("HTTPS interface");
const call = section("Request: Call");
const query = section("Request: Query call");
const cbor = section("CBOR encoding of requests and responses");
const hashing = section("Representation-independent hashing of structured data");
const effective = section("Effective canister id");

const SECOND = 1_000_000_000n;
const OK = code(ic0.msg_reply);

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
http("version 1 does not exist", async (world) => {
  assert.equal((await world.wire.send("GET", "/api/v1/status")).status, 404);
});
http.each(
  "versions that an endpoint does not have are 404",
  [
    ["canister", 5, "call"],
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
http("a body over 5 MiB is 413", async (world) => {
  const canister = await world.shared();
  const answer = await world.wire
    .post(`/api/v4/${canister.destination}/call`, new Uint8Array(5 * 1024 * 1024 + 1))
    .catch(() => null);
  // A client that is still sending when the connection is closed may not see the answer.
  assert.ok(answer === null || answer.status === 413);
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

const callPath = (canister: Universal, version = 4) => `/api/v${version}/${canister.destination}/call`;
const fieldsOf = (answer: Answer): CborMap => {
  assert.equal(answer.status, 200, textOf(answer.body));
  return decodeCbor(answer.body) as CborMap;
};
const update = (
  world: World,
  canister: Universal,
  program: Uint8Array = OK,
  fields: Record<string, CborValue> = {},
) => world.sign("call", { canister_id: canister.bytes, method_name: "update", arg: program, ...fields });

call("version 2 accepts with 202 and an empty body", async (world) => {
  const canister = await world.shared();
  const answer = await world.wire.post(callPath(canister, 2), update(world, canister).body);
  assert.equal(answer.status, 202);
  assert.equal(answer.body.length, 0);
});
call("an accepted call of version 2 is found by read_state", async (world) => {
  const canister = await world.shared();
  const request = update(world, canister, code(7, reply64));
  repliedNumber(
    await world.wire.call(canister.destination, request, { identity: world.user, version: 2 }),
    7,
  );
});
call.each("versions 3 and 4 answer with a certificate", [3, 4] as const, async (world, version) => {
  const canister = await world.shared();
  const request = update(world, canister, code(7, reply64));
  const fields = fieldsOf(await world.wire.post(callPath(canister, version), request.body));
  assert.equal(fields.get("status"), "replied");
  const certificate = await world.wire.verify(fields.get("certificate") as Uint8Array, canister.destination);
  const outcome = outcomeIn(certificate, request.id);
  assert.ok(outcome !== null);
  repliedNumber(outcome, 7);
});
call("a certificate of a call tells the time", async (world) => {
  const canister = await world.shared();
  const fields = fieldsOf(await world.wire.post(callPath(canister), update(world, canister).body));
  const certificate = await world.wire.verify(fields.get("certificate") as Uint8Array, canister.destination);
  assert.ok(valueAt(certificate, "time") !== null);
});
call("a certified reject has status replied on the outside", async (world) => {
  const canister = await world.shared();
  const request = update(world, canister, code("no", ic0.msg_reject));
  const fields = fieldsOf(await world.wire.post(callPath(canister), request.body));
  assert.equal(fields.get("status"), "replied");
  const certificate = await world.wire.verify(fields.get("certificate") as Uint8Array, canister.destination);
  assert.equal(textOf(valueAt(certificate, "request_status", request.id, "status") ?? undefined), "rejected");
});
call("a certified reject has code, text and error code", async (world) => {
  const canister = await world.shared();
  const request = update(world, canister, code("no", ic0.msg_reject));
  const fields = fieldsOf(await world.wire.post(callPath(canister), request.body));
  const certificate = await world.wire.verify(fields.get("certificate") as Uint8Array, canister.destination);
  const at = (name: string) => valueAt(certificate, "request_status", request.id, name);
  assert.deepEqual(
    [
      hex(at("reject_code") ?? new Uint8Array()),
      textOf(at("reject_message") ?? undefined),
      textOf(at("error_code") ?? undefined),
    ],
    ["04", "no", "IC0406"],
  );
});
call("a refusal before submission is no certificate", async (world) => {
  const canister = await world.fresh({ install: false });
  const fields = fieldsOf(await world.wire.post(callPath(canister), update(world, canister).body));
  assert.equal(fields.get("status"), "non_replicated_rejection");
  assert.ok(
    typeof fields.get("reject_code") === "number" &&
      typeof fields.get("reject_message") === "string" &&
      typeof fields.get("error_code") === "string",
  );
});
call("version 2 tells a refusal without a status", async (world) => {
  const canister = await world.fresh({ install: false });
  const fields = fieldsOf(await world.wire.post(callPath(canister, 2), update(world, canister).body));
  assert.equal(fields.get("status"), undefined);
  assert.equal(fields.get("error_code"), "IC0537");
});
call("a refused call has no request status", async (world) => {
  const canister = await world.fresh({ install: false });
  const request = update(world, canister);
  await world.wire.post(callPath(canister), request.body);
  const certificate = await world.wire.readState(canister.destination, world.user, [
    [utf8("request_status"), request.id],
  ]);
  assert.equal(valueAt(certificate, "request_status", request.id, "status"), null);
});
call("the same request again is answered again and executed once", async (world) => {
  const canister = await world.universal();
  const request = update(world, canister, code(get(1), 1, op.add, set(1), get(1), reply64));
  for (let i = 0; i < 3; i++)
    repliedNumber(await world.wire.call(canister.destination, request, { identity: world.user }), 1);
  repliedNumber(await canister.query(get(1), reply64), 1);
});
call("the same request twice at once is executed once", async (world) => {
  const canister = await world.universal();
  const request = update(world, canister, code(get(1), 1, op.add, set(1), get(1), reply64));
  const both = await Promise.all(
    [1, 2].map(() => world.wire.call(canister.destination, request, { identity: world.user })),
  );
  for (const one of both) repliedNumber(one, 1);
  repliedNumber(await canister.query(get(1), reply64), 1);
});
call("requests that differ in their nonce only are two requests", async (world) => {
  const canister = await world.universal();
  const program = code(get(1), 1, op.add, set(1), get(1), reply64);
  const ingress_expiry = nowNs() + 200n * SECOND;
  for (let i = 1; i <= 2; i++) {
    const request = update(world, canister, program, { nonce: Uint8Array.of(i), ingress_expiry });
    repliedNumber(await world.wire.call(canister.destination, request, { identity: world.user }), i);
  }
});
call("a call without a nonce is taken", async (world) => {
  const canister = await world.shared();
  const request = update(world, canister, code(7, reply64), { nonce: undefined });
  repliedNumber(await world.wire.call(canister.destination, request, { identity: world.user }), 7);
});
call("a nonce of 32 bytes is taken", async (world) => {
  const canister = await world.shared();
  const request = update(world, canister, code(7, reply64), { nonce: new Uint8Array(randomBytes(32)) });
  repliedNumber(await world.wire.call(canister.destination, request, { identity: world.user }), 7);
});
call("a nonce of 33 bytes is refused", async (world) => {
  const canister = await world.shared();
  const request = update(world, canister, OK, { nonce: new Uint8Array(33) });
  refused(
    await world.wire.call(canister.destination, request, { identity: world.user }),
    400,
    "Nonce in request is too big: got 33 bytes, but at most 32 are allowed.",
  );
});
call("a message over 2 MiB is 413 and names the request", async (world) => {
  const canister = await world.shared();
  const request = update(world, canister, new Uint8Array(2_200_000));
  const outcome = await world.wire.call(canister.destination, request, { identity: world.user });
  refused(
    outcome,
    413,
    new RegExp(
      `^Request ${hex(request.id)} is too large\\. Message byte size \\d+ is larger than the max allowed 2097152\\.$`,
    ),
  );
});
call("a message just under 2 MiB is taken", async (world) => {
  const canister = await world.universal();
  const program = join([code(ic0.msg_arg_data_size, reply64, op.stop), new Uint8Array(2_096_000)]);
  repliedNumber(await canister.call(program), program.length);
});
call("a call whose arg is missing is refused", async (world) => {
  const canister = await world.shared();
  const request = update(world, canister, OK, { arg: undefined });
  refused(
    await world.wire.call(canister.destination, request, { identity: world.user }),
    400,
    /missing field|arg/,
  );
});
call.each(
  "a call without a required field is refused",
  ["canister_id", "method_name", "sender", "ingress_expiry"] as const,
  async (world, field) => {
    const canister = await world.shared();
    const content = new Map(
      contentOf("call", world.user.sender, { canister_id: canister.bytes, method_name: "update", arg: OK }),
    );
    content.delete(field);
    refused(
      await world.wire.call(canister.destination, sign(world.user, content), { identity: world.user }),
      400,
      "Failed to deserialize cbor request",
    );
  },
);
call("a query's content at the call endpoint is refused", async (world) => {
  const canister = await world.shared();
  const request = world.sign("query", { canister_id: canister.bytes, method_name: "update", arg: OK });
  refused(
    await world.wire.call(canister.destination, request, { identity: world.user }),
    400,
    "unknown variant `query`, expected `call`",
  );
});
call("an unknown request type is refused", async (world) => {
  const canister = await world.shared();
  const request = update(world, canister, OK, { request_type: "please" });
  refused(
    await world.wire.call(canister.destination, request, { identity: world.user }),
    400,
    "Failed to deserialize cbor request",
  );
});
call("a canister that does not exist is refused by its error code", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("delete_canister", { canister_id: canister.id }));
  rejected(await canister.update(ic0.msg_reply), { code: 3, error: "IC0301", from: "submission" });
});
call("a trap in canister_inspect_message refuses the call", async (world) => {
  const canister = await world.universal({ inspect: true });
  replied(await canister.update(setHook("inspect_message", op.unreachable), ic0.msg_reply));
  rejected(await canister.update(ic0.msg_reply), { code: 5, error: "IC0502", from: "submission" });
});
call("a canister_inspect_message that accepts nothing refuses the call", async (world) => {
  const canister = await world.universal({ inspect: true });
  replied(await canister.update(setHook("inspect_message", 1, op.drop), ic0.msg_reply));
  rejected(await canister.update(ic0.msg_reply), {
    code: 4,
    error: "IC0406",
    text: "Canister rejected the message",
    from: "submission",
  });
});
call("calls of many clients at once are all answered", async (world) => {
  const canister = await world.universal();
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, () => canister.update(get(1), 1, op.add, set(1), ic0.msg_reply)),
  );
  for (const outcome of outcomes) replied(outcome);
  repliedNumber(await canister.query(get(1), reply64), 40);
});
call("a query sees what an answered call wrote", async (world) => {
  const canister = await world.universal();
  for (let i = 1; i <= 5; i++) {
    replied(await canister.update(i, set(1), ic0.msg_reply));
    repliedNumber(await canister.query(get(1), reply64), i);
  }
});

const queryPath = (canister: Universal, version = 3) => `/api/v${version}/${canister.destination}/query`;
const ask = (
  world: World,
  canister: Universal,
  program: Uint8Array = OK,
  fields: Record<string, CborValue> = {},
) => world.sign("query", { canister_id: canister.bytes, method_name: "query", arg: program, ...fields });

query.each("versions 2 and 3 answer", [2, 3] as const, async (world, version) => {
  const canister = await world.shared();
  repliedNumber(
    await world.wire.query(canister.destination, ask(world, canister, code(7, reply64)), version),
    7,
  );
});
query("a reply has status, reply and signatures", async (world) => {
  const canister = await world.shared();
  const fields = fieldsOf(await world.wire.post(queryPath(canister), ask(world, canister).body));
  assert.deepEqual([...fields.keys()].sort(), ["reply", "signatures", "status"]);
  assert.ok((fields.get("reply") as CborMap).get("arg") instanceof Uint8Array);
});
query("a reject has status, code, text, error code and signatures", async (world) => {
  const canister = await world.shared();
  const fields = fieldsOf(
    await world.wire.post(queryPath(canister), ask(world, canister, code("no", ic0.msg_reject)).body),
  );
  assert.deepEqual([...fields.keys()].sort(), [
    "error_code",
    "reject_code",
    "reject_message",
    "signatures",
    "status",
  ]);
  assert.equal(fields.get("status"), "rejected");
});
query("a signature has time, signature and identity of a node", async (world) => {
  const canister = await world.shared();
  const fields = fieldsOf(await world.wire.post(queryPath(canister), ask(world, canister).body));
  const [signature] = fields.get("signatures") as [CborMap];
  assert.ok(typeof signature.get("timestamp") === "bigint" || typeof signature.get("timestamp") === "number");
  assert.equal((signature.get("signature") as Uint8Array).length, 64);
  assert.equal((signature.get("identity") as Uint8Array).at(-1), 2);
});
query("the node that signs is of the subnet", async (world) => {
  const canister = await world.shared();
  const fields = fieldsOf(await world.wire.post(queryPath(canister), ask(world, canister).body));
  const [signature] = fields.get("signatures") as [CborMap];
  const { home } = world.target;
  const path = [
    utf8("subnet"),
    home.id.toUint8Array(),
    utf8("node"),
    signature.get("identity") as Uint8Array,
    utf8("public_key"),
  ];
  const certificate = await world.wire.readState(canister.destination, ANONYMOUS, [path.slice(0, 2)]);
  assert.ok(valueAt(certificate, ...path) !== null);
});
query("the published client verifies a reply's signature", async (world) => {
  const canister = await world.shared();
  const outcome = await clientQuery(world, canister, "query", code("signed", reply));
  assert.ok("reply" in outcome && textOf(new Uint8Array(outcome.reply.arg)) === "signed");
});
query("the published client verifies a reject's signature", async (world) => {
  const outcome = await clientQuery(world, await world.shared(), "query", code("no", ic0.msg_reject));
  assert.equal(outcome.status, "rejected");
});
query("the published client verifies the signature of an error", async (world) => {
  const outcome = await clientQuery(world, await world.shared(), "nothing", OK);
  assert.equal(outcome.status, "rejected");
});
query("a rejected query is HTTP 200", async (world) => {
  const canister = await world.shared();
  assert.equal(
    (await world.wire.post(queryPath(canister), ask(world, canister, code(op.unreachable)).body)).status,
    200,
  );
});
query("an anonymous query with an old expiry is answered", async (world) => {
  const canister = await world.shared();
  const fields = {
    canister_id: canister.bytes,
    method_name: "query",
    arg: code(7, reply64),
    ingress_expiry: 1n,
  };
  repliedNumber(await world.wire.query(canister.destination, world.sign("query", fields, ANONYMOUS)), 7);
});
query("a nonce makes no difference", async (world) => {
  const canister = await world.shared();
  repliedNumber(
    await world.wire.query(
      canister.destination,
      ask(world, canister, code(7, reply64), { nonce: Uint8Array.of(1) }),
    ),
    7,
  );
});
query("a call's content at the query endpoint is refused", async (world) => {
  const canister = await world.shared();
  refused(
    await world.wire.query(canister.destination, update(world, canister)),
    400,
    "unknown variant `call`, expected `query`",
  );
});
query("the instructions of a query are limited", async (world) => {
  const canister = await world.shared();
  const outcome = await canister.query(1n << 40n, op.spin, ic0.msg_reply);
  rejected(outcome, {
    code: 5,
    error: "IC0522",
    text: /Canister exceeded the limit of \d+ instructions for single message execution/,
  });
});
query("many queries at once are all answered", async (world) => {
  const canister = await world.shared();
  const outcomes = await Promise.all(Array.from({ length: 60 }, (_, i) => canister.query(i, reply64)));
  for (const [i, outcome] of outcomes.entries()) repliedNumber(outcome, i);
});
query("a query through the subnet endpoint is refused for a canister", async (world) => {
  const canister = await world.shared();
  const outcome = await world.wire.query(`subnet/${world.target.home.id.toText()}`, ask(world, canister));
  assert.notEqual(outcome.kind, "replied");
});

async function clientQuery(world: World, canister: Universal, method: string, arg: Uint8Array) {
  const agent = HttpAgent.createSync({
    host: world.wire.url,
    rootKey: world.wire.rootKey,
    verifyQuerySignatures: true,
    retryTimes: 0,
  });
  return await agent.query(canister.id, { methodName: method, arg });
}

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

cbor("a body without the self-describing tag is taken", async (world) => {
  const canister = await world.shared();
  const request = ask(world, canister, code(7, reply64));
  const body = hex(request.body.subarray(0, 3)) === "d9d9f7" ? request.body.slice(3) : request.body;
  repliedNumber(await world.wire.query(canister.destination, { ...request, body }), 7);
});
cbor("answers carry the self-describing tag", async (world) => {
  const canister = await world.shared();
  const answer = await world.wire.post(queryPath(canister), ask(world, canister).body);
  assert.equal(hex(answer.body.subarray(0, 3)), "d9d9f7");
});
cbor("bytes behind the value are refused", async (world) => {
  const canister = await world.shared();
  const request = ask(world, canister);
  refused(
    await world.wire.query(canister.destination, {
      ...request,
      body: join([request.body, Uint8Array.of(0)]),
    }),
    400,
    "Failed to deserialize cbor request",
  );
});
cbor("a truncated value is refused", async (world) => {
  const canister = await world.shared();
  const request = ask(world, canister);
  refused(
    await world.wire.query(canister.destination, { ...request, body: request.body.slice(0, -1) }),
    400,
    "Failed to deserialize cbor request",
  );
});
cbor("an array for the envelope is refused", async (world) => {
  const canister = await world.shared();
  refused(
    await world.wire.query(canister.destination, { id: new Uint8Array(32), body: encodeCbor([1, 2]) }),
    400,
    "Failed to deserialize cbor request",
  );
});
cbor.each(
  "a field of another type is refused",
  [
    ["arg", "text"],
    ["sender", "text"],
    ["canister_id", 5],
    ["ingress_expiry", "soon"],
  ] as const,
  async (world, [field, value]) => {
    const canister = await world.shared();
    const content = contentOf("query", ANONYMOUS.sender, {
      canister_id: canister.bytes,
      method_name: "query",
      arg: OK,
      [field]: value,
    });
    refused(
      await world.wire.query(canister.destination, { id: new Uint8Array(32), body: encodeCbor({ content }) }),
      400,
    );
  },
);
cbor("a field twice is refused", async (world) => {
  const canister = await world.shared();
  const content = contentOf("query", ANONYMOUS.sender, {
    canister_id: canister.bytes,
    method_name: "query",
    arg: OK,
  });
  const inner = encodeCbor(content as unknown as CborValue);
  const fields = hex(inner.subarray(0, 3)) === "d9d9f7" ? inner.slice(3) : inner;
  const doubled = join([
    Uint8Array.of((fields[0] ?? 0) + 1),
    fields.slice(1),
    Uint8Array.of(0x63),
    utf8("arg"),
    Uint8Array.of(0x40),
  ]);
  const body = join([Uint8Array.of(0xa1, 0x67), utf8("content"), doubled]);
  refused(
    await world.wire.query(canister.destination, { id: new Uint8Array(32), body }),
    400,
    "Failed to deserialize cbor request",
  );
});
cbor("a map of indefinite length is refused or taken, never misread", async (world) => {
  const canister = await world.shared();
  const content = contentOf("query", ANONYMOUS.sender, {
    canister_id: canister.bytes,
    method_name: "query",
    arg: code(7, reply64),
  });
  const inner = encodeCbor(content as unknown as CborValue);
  const fields = hex(inner.subarray(0, 3)) === "d9d9f7" ? inner.slice(3) : inner;
  const body = join([Uint8Array.of(0xbf, 0x67), utf8("content"), fields, Uint8Array.of(0xff)]);
  const outcome = await world.wire.query(canister.destination, { id: new Uint8Array(32), body });
  if (outcome.kind === "replied") repliedNumber(outcome, 7);
  else refused(outcome, 400);
});
cbor("nesting without end is refused", async (world) => {
  const canister = await world.shared();
  const body = new Uint8Array(100_000).fill(0x81);
  refused(
    await world.wire.query(canister.destination, { id: new Uint8Array(32), body }),
    400,
    "Failed to deserialize cbor request",
  );
});
cbor("a length beyond the body is refused", async (world) => {
  const canister = await world.shared();
  const body = Uint8Array.of(
    0xa1,
    0x67,
    ...utf8("content"),
    0x5b,
    0x7f,
    0xff,
    0xff,
    0xff,
    0xff,
    0xff,
    0xff,
    0xff,
  );
  refused(
    await world.wire.query(canister.destination, { id: new Uint8Array(32), body }),
    400,
    "Failed to deserialize cbor request",
  );
});
cbor("text that is no UTF-8 is refused", async (world) => {
  const canister = await world.shared();
  const body = Uint8Array.of(
    0xa1,
    0x67,
    ...utf8("content"),
    0xa1,
    0x6c,
    ...utf8("request_type"),
    0x62,
    0xff,
    0xfe,
  );
  refused(
    await world.wire.query(canister.destination, { id: new Uint8Array(32), body }),
    400,
    "Failed to deserialize cbor request",
  );
});
cbor("an expiry as a big number is taken as the number", async (world) => {
  const canister = await world.shared();
  const content = contentOf("query", ANONYMOUS.sender, {
    canister_id: canister.bytes,
    method_name: "query",
    arg: code(7, reply64),
    ingress_expiry: undefined,
  });
  const inner = encodeCbor(content as unknown as CborValue);
  const fields = hex(inner.subarray(0, 3)) === "d9d9f7" ? inner.slice(3) : inner;
  const expiry = Uint8Array.of(
    0x6e,
    ...utf8("ingress_expiry"),
    0xc2,
    0x48,
    0x17,
    0x65,
    0x5e,
    0x2a,
    0,
    0,
    0,
    0,
  );
  const body = join([
    Uint8Array.of(0xa1, 0x67),
    utf8("content"),
    Uint8Array.of((fields[0] ?? 0) + 1),
    fields.slice(1),
    expiry,
  ]);
  repliedNumber(await world.wire.query(canister.destination, { id: new Uint8Array(32), body }), 7);
});
cbor("a sender of 30 bytes is refused", async (world) => {
  const canister = await world.shared();
  const content = contentOf("query", new Uint8Array(30), {
    canister_id: canister.bytes,
    method_name: "query",
    arg: OK,
  });
  refused(
    await world.wire.query(canister.destination, { id: new Uint8Array(32), body: encodeCbor({ content }) }),
    400,
  );
});
cbor("a body with an unknown field beside the content is taken", async (world) => {
  const canister = await world.shared();
  const content = contentOf("query", ANONYMOUS.sender, {
    canister_id: canister.bytes,
    method_name: "query",
    arg: code(7, reply64),
  });
  const outcome = await world.wire.query(canister.destination, {
    id: new Uint8Array(32),
    body: encodeCbor({ content, extra: 1 }),
  });
  if (outcome.kind === "replied") repliedNumber(outcome, 7);
  else refused(outcome, 400);
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
