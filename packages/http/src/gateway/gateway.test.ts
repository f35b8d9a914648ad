/** The gateway from request to response: resolution, calls, bodies, headers, pages. Verification has tests of its own. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { canisterIdFromIndex, principalToText, toHex } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { createCanisterHosts } from "../canister-hosts.ts";
import type { HeaderField, HttpResponse } from "../messages.ts";
import {
  type Answer,
  bodyOf,
  createGatewayWorld,
  type GatewayWorld,
  HOST,
  RAW_HOST,
  requestOf,
  type Sent,
} from "./gateway.testkit.ts";
import {
  CANISTER,
  certifyLegacy,
  certifyResponse,
  type TestRequest,
  type TestResponse,
} from "./verification/certify.testkit.ts";

let bls: Bls;
before(async () => {
  bls = await createMclBls();
});

const ID = principalToText(CANISTER);
const send = (world: GatewayWorld, sent: Sent): Promise<HttpResponse> => world.gateway(requestOf(sent));
const hosted = (host: string, ...more: HeaderField[]): HeaderField[] => [["host", host], ...more];

/** The response to a request for `url`, certified whole with version 2. */
function certified(asked: TestRequest, response: Partial<TestResponse>): Answer {
  return certifyResponse({
    bls,
    request: asked,
    response: { status: 200, headers: [], body: new Uint8Array(0), ...response },
    certification: {
      request: { headers: ["range"], queryParameters: [] },
      response: { kind: "excluded", headers: ["x-uncertified"] },
    },
    path: ["http_expr", ...asked.url.split("/").slice(1), "<$>"],
  });
}

async function refusal(response: Promise<HttpResponse>): Promise<[number, unknown, string]> {
  const settled = await response;
  return [settled.status, settled.headers["x-ic-error-cause"], await bodyOf(settled)];
}

describe("the canister is found", () => {
  const rows: readonly [string, Sent, string | null][] = [
    ["by host name", { headers: hosted(RAW_HOST) }, "/"],
    ["by host name with a label before the id", { headers: hosted(`my-app--${RAW_HOST}`) }, "/"],
    [
      "by host name in capitals, without a port",
      { headers: hosted(`${ID.toUpperCase()}.RAW.LocalHost.`) },
      "/",
    ],
    ["with the URL in absolute form", { url: `http://${RAW_HOST}/x?y`, headers: hosted(RAW_HOST) }, "/x?y"],
    ["not two labels below raw", { headers: hosted(`a.${RAW_HOST}`) }, null],
    ["not below another label than raw", { headers: hosted(`${ID}.cooked.localhost`) }, null],
    ["not by the management canister's id", { headers: hosted("aaaaa-aa.localhost") }, null],
  ];
  for (const [name, sent, url] of rows) {
    test(name, async () => {
      const world = createGatewayWorld(bls);
      const response = await send(world, { url: "/", ...sent });
      assert.deepEqual(
        world.asked.map((asked) => asked.url),
        url === null ? [] : [url],
      );
      assert.equal(response.headers["x-ic-canister-id"], url === null ? undefined : ID);
    });
  }

  const verified: readonly [string, Sent][] = [
    ["by host name", { headers: hosted(HOST) }],
    ["by query", { url: `/?a=b&canisterId=${ID}&c`, headers: hosted("127.0.0.1:8000") }],
    [
      "by the referer's query",
      { url: "/index.js", headers: hosted("127.0.0.1", ["referer", `http://127.0.0.1/?canisterId=${ID}`]) },
    ],
    [
      "by the referer's host",
      { url: "/index.js", headers: hosted("localhost", ["referer", `http://${HOST}/`]) },
    ],
  ];
  for (const [name, sent] of verified) {
    test(`${name}, its response verified`, async () => {
      const world = createGatewayWorld(bls);
      const [status, cause] = await refusal(send(world, sent));
      assert.deepEqual([status, cause, world.asked.length], [503, "backend_response_verification", 1]);
    });
  }

  test("by custom domain, until the domains are replaced", async () => {
    const hosts = createCanisterHosts(["example.org"]);
    const world = createGatewayWorld(bls, { hosts });
    const ask = async (host: string): Promise<number> =>
      (await send(world, { url: "/x", headers: hosted(host) })).status;
    hosts.setCustomDomains(
      new Map([
        ["app.example", CANISTER],
        ["hello.local.localhost", CANISTER],
      ]),
    );
    assert.equal(await ask("app.example:8000"), 503);
    assert.equal(await ask("hello.local.localhost"), 503);
    assert.equal(await ask(`${ID}.raw.example.org`), 200);
    hosts.setCustomDomains(new Map());
    assert.equal(await ask("app.example"), 400);
  });

  test("an id in the query that is none is refused", async () => {
    const [status, cause, text] = await refusal(
      send(createGatewayWorld(bls), { url: "/?canisterId=abc", headers: hosted("localhost") }),
    );
    assert.deepEqual([status, cause], [400, "canister_id_incorrect"]);
    assert.match(text, /canisterId=abc/);
  });

  test("without one, the root is a page of the gateway's and everything else is refused", async () => {
    const world = createGatewayWorld(bls);
    const root = await send(world, { headers: hosted("localhost:8000", ["accept", "text/html"]) });
    assert.equal(root.status, 200);
    assert.match(await bodyOf(root), /^<!doctype html>[\s\S]*localhost:8000/);
    assert.deepEqual((await refusal(send(world, { url: "/x", headers: hosted("localhost") }))).slice(0, 2), [
      400,
      "canister_id_not_resolved",
    ]);
    assert.equal(
      (await send(world, { method: "OPTIONS", url: "/x", headers: hosted("localhost") })).status,
      200,
    );
    // A name below localhost was meant for a canister: one that is being given it, say.
    for (const host of ["counter.local.localhost", "x.localhost:8000"]) {
      const response = await send(world, { url: "/", headers: hosted(host) });
      assert.equal(response.status, 400, host);
    }
  });
});

describe("the request", () => {
  test("reaches the canister whole, asking for version 2", async () => {
    const world = createGatewayWorld(bls);
    const headers = hosted(
      RAW_HOST,
      ["accept-encoding", "gzip, br"],
      ["cookie", "a"],
      ["cookie", "b"],
      ["x-request-id", "1"],
    );
    await send(world, { method: "post", url: "/a%20b?c=d", headers, body: "body" });
    const [asked] = world.asked;
    assert.equal(asked?.method, "POST");
    assert.equal(asked?.url, "/a%20b?c=d");
    assert.deepEqual(
      asked?.headers,
      hosted(RAW_HOST, ["accept-encoding", "gzip, br, identity"], ["cookie", "a"], ["cookie", "b"]),
    );
    assert.equal(Buffer.from(asked?.body ?? []).toString(), "body");
    assert.deepEqual(asked?.certificate_version, [2]);
  });

  const refused: readonly [string, Sent][] = [
    ["headers that are not ASCII", { headers: hosted(RAW_HOST, ["x", "ä"]) }],
    ["headers that are too long", { headers: hosted(RAW_HOST, ["x", "y".repeat(70_000)]) }],
    ["a target that is no path", { method: "OPTION", url: "*" }],
  ];
  for (const [name, sent] of refused) {
    test(`is refused with ${name}`, async () => {
      const world = createGatewayWorld(bls);
      const [status, cause] = await refusal(send(world, sent));
      assert.deepEqual([status, cause, world.asked.length], [400, "client_malformed_request", 0]);
    });
  }

  test("is refused when too many are under way", async () => {
    const world = createGatewayWorld(bls, { limits: { requestsMax: 1 } });
    const [first, second] = [send(world, {}), send(world, {})];
    assert.deepEqual((await refusal(second)).slice(0, 2), [429, "load_shed"]);
    assert.equal((await first).status, 200);
    assert.equal((await send(world, {})).status, 200);
  });
});

test("headers with the names of objects' members are headers like any other", async () => {
  const world = createGatewayWorld(bls);
  const names = ["constructor", "toString", "__proto__", "hasOwnProperty"];
  world.answer = () => ({
    status: 200,
    headers: names.flatMap((name) => [
      [name, "a"],
      [name, "b"],
    ]),
  });
  const { status, headers } = await send(world, { headers: hosted(RAW_HOST) });
  assert.equal(status, 200);
  for (const name of names) {
    assert.deepEqual(Object.getOwnPropertyDescriptor(headers, name.toLowerCase())?.value, ["a", "b"], name);
  }
});

describe("an update call", () => {
  const upgrading = (): GatewayWorld => {
    const world = createGatewayWorld(bls);
    world.answer = () => ({ status: 500, upgrade: true, body: "ignored" });
    world.update = ({ body }) => ({ status: 201, headers: [["x-a", "b"]], body, upgrade: true });
    return world;
  };

  test("is made when the canister asks for it, and its certified answer passed on", async () => {
    const world = upgrading();
    const response = await send(world, { method: "POST", headers: hosted(HOST), body: "new" });
    assert.deepEqual([response.status, response.headers["x-a"], await bodyOf(response)], [201, "b", "new"]);
    await send(world, { method: "POST", headers: hosted(HOST), body: "new" });
    const [one, two] = world.submitted;
    assert.notEqual(toHex(one?.requestId ?? new Uint8Array()), toHex(two?.requestId ?? new Uint8Array()));
    assert.equal(one?.call.methodName, "http_request_update");
  });

  const failures: readonly [string, (world: GatewayWorld) => void, number, string][] = [
    [
      "a certificate that is too old",
      (world) => {
        world.certifiedTime -= 400_000_000_000n;
      },
      503,
      "backend_response_verification",
    ],
    [
      "a reject",
      (world) => {
        world.update = () => ({ reject: "not today" });
      },
      503,
      "canister_reject",
    ],
    [
      "no answer in time",
      (world) => {
        world.answered = false;
      },
      504,
      "backend_timeout",
    ],
    [
      "a full pool",
      (world) => {
        world.full = true;
      },
      429,
      "load_shed",
    ],
    [
      "no certified state",
      (world) => {
        world.healthy = false;
      },
      503,
      "subnet_updating",
    ],
  ];
  for (const [name, change, status, cause] of failures) {
    test(`that meets ${name} says so`, async () => {
      const world = upgrading();
      change(world);
      assert.deepEqual((await refusal(send(world, { headers: hosted(HOST) }))).slice(0, 2), [status, cause]);
    });
  }

  test("is not made for what is larger than a message, or refused by the ingress filter", async () => {
    const large = await refusal(send(upgrading(), { method: "POST", body: "x".repeat(3_000_000) }));
    assert.deepEqual(large.slice(0, 2), [413, "client_body_too_large"]);
    const filtered = await refusal(send(upgrading(), { method: "POST", body: "x".repeat(1_500_000) }));
    assert.match(filtered[2], /IC0506: not accepted/);
  });
});

describe("a streamed body", () => {
  const streaming = (more: Partial<Answer> = {}): GatewayWorld => {
    const world = createGatewayWorld(bls, { limits: { chunksMax: 3, assembledBytesMax: 20 } });
    world.answer = () => ({ status: 200, body: "ab", chunks: ["cd", "ef"], ...more });
    return world;
  };

  test("comes in pieces where nothing is verified", async () => {
    const response = await send(streaming(), {});
    assert.ok(response.stream !== undefined);
    assert.equal(await bodyOf(response), "abcdef");
    assert.equal((await send(streaming(), { method: "HEAD" })).stream, undefined);
  });

  test("is whole before it is verified and leaves", async () => {
    const world = streaming();
    world.answer = (asked) => {
      const whole = certified(asked, { body: Buffer.from("abcdef") });
      return { ...whole, body: "ab", chunks: ["cd", asked.url === "/good" ? "ef" : "EF"] };
    };
    const good = await send(world, { url: "/good", headers: hosted(HOST) });
    assert.deepEqual([good.status, await bodyOf(good)], [200, "abcdef"]);
    assert.equal(
      (await refusal(send(world, { url: "/bad", headers: hosted(HOST) })))[1],
      "backend_response_verification",
    );
  });

  test("is refused when it is too long, has too many chunks or comes from another canister", async () => {
    const long = await refusal(send(streaming({ body: "x".repeat(21) }), { headers: hosted(HOST) }));
    assert.deepEqual(long.slice(0, 2), [503, "backend_body"]);
    const many = await send(streaming({ chunks: ["1", "2", "3", "4"] }), {});
    await assert.rejects(bodyOf(many), /too large/i);
    const other = streaming({ callbackOf: canisterIdFromIndex(3n) });
    assert.deepEqual((await refusal(send(other, {}))).slice(0, 2), [503, "backend_http_gateway"]);
  });
});

describe("a body longer than a message", () => {
  const RESOURCE = "0123456789";
  const part = (asked: TestRequest, first: number, last: number, more: readonly HeaderField[] = []): Answer =>
    certified(asked, {
      status: 206,
      headers: [["Content-Range", `bytes ${first}-${last}/${RESOURCE.length}`], ["ETag", "1"], ...more],
      body: Buffer.from(RESOURCE.slice(first, last + 1)),
    });
  const firstOf = ({ headers }: TestRequest): number =>
    Number(/bytes=(\d+)-/.exec(headers.find(([name]) => name === "range")?.[1] ?? "bytes=0-")?.[1]);
  const parts = (): GatewayWorld => {
    const world = createGatewayWorld(bls);
    // Ranges begin where the canister likes, at or before the byte asked for.
    world.answer = (asked) => {
      const first = Math.max(0, firstOf(asked) - 1);
      return part(asked, first, Math.min(first + 3, RESOURCE.length - 1));
    };
    return world;
  };

  test("is put together from verified parts", async () => {
    const world = parts();
    const response = await send(world, { url: "/long", headers: hosted(HOST) });
    assert.equal(response.status, 200);
    assert.equal(response.headers["content-length"], "10");
    assert.equal(response.headers["content-range"], undefined);
    assert.equal(await bodyOf(response), RESOURCE);
    assert.equal(world.asked.length, 3);
  });

  test("is not fetched for HEAD, nor where the client asks for a range itself", async () => {
    const world = parts();
    const head = await send(world, { url: "/long", method: "HEAD", headers: hosted(HOST) });
    assert.deepEqual([head.status, head.headers["content-length"], head.stream], [200, "10", undefined]);
    const range = await send(world, { url: "/long", headers: hosted(HOST, ["range", "bytes=5-"]) });
    assert.deepEqual(
      [range.status, range.headers["content-range"], await bodyOf(range)],
      [206, "bytes 4-7/10", "4567"],
    );
    assert.equal(world.asked.length, 2);
  });

  const wrong: readonly [string, (asked: TestRequest) => Answer][] = [
    ["is not certified", (asked) => ({ ...part(asked, 4, 9), body: "456788" })],
    ["is of another version", (asked) => part(asked, 4, 9, [["ETag", "2"]])],
    ["leaves a gap", (asked) => part(asked, 5, 9)],
    ["is not a part", (asked) => certified(asked, { body: Buffer.from("456789") })],
  ];
  for (const [name, later] of wrong) {
    test(`is cut off when a part ${name}`, async () => {
      const world = createGatewayWorld(bls);
      world.answer = (asked) => (firstOf(asked) === 0 ? part(asked, 0, 3) : later(asked));
      const response = await send(world, { url: "/long", headers: hosted(HOST) });
      await assert.rejects(bodyOf(response));
    });
  }

  test("is refused when its first part contradicts itself", async () => {
    const world = createGatewayWorld(bls);
    for (const range of ["bytes 0-3/3", "bytes 0-9/20", "bytes 1-3/9", "octets 0-2/3", ""]) {
      world.answer = () => ({ status: 206, headers: [["content-range", range]], body: "abc" });
      assert.equal((await refusal(send(world, {})))[1], "backend_http_gateway", range);
    }
  });
});

describe("the response", () => {
  test("has only the certified headers, and those of the gateway", async () => {
    const world = createGatewayWorld(bls);
    world.answer = (asked) =>
      certified(asked, {
        status: 301,
        headers: [
          ["Location", "/b"],
          ["X-Uncertified", "x"],
        ],
      });
    const { status, headers } = await send(world, { url: "/a", headers: hosted(HOST) });
    assert.equal(status, 301);
    assert.equal(headers["location"], "/b");
    assert.equal(headers["x-uncertified"], undefined);
    assert.equal(headers["x-ic-canister-id"], ID);
    assert.equal(headers["access-control-allow-origin"], "*");
    assert.ok(String(headers["ic-certificate"]).startsWith("certificate="));
  });

  test("keeps repeated headers apart and leaves out those of one connection", async () => {
    const world = createGatewayWorld(bls);
    world.answer = () => ({
      status: 200,
      headers: [
        ["Set-Cookie", "a"],
        ["set-cookie", "b"],
        ["Connection", "close"],
        ["Content-Length", "9"],
        ["Access-Control-Allow-Origin", "https://a.example"],
      ],
    });
    const { headers } = await send(world, {});
    assert.deepEqual(headers["set-cookie"], ["a", "b"]);
    assert.equal(headers["connection"], undefined);
    assert.equal(headers["content-length"], undefined);
    assert.equal(headers["access-control-allow-origin"], "https://a.example");
  });

  const refused: readonly [string, Answer][] = [
    ["a header name", { status: 200, headers: [["a b", "c"]] }],
    ["a header value", { status: 200, headers: [["a", "b\r\nset-cookie: c"]] }],
    ["a status", { status: 101 }],
    ["headers", { status: 200, headers: [["a", "b".repeat(300_000)]] }],
  ];
  for (const [name, answer] of refused) {
    test(`is refused with ${name} that cannot be passed on`, async () => {
      const world = createGatewayWorld(bls);
      world.answer = () => answer;
      assert.deepEqual((await refusal(send(world, {}))).slice(0, 2), [503, "backend_http_gateway"]);
    });
  }

  const rejects: readonly [string, number, string, string | null, number, string][] = [
    ["does not exist", 3, "Canister not found", "IC0301", 404, "canister_not_found"],
    ["rejects", 4, "no", "IC0406", 503, "canister_reject"],
    ["traps", 5, "IC0503: trapped", "IC0503", 503, "canister_error"],
    ["has no pages", 5, "Canister has no query method 'http_request'", "IC0536", 503, "canister_error"],
    ["is frozen", 2, "the canister is frozen", null, 503, "canister_frozen"],
    ["cannot run now", 2, "busy", "IC0515", 503, "backend_other"],
  ];
  for (const [name, rejectCode, rejectMessage, errorCode, status, cause] of rejects) {
    test(`of a canister that ${name} is a page that says why`, async () => {
      const world = createGatewayWorld(bls);
      world.answer = () => ({ status: "rejected", rejectCode, rejectMessage, errorCode });
      const page = await refusal(send(world, {}));
      assert.deepEqual(page.slice(0, 2), [status, cause]);
      assert.ok(page[2].includes(rejectMessage) && !page[2].includes("IC0503: IC0503"));
    });
  }

  test("of a canister that no subnet holds is a page too", async () => {
    const host = `${principalToText(canisterIdFromIndex(1_000n))}.localhost`;
    const page = await refusal(send(createGatewayWorld(bls), { headers: hosted(host) }));
    assert.deepEqual(page.slice(0, 2), [404, "canister_not_found"]);
  });

  test("that is a page is HTML for browsers, with what canisters say escaped", async () => {
    const world = createGatewayWorld(bls);
    world.answer = () => ({
      status: "rejected",
      rejectCode: 4,
      rejectMessage: "<script>alert('&')</script>",
      errorCode: null,
    });
    const page = await send(world, { headers: hosted(RAW_HOST, ["accept", "text/html,*/*"]) });
    assert.match(String(page.headers["content-type"]), /^text\/html/);
    assert.match(await bodyOf(page), /&lt;script&gt;alert\(&#39;&amp;&#39;\)/);
    assert.match(String((await send(world, {})).headers["content-type"]), /^text\/plain/);
  });
});

describe("version 1 of response verification", () => {
  const legacy = (response: Partial<TestResponse>): GatewayWorld => {
    const body = Buffer.from("page");
    const world = createGatewayWorld(bls);
    world.answer = () =>
      certifyLegacy({
        bls,
        response: { status: 200, headers: [], body, ...response },
        assets: { "/": body },
      });
    return world;
  };

  test("counts, without the headers that say how long to keep the response", async () => {
    const world = legacy({
      headers: [
        ["Cache-Control", "max-age=1"],
        ["X-A", "b"],
      ],
    });
    const { status, headers } = await send(world, { headers: hosted(HOST) });
    assert.deepEqual([status, headers["x-a"], headers["cache-control"]], [200, "b", undefined]);
  });

  const refused: readonly [string, Partial<TestResponse>, GatewayWorld["sections"]][] = [
    ["for redirects", { status: 302 }, {}],
    ["from a canister that declares version 2", {}, { supported_certificate_versions: "1, 2" }],
    ["when what the canister declares is private", {}, null],
  ];
  for (const [name, response, sections] of refused) {
    test(`does not count ${name}`, async () => {
      const world = legacy(response);
      world.sections = sections;
      assert.equal(
        (await refusal(send(world, { headers: hosted(HOST) })))[1],
        "backend_response_verification",
      );
    });
  }

  test("counts from a canister that declares it alone", async () => {
    const world = legacy({});
    world.sections = { supported_certificate_versions: "1" };
    assert.equal((await send(world, { headers: hosted(HOST) })).status, 200);
  });
});

describe("a preflight", () => {
  const preflight = (world: GatewayWorld): Promise<HttpResponse> =>
    send(world, { method: "OPTIONS", headers: hosted(RAW_HOST, ["origin", "https://a.example"]) });

  test("is the canister's where it gives one", async () => {
    const world = createGatewayWorld(bls);
    world.answer = () => ({ status: 204, headers: [["Access-Control-Allow-Methods", "GET"]] });
    const { status, headers } = await preflight(world);
    assert.deepEqual([status, headers["access-control-allow-methods"]], [204, "GET"]);
  });

  const others: readonly Answer[] = [{ status: 200, body: "page" }, { status: 404 }, { status: 101 }];
  for (const answer of others) {
    test(`is the gateway's where the canister answers ${JSON.stringify(answer)}`, async () => {
      const world = createGatewayWorld(bls);
      world.answer = () => answer;
      const { status, headers } = await preflight(world);
      assert.equal(status, 200);
      assert.match(String(headers["access-control-allow-methods"]), /DELETE, PATCH/);
    });
  }
});
