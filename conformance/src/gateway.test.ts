/** The HTTP gateway of a running node, over sockets, in front of a canister with pages of every kind. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { before, describe, test } from "node:test";
import { Principal } from "@icp-sdk/core/principal";
import { shareNetwork } from "./programs/shared-network.ts";
import { type Page, putPages } from "./programs/web-pages.ts";
import type { Program } from "./programs.ts";

const shared = shareNetwork();

const BIG: Uint8Array = Uint8Array.from({ length: 1_500_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
const PART_BYTES = 600_000;

function part(first: number): Page {
  const last = Math.min(first + PART_BYTES, BIG.length) - 1;
  return {
    key: first === 0 ? "GET /parts" : `GET /parts bytes=${first}-`,
    status: 206,
    headers: [["Content-Range", `bytes ${first}-${last}/${BIG.length}`]],
    body: BIG.subarray(first, last + 1),
  };
}

const PAGES: readonly Page[] = [
  {
    key: "GET /",
    headers: [
      ["Content-Type", "text/html"],
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2"],
    ],
    body: "<h1>Home</h1>",
  },
  {
    key: "HEAD /",
    headers: [["Content-Type", "text/html"]],
    body: "<h1>Home</h1>",
    path: ["http_expr", "", "<$>"],
  },
  { key: "GET /moved", status: 302, headers: [["Location", "/"]], body: "" },
  { key: "GET /app/any/route", headers: [], body: "the app", path: ["http_expr", "app", "<*>"] },
  { key: "GET /open", body: "not certified", certification: { request: null, response: null } },
  { key: "GET /forged", body: "what somebody made of it", forged: true },
  { key: "POST /form", body: "", upgrade: true },
  { key: "GET /chunks", body: BIG, chunkBytes: 400_000 },
  part(0),
  part(PART_BYTES),
  part(2 * PART_BYTES),
];

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

let web: Program;

async function ask(
  path: string,
  more: {
    readonly method?: string;
    readonly host?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  } = {},
): Promise<Answer> {
  const { port } = new URL(shared.network.url);
  const host = more.host ?? `${web.id.toText()}.localhost:${port}`;
  const sent = request({
    host: "127.0.0.1",
    port,
    path,
    method: more.method ?? "GET",
    headers: { ...more.headers, host },
  });
  sent.end(more.body);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces) };
}

describe("the gateway of a node", () => {
  before(async () => {
    web = await shared.motoko("web", "enhanced");
    await putPages(web, PAGES);
  });

  test("serves a certified page with its headers", async () => {
    const { status, headers, body } = await ask("/");
    assert.equal(status, 200);
    assert.equal(body.toString(), "<h1>Home</h1>");
    assert.equal(headers["content-type"], "text/html");
    assert.deepEqual(headers["set-cookie"], ["a=1", "b=2"]);
    assert.equal(headers["x-ic-canister-id"], web.id.toText());
  });

  test("answers HEAD with the length and no body", async () => {
    const { status, headers, body } = await ask("/", { method: "HEAD" });
    assert.deepEqual([status, headers["content-length"], body.length], [200, "13", 0]);
  });

  test("serves by query and referer too", async () => {
    const host = new URL(shared.network.url).host;
    const page = await ask(`/open?canisterId=${web.id.toText()}`, { host });
    // The page is put in for its URL without a query.
    assert.equal(page.status, 503);
    const linked = await ask("/open", {
      host,
      headers: { referer: `http://${host}/?canisterId=${web.id.toText()}` },
    });
    assert.equal(linked.body.toString(), "not certified");
  });

  test("passes on certified redirects, wildcards and what is certifiably open", async () => {
    const moved = await ask("/moved");
    assert.deepEqual([moved.status, moved.headers.location], [302, "/"]);
    assert.equal((await ask("/app/any/route")).body.toString(), "the app");
    assert.equal((await ask("/open")).body.toString(), "not certified");
  });

  test("keeps back what fails verification and says why", async () => {
    for (const path of ["/forged", "/unknown"]) {
      const { status, headers, body } = await ask(path, { headers: { accept: "text/html" } });
      assert.equal(status, 503);
      assert.equal(headers["x-ic-error-cause"], "backend_response_verification");
      assert.match(body.toString(), /<h1>Response verification failed<\/h1>/);
      assert.ok(!body.includes("somebody"));
    }
    const raw = await ask("/forged", { host: `${web.id.toText()}.raw.localhost` });
    assert.deepEqual([raw.status, raw.body.toString()], [200, "what somebody made of it"]);
  });

  test("turns a request into an update call", async () => {
    const { status, body } = await ask("/form", {
      method: "POST",
      body: "name=value",
      headers: { "x-mine": "yes" },
    });
    assert.equal(status, 200);
    assert.match(body.toString(), /^POST \/form\n[\s\S]*x-mine: yes\n[\s\S]*\n\nname=value$/);
  });

  test("puts long bodies together, from a callback and from ranges", async () => {
    for (const path of ["/chunks", "/parts"]) {
      const { status, headers, body } = await ask(path);
      assert.deepEqual([status, headers["content-length"]], [200, String(BIG.length)], path);
      assert.equal(Buffer.compare(body, BIG), 0, path);
    }
    const range = await ask("/parts", { headers: { range: `bytes=${PART_BYTES}-` } });
    assert.deepEqual([range.status, range.body.length], [206, PART_BYTES]);
  });

  test("leaves the interface where it is, on every host", async () => {
    assert.equal((await ask("/api/v2/status")).headers["content-type"], "application/cbor");
    assert.equal((await ask("/api/v4/none")).body.toString(), "Endpoint not found.");
    // Other versions may be a canister's own interface.
    assert.equal((await ask("/api/v1/own")).headers["x-ic-canister-id"], web.id.toText());
    // Metrics and administration are the node's, not the canister's.
    const host = new URL(shared.network.url).host;
    assert.match((await ask("/metrics", { host })).body.toString(), /orrery_published_height/);
    const topology = JSON.parse((await ask("/_/topology", { host })).body.toString()) as {
      readonly default_effective_canister_id: { readonly canister_id: string };
      readonly subnet_configs: Readonly<
        Record<string, { readonly subnet_kind: string; readonly canister_ranges: readonly unknown[] }>
      >;
    };
    const id = Buffer.from(topology.default_effective_canister_id.canister_id, "base64");
    assert.equal(Principal.fromUint8Array(id).toText(), shared.network.effectiveCanisterId.toText());
    const configs = Object.values(topology.subnet_configs);
    assert.deepEqual(
      configs.map(({ subnet_kind }) => subnet_kind),
      ["NNS", "Application"],
    );
    assert.ok(configs.every(({ canister_ranges }) => canister_ranges.length > 0));
    assert.equal((await ask("/metrics")).status, 503);
    assert.equal((await ask("/_/subnets")).status, 503);
  });

  test("refuses hosts that are not its own", async () => {
    const { status, body } = await ask("/", { host: "rebound.example" });
    assert.equal(status, 403);
    assert.match(body.toString(), /DNS rebinding/);
  });

  test("says what stands at an unknown canister and at its own root", async () => {
    assert.equal((await ask("/", { host: "aaaaa-aa.localhost" })).status, 400);
    const missing = await ask("/", { host: "um5iw-rqaaa-aaaaq-qaaba-cai.localhost" });
    assert.match(missing.body.toString(), /No web pages|Canister not found/);
    assert.match((await ask("/", { host: new URL(shared.network.url).host })).body.toString(), /canisterId=/);
  });
});
