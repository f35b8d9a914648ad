/** HTTPS outcalls (interface spec, "http_request"): real requests to the suite's own server, transforms, limits, prices. */
import assert from "node:assert/strict";
import { IDL } from "@icp-sdk/core/candid";
import { numberOf, parseRelayed, type Relayed, textOf } from "../bytes.ts";
import { section } from "../case.ts";
import { rejected, relayedReject, relayedReply, replied } from "../checks.ts";
import { decodeResult, encodeArg, MANAGEMENT, managementCall } from "../management.ts";
import {
  callOut,
  code,
  copied,
  get,
  HEAP_BYTES,
  type Item,
  ic0,
  op,
  relayReject,
  relayReply,
  reply,
  reply64,
  set,
  setHook,
  when,
} from "../script.ts";
import { httpResponse, transformArgs } from "../services.ts";
import type { Universal, World } from "../world.ts";
import { pair } from "../world.ts";
import { nodesOf } from "./state-shared.testkit.ts";

const http = section("Management: HTTPS outcalls", ["outcalls"]);

const CYCLES = 100_000_000_000n;
/** Fee on 13 nodes: base, byte of the request, byte of the response. */
const [BASE, REQUEST_BYTE, RESPONSE_BYTE] = [49_140_000n, 5_200n, 10_400n];

interface Response {
  readonly status: bigint;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly body: Uint8Array;
}

const originOf = (world: World): string => world.outside?.origin ?? "https://nobody.invalid";
/** A path of the case's own, so that its requests can be counted. */
const borrowings = new WeakMap<Universal, number>();
let lent = 0;

/** A path that nothing else asks for: pooled canisters come back, and requests of the case before them were counted. */
function ownPath(canister: Universal, kind = "echo"): string {
  const borrowing = borrowings.get(canister) ?? ++lent;
  borrowings.set(canister, borrowing);
  return `/${kind}/${canister.id.toText()}-${borrowing}`;
}

const argOf = (url: string, more: object = {}): object => ({
  url,
  max_response_bytes: 4_000n,
  method: { get: null },
  headers: [],
  ...more,
});
const ask = async (
  canister: Universal,
  path: string,
  more: object = {},
  cycles: bigint = CYCLES,
): Promise<Relayed> => {
  const arg = argOf(path.startsWith("/") ? originOf(canister.world) + path : path, more);
  return parseRelayed(replied(await canister.update(managementCall("http_request", arg, { cycles }))));
};
const told = (relayed: Relayed): Response => {
  if (relayed.kind !== "reply") assert.fail(`rejected with ${relayed.code}: ${relayed.message}`);
  return decodeResult("http_request", relayed.data);
};
const refusedWith = (relayed: Relayed, reject: number | readonly number[], text: RegExp | string): void => {
  if (relayed.kind !== "reject") assert.fail(`expected a reject, got ${relayed.data.length} bytes`);
  assert.ok([reject].flat().includes(relayed.code), `code ${relayed.code}: ${relayed.message}`);
  assert.match(relayed.message, typeof text === "string" ? new RegExp(RegExp.escape(text)) : text);
};
interface Echo {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}
const echoed = ({ body }: Response): Echo => JSON.parse(textOf(new Uint8Array(body)));

http.each(
  "a request of each method arrives",
  [
    { method: "get", replicated: true },
    { method: "post", replicated: true },
    { method: "put", replicated: false },
    { method: "delete", replicated: false },
    { method: "patch", replicated: false },
  ],
  async (world, { method, replicated }) => {
    const canister = await world.universal();
    const more = { method: { [method]: null }, is_replicated: replicated };
    assert.equal(echoed(told(await ask(canister, "/echo", more))).method, method.toUpperCase());
  },
);
http("a HEAD request is answered without a body", async (world) => {
  const response = told(await ask(await world.universal(), "/bytes/7", { method: { head: null } }));
  assert.deepEqual([response.status, response.body.length], [200n, 0]);
});
http.each(
  "PUT, DELETE and PATCH are for requests without replication only",
  ["put", "delete", "patch"],
  async (world, method) => {
    const answer = await ask(await world.universal(), "/echo", { method: { [method]: null } });
    refusedWith(answer, 4, "only allowed for non-replicated requests");
  },
);
http("body and headers arrive", async (world) => {
  const more = {
    method: { post: null },
    body: Uint8Array.of(0, 1, 254, 255),
    headers: [{ name: "X-Own", value: "a value" }],
  };
  const seen = echoed(told(await ask(await world.universal(), "/echo", more)));
  assert.deepEqual(
    [[...Buffer.from(seen.body, "base64")], seen.headers["x-own"]],
    [[0, 1, 254, 255], "a value"],
  );
});
http("a request without a user-agent gets ic/1.0", async (world) => {
  assert.equal(echoed(told(await ask(await world.universal(), "/echo"))).headers["user-agent"], "ic/1.0");
});
http("a user-agent of its own is kept", async (world) => {
  const more = { headers: [{ name: "User-Agent", value: "mine" }] };
  assert.equal(echoed(told(await ask(await world.universal(), "/echo", more))).headers["user-agent"], "mine");
});
http.each("the status is what the server says", [200, 204, 404, 500], async (world, status) => {
  assert.equal(told(await ask(await world.universal(), `/status/${status}`)).status, BigInt(status));
});
http("redirects are not followed", async (world) => {
  const response = told(await ask(await world.universal(), "/redirect"));
  assert.equal(response.status, 302n);
  assert.ok(
    response.headers.some(({ name, value }) => name.toLowerCase() === "location" && value === "/echo"),
  );
});
/** The server saw so many requests of the canister's: each node makes one, and an answer does not wait for those that may be faulty. */
async function wasAsked(world: World, path: string, requests = 1): Promise<void> {
  const { length: nodes } = await nodesOf(world);
  const faulty = Math.floor((nodes - 1) / 3);
  const times = world.outside?.asked(path) ?? 0;
  const isRight = times >= requests * (nodes - faulty) && times <= requests * nodes;
  assert.ok(isRight, `${nodes} nodes asked ${times} times for ${requests} requests`);
}

http("the query of a URL arrives", async (world) => {
  const canister = await world.universal();
  const path = `${ownPath(canister)}?a=b&c=%20d`;
  told(await ask(canister, path));
  await wasAsked(world, path);
});
http("every node makes a request once", async (world) => {
  const canister = await world.universal();
  told(await ask(canister, ownPath(canister)));
  await wasAsked(world, ownPath(canister));
});
http("two requests of one message are both answered", async (world) => {
  const canister = await world.universal();
  const url = originOf(world) + ownPath(canister);
  const one = callOut({
    to: MANAGEMENT,
    method: "http_request",
    arg: encodeArg("http_request", argOf(url)),
    cycles: CYCLES,
    onReply: [get(1), 1, op.add, set(1), get(1), 2, op.eq, when([ic0.msg_reply])],
  });
  replied(await canister.update(one, one));
  assert.equal(numberOf(replied(await canister.query(get(1), reply64))), 2n);
  await wasAsked(world, ownPath(canister), 2);
});

/** What the transform hook of the canister does. */
const transforming = async (world: World, ...program: readonly Item[]) => {
  const canister = await world.universal();
  replied(await canister.update(setHook("transform", ...program), ic0.msg_reply));
  const transform = {
    function: [canister.id, "transform"] as const,
    context: Uint8Array.of(1, 2, 3),
  };
  return { canister, transform };
};
const encoded = (status: number, bytes = 0): Uint8Array =>
  IDL.encode([httpResponse], [{ status: BigInt(status), headers: [], body: new Uint8Array(bytes) }]);
http("a transform decides what the caller gets", async (world) => {
  const { canister, transform } = await transforming(world, encoded(299), reply);
  assert.equal(told(await ask(canister, "/echo", { transform })).status, 299n);
});
http("a transform is given the response and the context", async (world) => {
  const { canister, transform } = await transforming(world, copied("msg_arg_data"), reply);
  const answer = await ask(canister, "/bytes/5", { transform });
  assert.equal(answer.kind, "reply");
  const [seen] = IDL.decode(
    [transformArgs],
    answer.kind === "reply" ? answer.data : new Uint8Array(),
  ) as unknown as [{ response: Response; context: Uint8Array }];
  assert.deepEqual(
    [seen.response.status, seen.response.body.length, [...seen.context]],
    [200n, 5, [1, 2, 3]],
  );
});
http("a transform's caller is the management canister", async (world) => {
  const { canister, transform } = await transforming(world, copied("msg_caller"), reply);
  const answer = await ask(canister, "/echo", { transform });
  assert.deepEqual(answer, { kind: "reply", data: new Uint8Array() });
});
http("a transform sees the heap, and what it writes is gone", async (world) => {
  const { canister, transform } = await transforming(world, 9, set(1), encoded(200), reply);
  replied(await canister.update(5, set(1), ic0.msg_reply));
  told(await ask(canister, "/echo", { transform }));
  assert.equal(numberOf(replied(await canister.query(get(1), reply64))), 5n);
});
http("a transform is executed without replication", async (world) => {
  const { canister, transform } = await transforming(world, ic0.in_replicated_execution, reply64);
  const answer = await ask(canister, "/echo", { transform });
  assert.ok(answer.kind === "reply" && numberOf(answer.data) === 0n);
});
http("a transform that traps is a reject", async (world) => {
  const { canister, transform } = await transforming(world, "boom", ic0.trap);
  refusedWith(await ask(canister, "/echo", { transform }), 5, "boom");
});
http("a transform that rejects is a reject", async (world) => {
  const { canister, transform } = await transforming(world, "no thanks", ic0.msg_reject);
  refusedWith(await ask(canister, "/echo", { transform }), 4, "no thanks");
});
http("a transform that does not reply is a reject", async (world) => {
  const { canister, transform } = await transforming(world, 1, op.drop);
  refusedWith(await ask(canister, "/echo", { transform }), 5, "did not");
});
http("a transform cannot call", async (world) => {
  const call = callOut({ to: MANAGEMENT, method: "raw_rand", arg: Uint8Array.of(68, 73, 68, 76, 0, 0) });
  const { canister, transform } = await transforming(world, call);
  refusedWith(await ask(canister, "/echo", { transform }), 5, "cannot be executed");
});
http("a transform that does not exist is a reject", async (world) => {
  const { canister, transform } = await transforming(world);
  const other = { ...transform, function: [canister.id, "nobody"] as const };
  refusedWith(await ask(canister, "/echo", { transform: other }), [3, 5], "nobody");
});
http("an update method is no transform", async (world) => {
  const { canister, transform } = await transforming(world);
  const other = { ...transform, function: [canister.id, "update"] as const };
  refusedWith(await ask(canister, "/echo", { transform: other }), [3, 5], "update");
});
http("a transform of another canister is rejected", async (world) => {
  const [canister, other] = await pair(world);
  const transform = { function: [other.id, "transform"] as const, context: new Uint8Array() };
  refusedWith(await ask(canister, "/echo", { transform }), 4, "transform principal id expected to be");
});
http("what a transform makes may be as long as max_response_bytes", async (world) => {
  const { canister, transform } = await transforming(
    world,
    encoded(200, 4_000 - encoded(200).length - 1),
    reply,
  );
  assert.equal(told(await ask(canister, "/echo", { transform })).status, 200n);
});
http("what a transform makes may not be longer than max_response_bytes", async (world) => {
  const { canister, transform } = await transforming(world, encoded(200, 4_000), reply);
  refusedWith(await ask(canister, "/echo", { transform }), 1, "Transformed http response exceeds limit");
});

http("a response as long as max_response_bytes is taken", async (world) => {
  const canister = await world.universal();
  const headers = told(await ask(canister, "/bytes/100")).headers;
  const size = headers.reduce((sum, { name, value }) => sum + name.length + value.length, 0);
  const max_response_bytes = BigInt(size + 100);
  assert.equal(told(await ask(canister, "/bytes/100", { max_response_bytes })).body.length, 100);
  const tight = { max_response_bytes: max_response_bytes - 1n };
  refusedWith(await ask(canister, "/bytes/100", tight), 1, "exceeds size limit");
});
http("headers over max_response_bytes are a reject", async (world) => {
  const more = { max_response_bytes: 50n };
  refusedWith(
    await ask(await world.universal(), "/value/200", more),
    1,
    "exceeds specified response size limit",
  );
});
http("a response of two million bytes is taken by default", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(64, op.memory_grow, op.drop, ic0.msg_reply));
  const more = { max_response_bytes: undefined };
  assert.equal(told(await ask(canister, "/bytes/1990000", more)).body.length, 1_990_000);
});
http("a response of 64 headers is taken, of 65 rejected", async (world) => {
  const canister = await world.universal();
  const max_response_bytes = 20_000n;
  const own = told(await ask(canister, "/headers/0", { max_response_bytes })).headers.length;
  const most = told(await ask(canister, `/headers/${64 - own}`, { max_response_bytes }));
  assert.equal(most.headers.length, 64);
  refusedWith(
    await ask(canister, `/headers/${65 - own}`, { max_response_bytes }),
    1,
    "number of all http headers 65",
  );
});
http.each(
  "a response's header of 8 KiB is taken, of a byte more rejected",
  ["value", "name"],
  async (world, part) => {
    const canister = await world.universal();
    const more = { max_response_bytes: 20_000n };
    assert.equal(told(await ask(canister, `/${part}/8192`, more)).status, 200n);
    refusedWith(await ask(canister, `/${part}/8193`, more), 1, `some http header ${part} 8193 exceeds 8192`);
  },
);

http("a URL of 8,192 bytes is taken", async (world) => {
  const canister = await world.universal();
  const url = `${originOf(world)}/echo?`;
  assert.equal(
    told(await ask(canister, url + "a".repeat(8_192 - url.length), { max_response_bytes: 20_000n })).status,
    200n,
  );
});
http("a URL of 8,193 bytes is rejected", async (world) => {
  const url = `${originOf(world)}/echo?`;
  const answer = await ask(await world.universal(), url + "a".repeat(8_193 - url.length));
  refusedWith(answer, 4, "url size 8193 exceeds 8192");
});
http("max_response_bytes over two million is rejected", async (world) => {
  const answer = await ask(await world.universal(), "/echo", { max_response_bytes: 2_000_001n });
  refusedWith(answer, 4, "max_response_bytes expected to be in the range [0..2000000], got 2000001");
});
const headersOf = (count: number, value = "v"): object[] =>
  Array.from({ length: count }, (_, i) => ({ name: `x-${i}`, value }));
http("a request with 64 headers is sent", async (world) => {
  const more = { headers: headersOf(64), max_response_bytes: 20_000n };
  assert.equal(echoed(told(await ask(await world.universal(), "/echo", more))).headers["x-63"], "v");
});
http.each(
  "a request over a limit of headers or size is rejected before it is sent",
  [
    { what: "65 headers", more: { headers: headersOf(65) } },
    { what: "a name of 8,193 bytes", more: { headers: [{ name: "n".repeat(8_193), value: "" }] } },
    { what: "a value of 8,193 bytes", more: { headers: [{ name: "n", value: "v".repeat(8_193) }] } },
    { what: "48 KiB and a byte", more: { headers: headersOf(7, "v".repeat(7_100)) } },
  ],
  async (world, { more }) => {
    const canister = await world.universal();
    refusedWith(await ask(canister, ownPath(canister), more, 2n * CYCLES), 4, /exceeds/);
    assert.equal(world.outside?.asked(ownPath(canister)), 0);
  },
);
/** A request with a body of zeros out of the heap, since it is longer than a program. */
const posting = (world: World, bytes: number): Item => {
  const arg = encodeArg(
    "http_request",
    argOf(`${originOf(world)}/echo`, { method: { post: null }, body: new Uint8Array(bytes) }),
  );
  const at = Buffer.from(arg).indexOf(Buffer.alloc(bytes));
  const kept = (program: Item): Item => [1, code(program), op.keep];
  return [
    [
      64,
      op.memory_grow,
      op.drop,
      MANAGEMENT,
      "http_request",
      kept(relayReply),
      kept(relayReject),
      ic0.call_new,
    ],
    [arg.slice(0, at), ic0.call_data_append, HEAP_BYTES, bytes, ic0.call_data_append],
    [
      arg.slice(at + bytes),
      ic0.call_data_append,
      0,
      CYCLES,
      ic0.call_cycles_add128,
      ic0.call_perform,
      op.drop,
    ],
  ];
};
http("a body of 2,000,000 bytes is sent, of a byte more rejected", async (world) => {
  const canister = await world.universal();
  // What comes back is longer than allowed, which shows that it was asked for.
  const sent = parseRelayed(replied(await canister.update(posting(world, 2_000_000))));
  refusedWith(sent, 1, "exceeds size limit");
  const refused = parseRelayed(replied(await canister.update(posting(world, 2_000_001))));
  refusedWith(refused, 4, "2000001 exceeds 2000000");
});
http("a name that is no header's is a reject", async (world) => {
  const more = { headers: [{ name: "not a name", value: "" }] };
  refusedWith(await ask(await world.universal(), "/echo", more), 1, "header name");
});
http("http: is a reject", async (world) => {
  refusedWith(await ask(await world.universal(), "http://localhost/"), 1, "https");
});
http("what is no URL is a reject", async (world) => {
  refusedWith(await ask(await world.universal(), "nothing"), 1, "URL");
});
http("a server that nobody runs is a reject for now", async (world) => {
  refusedWith(
    await ask(await world.universal(), "https://localhost:1/"),
    2,
    "Connecting to localhost failed",
  );
});
http("a name that does not resolve is a reject for now", async (world) => {
  refusedWith(
    await ask(await world.universal(), "https://nobody.invalid/"),
    2,
    "Connecting to nobody.invalid failed",
  );
});
http("a connection that ends in the middle is a reject for now", async (world) => {
  refusedWith(await ask(await world.universal(), "/torn"), 2, /failed|fetch body/i);
});

/** What of the attached cycles came back. */
const refund = async (canister: Universal, path: string, more: object): Promise<bigint> => {
  const arg = encodeArg("http_request", argOf(originOf(canister.world) + path, more));
  const back = [ic0.msg_cycles_refunded, reply64];
  const call = callOut({
    to: MANAGEMENT,
    method: "http_request",
    arg,
    cycles: CYCLES,
    onReply: back,
    onReject: back,
  });
  return numberOf(replied(await canister.update(call)));
};
http("the price follows from the request's bytes and max_response_bytes", async (world) => {
  const canister = await world.universal();
  const more = {
    method: { post: null },
    headers: [{ name: "name", value: "value" }],
    body: new Uint8Array(100),
    max_response_bytes: 1_000n,
  };
  const bytes = BigInt(`${originOf(world)}/echo`.length + 9 + 100);
  assert.equal(
    CYCLES - (await refund(canister, "/echo", more)),
    BASE + REQUEST_BYTE * bytes + RESPONSE_BYTE * 1_000n,
  );
});
http("the price of a response without a limit is that of two million bytes", async (world) => {
  const canister = await world.universal();
  const bytes = BigInt(`${originOf(world)}/status/204`.length);
  const paid = CYCLES - (await refund(canister, "/status/204", { max_response_bytes: undefined }));
  assert.equal(paid, BASE + REQUEST_BYTE * bytes + RESPONSE_BYTE * 2_000_000n);
});
http("a transform's name and context are part of the request's bytes", async (world) => {
  const { canister, transform } = await transforming(world, encoded(200), reply);
  const plain = await refund(canister, "/echo", {});
  assert.equal(
    plain - (await refund(canister, "/echo", { transform })),
    REQUEST_BYTE * BigInt("transform".length + 3),
  );
});
http("a request that fails outside is paid for", async (world) => {
  const canister = await world.universal();
  const bytes = BigInt(`${originOf(world)}/torn`.length);
  const paid = CYCLES - (await refund(canister, "/torn", { max_response_bytes: 10n }));
  assert.equal(paid, BASE + REQUEST_BYTE * bytes + RESPONSE_BYTE * 10n);
});
http("a request that is refused by its arguments costs nothing", async (world) => {
  assert.equal(await refund(await world.universal(), "/echo", { max_response_bytes: 2_000_001n }), CYCLES);
});
http("fewer cycles than the price are rejected and come back", async (world) => {
  const canister = await world.universal();
  const bytes = BigInt(`${originOf(world)}${ownPath(canister)}`.length);
  const price = BASE + REQUEST_BYTE * bytes + RESPONSE_BYTE * 4_000n;
  refusedWith(await ask(canister, ownPath(canister), {}, price - 1n), 4, "cycles are required");
  assert.equal(world.outside?.asked(ownPath(canister)), 0);
  told(await ask(canister, ownPath(canister), {}, price));
});
http("cost_http_request foretells the price", async (world) => {
  const canister = await world.universal();
  const bytes = `${originOf(world)}/echo`.length;
  const cost = numberOf(
    replied(await canister.query(bytes, 4_000, 65_536, ic0.cost_http_request, 65_536, 16, reply)),
  );
  assert.equal(CYCLES - (await refund(canister, "/echo", {})), cost);
});
http("it shows in the metrics", async (world) => {
  const canister = await world.fresh();
  const spent = CYCLES - (await refund(canister, "/echo", {}));
  const metrics = decodeResult(
    "canister_metrics",
    replied(await world.manage("canister_metrics", { canister_id: canister.id })),
  );
  assert.equal(metrics.cycles_consumed.http_outcalls, spent);
});
http("users cannot, by an ingress message", async (world) => {
  const outcome = await world.manage("http_request", argOf(originOf(world)));
  rejected(outcome, { code: 4, error: "IC0406", from: "submission" });
});
http("a best-effort call is answered", async (world) => {
  const canister = await world.universal();
  const arg = encodeArg("http_request", argOf(`${originOf(world)}/status/202`));
  const call = callOut({ to: MANAGEMENT, method: "http_request", arg, cycles: CYCLES, timeoutSeconds: 100 });
  assert.equal(decodeResult("http_request", relayedReply(await canister.update(call))).status, 202n);
});
http("an argument that is no Candid is rejected", async (world) => {
  const canister = await world.universal();
  const call = callOut({ to: MANAGEMENT, method: "http_request", arg: Uint8Array.of(1, 2), cycles: CYCLES });
  relayedReject(await canister.update(call), [4, 5]);
});
