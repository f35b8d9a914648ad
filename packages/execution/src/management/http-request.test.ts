import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import {
  type CanisterId,
  MANAGEMENT_CANISTER,
  type OutcallResponse,
  principalToText,
  toHex,
  utf8,
} from "@orrery/base";
import { decodeSystem, encodeSystem, type Outcall } from "@orrery/state";
import { costHttpRequest, costHttpRequestByUse, outcallBaseFee } from "../fees.ts";
import { type FetchedOutcall, outcallResponseBytesMax } from "../query/outcall.ts";
import { ASKER, type Asked, askArg, asked } from "../testing/asker.testkit.ts";
import { encode, TestSubnet } from "../testing/subnet.testkit.ts";
import { totalCycles } from "../testing/total-cycles.testkit.ts";
import { Watched } from "../testing/watched.testkit.ts";

const SECOND = 1_000_000_000n;
const Blob = IDL.Vec(IDL.Nat8);
const Header = IDL.Record({ name: IDL.Text, value: IDL.Text });
const Response = IDL.Record({ status: IDL.Nat, headers: IDL.Vec(Header), body: Blob });
const TransformArgs = IDL.Record({ response: Response, context: Blob });
const HttpRequestArgs = IDL.Record({
  url: IDL.Text,
  max_response_bytes: IDL.Opt(IDL.Nat64),
  method: IDL.Variant(
    Object.fromEntries(["get", "head", "post", "put", "delete", "patch"].map((m) => [m, IDL.Null])),
  ),
  headers: IDL.Vec(Header),
  body: IDL.Opt(Blob),
  transform: IDL.Opt(
    IDL.Record({ function: IDL.Func([TransformArgs], [Response], ["query"]), context: Blob }),
  ),
  is_replicated: IDL.Opt(IDL.Bool),
  pricing_version: IDL.Opt(IDL.Nat32),
});
const SUBNET = { type: "application", feeSize: 13 } as const;
const ENOUGH = 100_000_000_000n;
const URL = "https://example.com/";

interface Args {
  readonly url?: string;
  readonly max?: bigint;
  readonly method?: string;
  readonly headers?: readonly { name: string; value: string }[];
  readonly body?: Uint8Array;
  readonly transform?: { readonly of: CanisterId; readonly method: string };
  readonly replicated?: boolean;
  readonly pricing?: number;
}

function httpArgs(args: Args): Uint8Array {
  const { transform } = args;
  const opt = (value: unknown): unknown[] => (value === undefined ? [] : [value]);
  return encode(
    [HttpRequestArgs],
    [
      {
        url: args.url ?? URL,
        max_response_bytes: opt(args.max),
        method: { [args.method ?? "get"]: null },
        headers: args.headers ?? [],
        body: opt(args.body),
        transform:
          transform === undefined
            ? []
            : [
                {
                  function: [CandidPrincipal.fromUint8Array(transform.of), transform.method],
                  context: utf8("ctx"),
                },
              ],
        is_replicated: opt(args.replicated),
        pricing_version: opt(args.pricing),
      },
    ],
  );
}

/** Sends a request; it is answered or waits as an outcall. */
function send(subnet: TestSubnet, id: CanisterId, args: Args, cycles = ENOUGH): Uint8Array {
  return subnet.submit({
    canisterId: id,
    method: "ask",
    arg: askArg("http_request", httpArgs(args), cycles),
  });
}

function only(subnet: TestSubnet): Outcall {
  const [outcall, ...more] = [...subnet.state.outcalls.values()];
  assert.ok(outcall !== undefined && more.length === 0);
  return outcall;
}

function answer(subnet: TestSubnet, request: Uint8Array, responses: readonly OutcallResponse[]): Asked {
  subnet.round([], 1n, { responses });
  return asked(subnet.settle(request));
}

const page: FetchedOutcall = {
  kind: "response",
  status: 200,
  headers: [{ name: "a", value: "b" }],
  body: utf8("hello"),
  downloadedBytes: 7,
  elapsedMs: 20,
};

test("a request waits as an outcall, is told to the host, and gets the answer of a block, once", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(ASKER);
  const before = totalCycles(subnet.state);
  const request = send(subnet, id, { max: 1_000n, body: utf8("body"), headers: [{ name: "k", value: "v" }] });
  const outcall = only(subnet);
  assert.deepEqual(subnet.results.at(-1)?.outcalls.started, [outcall]);
  assert.equal(outcall.url, URL);
  const fee = costHttpRequest(SUBNET, BigInt(URL.length + 4 + 2), 1_000n);
  assert.equal(outcall.refund, ENOUGH - fee);
  assert.equal(subnet.results.at(-1)?.moreWork, false);
  assert.equal(subnet.results.at(-1)?.nextTimer, outcall.time + 60n * SECOND);
  assert.deepEqual(decodeSystem(encodeSystem(subnet.state)).outcalls, subnet.state.outcalls);
  const data = encode([Response], [{ status: 200n, headers: [], body: utf8("x") }]);
  const responses = [{ outcall: outcall.id, spent: 0n, content: { kind: "reply", data } as const }];
  const got = answer(subnet, request, responses);
  assert.deepEqual([got.code, got.refunded], [0, ENOUGH - fee]);
  assert.deepEqual(got.data, data);
  assert.equal(subnet.state.outcalls.size, 0);
  assert.ok(subnet.results.some(({ outcalls }) => outcalls.ended.includes(outcall.id)));
  assert.equal(subnet.canister(id).consumed.get("http_outcalls"), fee);
  // A second answer has nobody to go to.
  subnet.round([], 1n, { responses });
  assert.equal(totalCycles(subnet.state), before);
});

test("an outcall without an answer is rejected after a minute, and later answers are dropped", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(ASKER);
  const request = send(subnet, id, { max: 0n });
  const { id: outcall } = only(subnet);
  subnet.round([], 60n * SECOND - 1_000_001n);
  assert.equal(subnet.state.outcalls.size, 1);
  subnet.round([], 1_000_001n);
  const got = asked(subnet.settle(request));
  assert.deepEqual([got.code, got.text], [2, "Canister http request timed out"]);
  assert.equal(got.refunded, ENOUGH - costHttpRequest(SUBNET, BigInt(URL.length), 0n));
  subnet.round([], 1n, {
    responses: [{ outcall, spent: 0n, content: { kind: "reject", code: 1, message: "late" } }],
  });
});

test("requests outside the limits are refused with their cycles, in the replica's words", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(ASKER);
  const other = subnet.create();
  const long = (n: number): string => "x".repeat(n);
  const many = (n: number, value = ""): { name: string; value: string }[] =>
    Array.from({ length: n }, () => ({ name: "n", value }));
  const cases: readonly (readonly [Args, string | RegExp])[] = [
    [{ url: `${URL}${long(8_192 - URL.length + 1)}` }, "url size 8193 exceeds 8192"],
    [{ max: 2_000_001n }, "max_response_bytes expected to be in the range [0..2000000], got 2000001"],
    [
      { transform: { of: other, method: "same" } },
      `transform principal id expected to be ${principalToText(id)}, got ${principalToText(other)}`,
    ],
    [{ headers: many(65) }, /The number of elements exceeds maximum allowed 64$/],
    [
      { headers: [...many(6, long(8_191)), ...many(1)] },
      /The total data size exceeds maximum allowed 49152$/,
    ],
    [{ headers: many(1, long(16_384)) }, /The single element data size exceeds maximum allowed 16384$/],
    [
      { headers: [{ name: long(8_193), value: "" }] },
      "number of bytes to represent some http header name 8193 exceeds 8192",
    ],
    [
      { headers: many(1, long(8_193)) },
      "number of bytes to represent some http header value 8193 exceeds 8192",
    ],
    [
      { method: "post", body: new Uint8Array(2_000_000), headers: many(1) },
      "total number of bytes to represent all http header names and values and http body 2000001 exceeds 2000000",
    ],
    [{ method: "put" }, "The requested HTTP method is only allowed for non-replicated requests."],
    [{ method: "patch", replicated: true }, /only allowed for non-replicated/],
  ];
  for (const [args, text] of cases) {
    const got = asked(subnet.settle(send(subnet, id, args)));
    assert.deepEqual([got.code, got.refunded], [4, ENOUGH], got.text);
    if (typeof text === "string") assert.equal(got.text, text);
    else assert.match(got.text, text);
    assert.equal(subnet.state.outcalls.size, 0);
  }
  const allowed: readonly Args[] = [
    { url: `${URL}${long(8_192 - URL.length)}` },
    { max: 2_000_000n },
    { headers: many(64) },
    { headers: many(6, long(8_191)) },
    { headers: [{ name: long(8_192), value: long(8_192) }] },
    { method: "post", body: new Uint8Array(1_999_999), headers: many(1) },
    { method: "delete", replicated: false },
  ];
  for (const args of allowed) send(subnet, id, args);
  assert.equal(subnet.state.outcalls.size, allowed.length);
  const fee = costHttpRequest(SUBNET, BigInt(URL.length), 2_000_000n);
  const poor = asked(subnet.settle(send(subnet, id, {}, fee - 1n)));
  assert.equal(
    poor.text,
    "http_request request sent with 20_849_243_999 cycles, but 20_849_244_000 cycles are required.",
  );
  send(subnet, id, {}, fee);
  assert.equal(subnet.state.outcalls.size, allowed.length + 1);
});

test("3,000 outcalls wait; one more is refused", () => {
  const subnet = new TestSubnet({ subnet: { type: "system" } });
  const id = subnet.installed(ASKER);
  send(subnet, id, {});
  const one = only(subnet);
  for (let i = 1; i < 3_000; i++) subnet.state.outcalls.set(one.id + i, { ...one, id: one.id + i });
  subnet.state.nextOutcall += 3_000;
  const got = asked(subnet.settle(send(subnet, id, {})));
  assert.deepEqual(
    [got.code, got.text, got.refunded],
    [4, "max number (3000) of http requests in-flight reached.", ENOUGH],
  );
});

test("outcalls that wait hold half a gigabyte of bodies and contexts at most", () => {
  const subnet = new TestSubnet({ subnet: { type: "system" } });
  const id = subnet.installed(ASKER);
  send(subnet, id, {});
  const one = only(subnet);
  const body = new Uint8Array(512 * 1024 * 1024 - 10);
  subnet.state.outcalls.set(one.id, { ...one, body });
  const got = asked(subnet.settle(send(subnet, id, { method: "post", body: new Uint8Array(11) })));
  assert.deepEqual([got.code, got.refunded], [2, ENOUGH], got.text);
  assert.match(got.text, /would hold 536870913 bytes, more than 536870912/);
  send(subnet, id, { method: "post", body: new Uint8Array(10) });
  assert.equal(subnet.state.outcalls.size, 2);
});

test("transforms run on the certified state as queries of the management canister", () => {
  let id: CanisterId | null = null;
  const watched = new Watched((subnet) => {
    id = subnet.installed(ASKER);
  });
  const { subnet } = watched;
  const from = id as unknown as CanisterId;
  const content = (method: string, max?: bigint): OutcallResponse["content"] => {
    send(subnet, from, { transform: { of: from, method }, ...(max === undefined ? {} : { max }) });
    const outcall = [...subnet.state.outcalls.values()].at(-1) as Outcall;
    return watched.follow().answerOutcall(outcall, page).content;
  };
  const same = content("same");
  assert.ok(same.kind === "reply");
  assert.deepEqual(
    IDL.decode([TransformArgs], same.data)[0],
    IDL.decode(
      [TransformArgs],
      encode(
        [TransformArgs],
        [
          {
            response: { status: 200n, headers: [{ name: "a", value: "b" }], body: utf8("hello") },
            context: utf8("ctx"),
          },
        ],
      ),
    )[0],
  );
  const rejects: readonly (readonly [OutcallResponse["content"], number, RegExp])[] = [
    [content("boom"), 5, /^IC0503: Error from Canister .*boom/s],
    [content("nobody"), 5, /^IC0536: .*nobody/s],
    [content("ask"), 5, /^IC0536: /],
    [content("long"), 1, /^Transformed http response exceeds limit: 2000000$/],
    [content("same", 10n), 1, /^Transformed http response exceeds limit: 10$/],
  ];
  for (const [got, code, text] of rejects) {
    assert.ok(got.kind === "reject");
    assert.equal(got.code, code, got.message);
    assert.match(got.message, text);
  }
});

test("responses are held to the limits; failures keep their codes; without a transform the response is the reply", () => {
  let id: CanisterId | null = null;
  const watched = new Watched((subnet) => {
    id = subnet.installed(ASKER);
  });
  send(watched.subnet, id as unknown as CanisterId, {});
  const outcall = only(watched.subnet);
  const view = watched.follow();
  const plain = view.answerOutcall(outcall, page);
  assert.ok(plain.content.kind === "reply" && plain.spent === 0n);
  assert.deepEqual(
    plain.content.data,
    encode([Response], [{ status: 200n, headers: [{ name: "a", value: "b" }], body: utf8("hello") }]),
  );
  const headers = Array.from({ length: 65 }, () => ({ name: "a", value: "b" }));
  assert.deepEqual(view.answerOutcall(outcall, { ...page, headers }).content, {
    kind: "reject",
    code: 1,
    message: "number of all http headers 65 exceeds 64",
  });
  const failure = { kind: "failure", code: 2, message: "down", downloadedBytes: 0, elapsedMs: 1 } as const;
  assert.deepEqual(view.answerOutcall(outcall, failure).content, {
    kind: "reject",
    code: 2,
    message: "down",
  });
});

test("paid by use: base price at once, the rest by what was used, and what is left comes back", () => {
  let id: CanisterId | null = null;
  const watched = new Watched((subnet) => {
    id = subnet.installed(ASKER);
  });
  const { subnet } = watched;
  const from = id as unknown as CanisterId;
  const before = totalCycles(subnet.state);
  for (const replicated of [true, false]) {
    const paid = 1_000_000_000n;
    const request = send(subnet, from, { pricing: 2, replicated, max: 500n }, paid);
    const outcall = only(subnet);
    const requestBytes = BigInt(URL.length);
    const base = outcallBaseFee(SUBNET, { requestBytes, replicated });
    assert.equal(outcall.refund, paid - base);
    assert.equal(outcall.allowance, (paid - base) / (replicated ? 13n : 1n));
    assert.equal(outcallResponseBytesMax(SUBNET, outcall), 500);
    const response = watched.follow().answerOutcall(outcall, page);
    const bytes = response.content.kind === "reply" ? response.content.data.length : 0;
    const got = answer(subnet, request, [response]);
    assert.equal(got.code, 0, got.text);
    const cost = costHttpRequestByUse(SUBNET, {
      requestBytes,
      roundtripMs: 20n,
      rawResponseBytes: 7n,
      transformedResponseBytes: BigInt(bytes),
      transformInstructions: 0n,
      replication: { kind: replicated ? "fully_replicated" : "non_replicated" },
    });
    assert.equal(paid - got.refunded, cost);
  }
  // An allowance that does not suffice is used up.
  const base = outcallBaseFee(SUBNET, { requestBytes: BigInt(URL.length), replicated: true });
  const request = send(subnet, from, { pricing: 2 }, base + 1_300n);
  const outcall = only(subnet);
  assert.equal(outcallResponseBytesMax(SUBNET, outcall), 2);
  const response = watched.follow().answerOutcall(outcall, page);
  assert.deepEqual(response.content, { kind: "reject", code: 1, message: "Insufficient cycles" });
  const got = answer(subnet, request, [response]);
  assert.deepEqual([got.code, got.refunded], [1, 0n]);
  const poor = asked(subnet.settle(send(subnet, from, { pricing: 2 }, base - 1n)));
  assert.match(poor.text, /^http_request request sent with .* cycles are required\.$/);
  assert.equal(totalCycles(subnet.state), before);
});

test("outcalls are not to be had by ingress messages", () => {
  const subnet = new TestSubnet();
  const status = subnet.call({
    canisterId: MANAGEMENT_CANISTER as CanisterId,
    method: "http_request",
    arg: httpArgs({}),
  });
  assert.equal(status.kind === "rejected" && status.errorCode, "IC0406");
});

test("the same batches lead to the same state, with a restart while an outcall waits or without", () => {
  const run = (restart: boolean): readonly [string, Asked] => {
    const watched = new Watched();
    const { subnet } = watched;
    const id = subnet.installed(ASKER);
    const request = send(subnet, id, { transform: { of: id, method: "same" }, pricing: 2 });
    const outcall = only(subnet);
    if (restart) {
      const decoded = decodeSystem(encodeSystem(subnet.state));
      subnet.state.outcalls.clear();
      for (const [key, waiting] of decoded.outcalls) subnet.state.outcalls.set(key, waiting);
      subnet.reload(subnet.runner);
    }
    const response = watched.follow().answerOutcall(outcall, page);
    const got = answer(subnet, request, [response]);
    const { rootHash } = subnet.results.at(-1) as (typeof subnet.results)[number];
    return [toHex(rootHash), got];
  };
  const [before, told] = run(false);
  assert.equal(told.code, 0, told.text);
  assert.deepEqual(run(true), [before, told]);
});
