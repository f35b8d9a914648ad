/** Update calls and queries at the level of bytes (interface spec, "Request: Call", "Request: Query call"). */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { HttpAgent } from "@icp-sdk/core/agent";
import { type CborMap, decodeCbor } from "@orrery/base";
import { hex, textOf, utf8 } from "../bytes.ts";
import { section } from "../case.ts";
import { refused, rejected, replied, repliedNumber } from "../checks.ts";
import { ANONYMOUS } from "../identity.ts";
import { code, get, ic0, op, reply, reply64, set, setHook } from "../script.ts";
import { type Answer, contentOf, nowNs, outcomeIn, sign, valueAt } from "../wire.ts";
import type { Universal, World } from "../world.ts";
import { ask, OK, queryPath, update } from "./http-shared.testkit.ts";

const call = section("Request: Call");

const query = section("Request: Query call");

const SECOND = 1_000_000_000n;

const callPath = (canister: Universal, version = 4) => `/api/v${version}/${canister.destination}/call`;

const fieldsOf = (answer: Answer): CborMap => {
  assert.equal(answer.status, 200, textOf(answer.body));
  return decodeCbor(answer.body) as CborMap;
};

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
    text: "Canister exceeded the limit of 5000000000 instructions for single message execution",
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
