import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createPlainServer } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import type { FetchedOutcall } from "@orrery/execution";
import {
  createHttpsOutcalls,
  type HttpsOutcallOptions,
  isPrivateAddress,
  type OutcallRequest,
} from "./outcalls.ts";
import { selfSigned } from "./self-signed.ts";

const { certificate: ca, key } = selfSigned();

describe("outcalls to a real server", () => {
  let server: Server;
  let origin = "";
  let active = 0;
  let most = 0;

  before(async () => {
    server = createServer({ cert: ca, key }, (request, response) => {
      active++;
      most = Math.max(most, active);
      response.on("close", () => active--);
      const url = new URL(request.url ?? "/", "https://localhost");
      const size = Number(url.searchParams.get("size") ?? 0);
      switch (url.pathname) {
        case "/echo": {
          const chunks: Uint8Array[] = [];
          request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
          request.on("end", () => {
            const seen = { method: request.method, headers: request.rawHeaders, query: url.search };
            response.setHeader("x-seen", JSON.stringify(seen));
            response.end(Buffer.concat(chunks));
          });
          break;
        }
        case "/redirect":
          response.writeHead(302, { location: `${origin}/echo` }).end("moved");
          break;
        case "/big":
          response.end(new Uint8Array(size));
          break;
        case "/headers":
          response.setHeader("x-long", "v".repeat(size)).end();
          break;
        case "/binary":
          response.setHeader("x-binary", "\u00fc").end();
          break;
        case "/slow":
          break;
        case "/cut":
          response.writeHead(200, { "content-length": "100" });
          response.write("half");
          setImmediate(() => response.destroy());
          break;
        case "/turn":
          setImmediate(() => setImmediate(() => response.end("x")));
          break;
      }
    });
    server.listen(0, "localhost");
    await once(server, "listening");
    origin = `https://localhost:${(server.address() as AddressInfo).port}`;
  });

  after(() => {
    server.closeAllConnections();
    server.close();
  });

  async function fetched(
    path: string,
    request: Partial<OutcallRequest> = {},
    options: HttpsOutcallOptions = { ca },
  ): Promise<FetchedOutcall> {
    const adapter = createHttpsOutcalls(options);
    const url = path.startsWith("/") ? origin + path : path;
    const result = await adapter.fetch({
      url,
      method: "GET",
      headers: [],
      body: null,
      maxResponseBytes: 2_000_000,
      ...request,
    });
    adapter.close();
    return result;
  }

  async function failed(
    path: string,
    request: Partial<OutcallRequest> = {},
    options?: HttpsOutcallOptions,
  ): Promise<readonly [number, string]> {
    const result = await fetched(path, request, options);
    assert.equal(result.kind, "failure");
    return [(result as { code: number }).code, (result as { message: string }).message];
  }

  test("method, headers and body arrive as they are, with a user agent where there is none", async () => {
    const body = new TextEncoder().encode("body");
    const headers = [
      { name: "X-Two", value: "a" },
      { name: "x-two", value: "b" },
    ];
    const result = await fetched("/echo?q=1", { method: "POST", headers, body });
    assert.ok(result.kind === "response");
    assert.equal(result.status, 200);
    assert.deepEqual(result.body, body);
    const seen = JSON.parse(result.headers.find(({ name }) => name === "x-seen")?.value ?? "{}") as {
      method: string;
      headers: string[];
      query: string;
    };
    assert.deepEqual([seen.method, seen.query], ["POST", "?q=1"]);
    const pairs = seen.headers.flatMap((name, i) =>
      i % 2 === 0 ? [`${name.toLowerCase()}: ${seen.headers[i + 1]}`] : [],
    );
    for (const pair of ["x-two: a", "x-two: b", "user-agent: ic/1.0", "content-length: 4"])
      assert.ok(pairs.includes(pair), `${pair} in ${pairs.join(", ")}`);
    assert.ok(result.downloadedBytes > 4 && result.elapsedMs > 0);
    const own = await fetched("/echo", { headers: [{ name: "User-Agent", value: "mine" }] });
    assert.ok(own.kind === "response");
    assert.match(own.headers.find(({ name }) => name === "x-seen")?.value ?? "", /"mine"/);
    for (const method of ["HEAD", "PUT", "DELETE", "PATCH"] as const) {
      const one = await fetched("/echo", { method });
      assert.ok(one.kind === "response" && one.status === 200, method);
    }
  });

  test("redirects are answers like any other", async () => {
    const result = await fetched("/redirect");
    assert.ok(result.kind === "response");
    assert.deepEqual([result.status, new TextDecoder().decode(result.body)], [302, "moved"]);
  });

  test("certificates are checked", async () => {
    const [code, text] = await failed("/echo", {}, {});
    assert.equal(code, 2);
    assert.match(text, /^Connecting to localhost failed: .*certificate/i);
    const other = selfSigned().certificate;
    assert.equal((await failed("/echo", {}, { ca: other }))[0], 2);
    const port = new URL(origin).port;
    // The name must be one of the certificate's.
    const named = await failed(`https://localhost.localdomain:${port}/echo`);
    assert.equal(named[0], 2);
  });

  test("sizes are held while bytes come: headers first, then the body", async () => {
    const small = await fetched("/big?size=1000", { maxResponseBytes: 1_500 });
    assert.ok(small.kind === "response" && small.body.length === 1_000);
    const headerBytes = small.headers.reduce((n, { name, value }) => n + name.length + value.length, 0);
    const exact = await fetched("/big?size=1000", { maxResponseBytes: 1_000 + headerBytes });
    assert.equal(exact.kind, "response");
    const max = 999 + headerBytes;
    assert.deepEqual(await failed("/big?size=1000", { maxResponseBytes: max }), [
      1,
      `Http body exceeds size limit of ${max} bytes.`,
    ]);
    const endless = await fetched("/big?size=50000000", { maxResponseBytes: 1_000 });
    assert.ok(endless.kind === "failure" && endless.downloadedBytes < 5_000_000);
    assert.deepEqual(await failed("/headers?size=2000", { maxResponseBytes: 1_000 }), [
      1,
      "Header size exceeds specified response size limit 1000",
    ]);
    const wide = await fetched("/headers?size=48000");
    assert.equal(wide.kind, "response");
    assert.equal((await failed("/headers?size=70000"))[0], 1);
    assert.match((await failed("/binary"))[1], /^Failed to parse headers: /);
  });

  test("what does not end in time, is cut or cannot be reached is a failure", async () => {
    assert.deepEqual(await failed("/slow", {}, { ca, timeoutMs: 100 }), [1, "Timeout expired"]);
    const cut = await failed("/cut");
    assert.equal(cut[0], 2);
    const refused = await failed("https://localhost:1/");
    assert.equal(refused[0], 2);
    assert.match(refused[1], /^Connecting to localhost failed: /);
  });

  test("requests to one host wait for each other beyond the limit", async () => {
    const adapter = createHttpsOutcalls({ ca, perHostMax: 2 });
    most = 0;
    const request = { method: "GET", headers: [], body: null, maxResponseBytes: 1_000 } as const;
    const all = Array.from({ length: 12 }, () => adapter.fetch({ ...request, url: `${origin}/turn` }));
    const results = await Promise.all(all);
    adapter.close();
    assert.ok(results.every(({ kind }) => kind === "response"));
    assert.ok(most <= 2, `${most} at once`);
  });

  test("closing ends what is under way", async () => {
    const adapter = createHttpsOutcalls({ ca });
    const request = { method: "GET", headers: [], body: null, maxResponseBytes: 1_000 } as const;
    const pending = adapter.fetch({ ...request, url: `${origin}/slow` });
    await once(server, "request");
    adapter.close();
    assert.equal((await pending).kind, "failure");
  });

  test("what cannot be a request is refused before anything is sent", async () => {
    const scheme = "Url need to specify https scheme";
    assert.deepEqual(await failed("http://localhost/"), [1, scheme]);
    assert.deepEqual(await failed("ftp://localhost/"), [1, scheme]);
    assert.match((await failed("not a url"))[1], /^Failed to parse URL: /);
    const bad = [{ name: "a b", value: "" }];
    assert.match((await failed("/echo", { headers: bad }))[1], /^Failed to parse header name/);
    const lines = [{ name: "a", value: "x\r\ny: z" }];
    assert.match((await failed("/echo", { headers: lines }))[1], /^Failed to parse header value/);
  });

  test("private addresses can be kept out, by number and by name", async () => {
    const options = { ca, privateAddresses: false };
    assert.match((await failed("/echo", {}, options))[1], /no public address/);
    const { port } = new URL(origin);
    for (const host of ["127.0.0.1", "[::1]", "10.1.2.3", "[::ffff:127.0.0.1]"])
      assert.match((await failed(`https://${host}:${port}/`, {}, options))[1], /private/, host);
  });
});

test("plain HTTP is for who asks for it", async () => {
  const server = createPlainServer((_, response) => response.end("plain"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const adapter = createHttpsOutcalls({ plainHttp: true });
  const request = { url, method: "GET", headers: [], body: null, maxResponseBytes: 1_000 } as const;
  const result = await adapter.fetch(request);
  adapter.close();
  server.close();
  assert.ok(result.kind === "response" && new TextDecoder().decode(result.body) === "plain");
});

test("addresses that only this machine or its network can reach", () => {
  for (const address of [
    "127.0.0.1",
    "10.0.0.1",
    "172.31.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "::1",
    "fd00::1",
    "fe80::1",
    "::ffff:10.0.0.1",
  ])
    assert.ok(isPrivateAddress(address), address);
  for (const address of ["1.1.1.1", "172.32.0.1", "2606:4700::1111"])
    assert.ok(!isPrivateAddress(address), address);
});
