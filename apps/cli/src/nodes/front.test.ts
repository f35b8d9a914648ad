/** The port in front of nodes: the right subnet's node, whole answers to slow readers, nodes that are gone, documents of all subnets. */
import assert from "node:assert/strict";
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  request,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { buffer, text } from "node:stream/consumers";
import { after, test } from "node:test";
import { OrreryError } from "@orrery/base";
import { type FrontOptions, startFront } from "./front.ts";

const BIND = "127.0.0.1";
/** Of one subnet, with its nodes alone. */
const ONE: FrontOptions["routes"] = {
  subnets: 1,
  defaultSubnet: 0,
  subnetOf: () => 0,
  isForNetwork: () => true,
};
const closers: (() => unknown)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

async function nodeThat(answers: RequestListener): Promise<number> {
  const server = createServer(answers).listen(0, BIND);
  await once(server, "listening");
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function goneNode(): Promise<number> {
  const server = createServer().listen(0, BIND);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}

/** In front of nodes by subnet; the last digit of a path says which subnet a request is for. */
async function frontOf(...ports: readonly (readonly number[])[]): Promise<string> {
  const front = await startFront({
    port: 0,
    bind: BIND,
    routes: {
      subnets: ports.length,
      defaultSubnet: ports.length - 1,
      subnetOf: ({ url }) => Number(/\d$/.exec(url)?.[0] ?? 0),
      isForNetwork: ({ header }) => header("host")?.startsWith("canister.") !== true,
    },
    ports: (subnet) => ports[subnet] ?? [],
    onError: (error) => assert.fail(String(error)),
  });
  closers.push(() => front.close());
  return `http://${BIND}:${front.port}`;
}

/** What a node was asked, as text. */
async function told(request: IncomingMessage, response: ServerResponse, name: string): Promise<void> {
  const { method, url, headers } = request;
  const body = await text(request);
  response.setHeader("x-node", [name, "twice"]);
  response.end(`${name} ${method} ${url} ${headers.host} ${headers["x-more"] ?? ""} ${body}`);
}

test("documents are of the subnets whose nodes run, where one came later and its nodes have gone", async () => {
  const [first, second] = await Promise.all(
    ["a", "b"].map((id) => nodeThat((_, response) => response.end(JSON.stringify({ subnets: [{ id }] })))),
  );
  const ports = [[first as number], [second as number]];
  let subnets = 1;
  const front = await startFront({
    port: 0,
    bind: BIND,
    routes: {
      ...ONE,
      get subnets(): number {
        return subnets;
      },
    },
    ports: (subnet) => ports[subnet] ?? [],
    onError: (error) => assert.fail(String(error)),
  });
  closers.push(() => front.close());
  const told = async (): Promise<unknown> =>
    await (await fetch(`http://${BIND}:${front.port}/_/subnets`)).json();
  assert.deepEqual(await told(), { subnets: [{ id: "a" }] });
  subnets = 2;
  assert.deepEqual(await told(), { subnets: [{ id: "a" }, { id: "b" }] });
  ports[1] = [];
  assert.deepEqual(await told(), { subnets: [{ id: "a" }] });
});

test("requests go to nodes of the subnet that they are for, in turn, as they are", async () => {
  const nodes = await Promise.all(
    ["a", "b", "c"].map((name) => nodeThat((request, response) => void told(request, response, name))),
  );
  const [a, b, c] = nodes as [number, number, number];
  const url = await frontOf([a], [b, c]);
  const post = { method: "POST", body: "hello", headers: { "x-more": "1" } };
  const at = new URL(url).host;
  assert.equal(await (await fetch(`${url}/x/0`, post)).text(), `a POST /x/0 ${at} 1 hello`);
  const said = new Set<string>();
  for (let i = 0; i < 2; i++) said.add(await (await fetch(`${url}/api/1`)).text());
  assert.deepEqual([...said].sort(), [`b GET /api/1 ${at}  `, `c GET /api/1 ${at}  `]);
  const head = await fetch(`${url}/0`, { method: "HEAD" });
  assert.equal(head.headers.get("x-node"), "a, twice");
});

test("a client that reads slowly gets all of a long answer", async () => {
  const bytes = 32 << 20;
  const port = await nodeThat((_, response) => {
    response.setHeader("content-length", bytes);
    response.end(Buffer.alloc(bytes, 7));
  });
  const { host, port: front } = { host: BIND, port: Number(new URL(await frontOf([port])).port) };
  const client = connect(front, host);
  client.write(`GET /0 HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
  await once(client, "readable");
  await new Promise((done) => setTimeout(done, 50));
  const all = await buffer(client);
  assert.ok(all.length > bytes && all.at(-1) === 7);
});

test("a node that is gone is passed over; without any of the subnet, the client is told", async () => {
  const gone = await goneNode();
  const here = await nodeThat((_, response) => response.end("here"));
  const url = await frontOf([gone, here], [gone]);
  for (let i = 0; i < 2; i++) assert.equal(await (await fetch(`${url}/0`)).text(), "here");
  const none = await fetch(`${url}/1`);
  assert.equal(none.status, 503);
  assert.match(await none.text(), /^No node of the subnet/);
});

test("a node that stands still is passed over, and asked last for a while", async () => {
  let asked = 0;
  const still = await nodeThat(() => {
    asked++;
  });
  const here = await nodeThat((_, response) => response.end("here"));
  const front = await startFront({
    port: 0,
    bind: BIND,
    routes: ONE,
    ports: () => [still, here],
    onError: (error) => assert.fail(String(error)),
    answerMs: 50,
  });
  closers.push(() => front.close());
  for (let i = 0; i < 4; i++)
    assert.equal(await (await fetch(`http://${BIND}:${front.port}/api/${i}`)).text(), "here");
  assert.equal(asked, 1);
});

test("a node that cannot answer the interface now is passed over", async () => {
  const busy = await nodeThat((_, response) => {
    response.statusCode = 503;
    response.end("busy");
  });
  const here = await nodeThat((_, response) => response.end("here"));
  const url = await frontOf([busy, here], [busy]);
  for (let i = 0; i < 2; i++) assert.equal(await (await fetch(`${url}/api/0`)).text(), "here");
  const answers = await Promise.all([`${url}/api/1`, `${url}/page/1`].map((each) => fetch(each)));
  for (const answer of answers) assert.deepEqual([answer.status, await answer.text()], [503, "busy"]);
});

test("a request that a node died over goes to another one where that does no harm", async () => {
  let asked = 0;
  const dying = await nodeThat((request) => {
    asked++;
    request.socket.destroy();
  });
  const here = await nodeThat((request, response) => void told(request, response, "here"));
  const errors: unknown[] = [];
  const front = await startFront({
    port: 0,
    bind: BIND,
    routes: ONE,
    ports: () => [dying, here],
    onError: (error) => errors.push(error),
  });
  closers.push(() => front.close());
  const url = `http://${BIND}:${front.port}`;
  // Requests begin at one node and at the other, in turn.
  for (let i = 0; i < 2; i++) {
    const answer = await fetch(`${url}/api/v4/canister`, { method: "POST", body: "call" });
    assert.match(await answer.text(), /^here POST .*call$/);
  }
  assert.equal(asked, 1);
  const other = await fetch(`${url}/page`, { method: "POST", body: "once" });
  assert.equal(other.status, 500);
  assert.equal(errors.length, 1);
});

test("documents about the network are those of all subnets, each subnet once", async () => {
  const node = (...ids: readonly string[]): Promise<number> =>
    nodeThat(({ url }, response) =>
      response.end(
        JSON.stringify(
          url === "/_/subnets"
            ? { v: "1", subnets: ids.map((id) => ({ id })) }
            : { subnet_configs: Object.fromEntries(ids.map((id) => [id, {}])), first: ids[0] },
        ),
      ),
    );
  const url = await frontOf([await node("a")], [await node("b", "a")]);
  const ofAll = async (path: string): Promise<unknown> => (await fetch(`${url}${path}`)).json();
  assert.deepEqual(await ofAll("/_/subnets"), { v: "1", subnets: [{ id: "a" }, { id: "b" }] });
  assert.deepEqual(await ofAll("/_/topology"), { subnet_configs: { a: {}, b: {} }, first: "b" });
  // At a canister's host the paths are the canister's.
  const own = request(`${url}/_/subnets`, { headers: { host: "canister.localhost" } }).end();
  const [response] = (await once(own, "response")) as [IncomingMessage];
  assert.deepEqual(JSON.parse(await text(response)), { v: "1", subnets: [{ id: "a" }] });
});

test("a taken port is told with a free one", async () => {
  const taken = await nodeThat(() => {});
  const rest = { routes: ONE, ports: () => [], onError() {} };
  await assert.rejects(
    startFront({ port: taken, bind: BIND, ...rest }),
    (error: OrreryError) =>
      error.code === "port_taken" && error.message.includes(`port ${error.data["freePort"]} is free`),
  );
  await assert.rejects(
    startFront({ port: 0, bind: "192.0.2.1", ...rest }),
    (error: OrreryError) => error instanceof OrreryError && error.code === "listen_failed",
  );
});

/** A connection on which requests are written as they are. */
function rawTo(url: string): Socket {
  const client = connect(Number(new URL(url).port), BIND);
  closers.push(() => client.destroy());
  return client;
}

test("what a client sends as the body of a request that has none is no part of the next request", async () => {
  const asked: string[] = [];
  const node = await nodeThat((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.end("here");
  });
  const url = await frontOf([node]);
  const smuggled = "GET /b/0 HTTP/1.1\r\nhost: x\r\nx-rest: ";
  const client = rawTo(url);
  client.write(`GET /a/0 HTTP/1.1\r\nhost: x\r\ncontent-length: ${smuggled.length}\r\n\r\n${smuggled}`);
  await once(client, "data");
  assert.equal(await (await fetch(`${url}/c/0`)).text(), "here");
  assert.equal(await (await fetch(`${url}/d/0`, { method: "DELETE" })).text(), "here");
  assert.deepEqual(asked, ["GET /a/0", "GET /c/0", "DELETE /d/0"]);
});

test("a request that may do something twice is no other node's when its connection ends", async () => {
  let asked = 0;
  const dying = await nodeThat((request, response) => {
    if (request.method === "GET") response.end("here");
    else {
      asked++;
      request.socket.destroy();
    }
  });
  const front = await startFront({
    port: 0,
    bind: BIND,
    routes: ONE,
    ports: () => [dying, dying],
    onError: () => {},
  });
  closers.push(() => front.close());
  const url = `http://${BIND}:${front.port}`;
  // The next one finds a connection that is open already.
  await (await fetch(`${url}/page`)).text();
  const { status } = await fetch(`${url}/page`, { method: "POST", body: "pay" });
  assert.deepEqual([asked, status], [1, 500]);
});

test("a node that stands still within an answer is passed over", async () => {
  const still = await nodeThat((_, response) => {
    response.setHeader("content-length", 10);
    response.write("half ");
  });
  const here = await nodeThat((_, response) => response.end("here"));
  const front = await startFront({
    port: 0,
    bind: BIND,
    routes: ONE,
    ports: () => [still, here],
    onError: (error) => assert.fail(String(error)),
    answerMs: 50,
  });
  closers.push(() => front.close());
  const answer = await fetch(`http://${BIND}:${front.port}/api/0`, { signal: AbortSignal.timeout(10_000) });
  assert.equal(await answer.text(), "here");
});
