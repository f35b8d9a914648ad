/** What is CBOR of a request and what is not (interface spec, "CBOR encoding of requests and responses"). */
import assert from "node:assert/strict";
import { type CborValue, encodeCbor } from "@orrery/base";
import { requestId } from "@orrery/crypto";
import { hex, join, utf8 } from "../bytes.ts";
import { section } from "../case.ts";
import { refused, repliedNumber } from "../checks.ts";
import { ANONYMOUS } from "../identity.ts";
import { code, reply64 } from "../script.ts";
import { contentOf } from "../wire.ts";
import { ask, OK, queryPath } from "./http-shared.testkit.ts";

const cbor = section("CBOR encoding of requests and responses");

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
  const outcome = await world.wire.query(canister.destination, { id: requestId(content), body });
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
  const id = requestId(new Map([...content, ["ingress_expiry", 0x1765_5e2a_0000_0000n]]));
  repliedNumber(await world.wire.query(canister.destination, { id, body }), 7);
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
    id: requestId(content),
    body: encodeCbor({ content, extra: 1 }),
  });
  if (outcome.kind === "replied") repliedNumber(outcome, 7);
  else refused(outcome, 400);
});
