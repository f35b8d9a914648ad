/** The port in front of nodes: whole answers to slow readers, requests of clients that end their half, refusals. */
import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { buffer, text } from "node:stream/consumers";
import { after, test } from "node:test";
import { OrreryError } from "@orrery/base";
import { startFront } from "./front.ts";

const BIND = "127.0.0.1";
/** Less than a socket keeps before it asks for a pause. */
const PIECE_BYTES = 8 << 10;
const closers: (() => unknown)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

async function listening(server: Server): Promise<number> {
  server.listen(0, BIND);
  await once(server, "listening");
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function frontOf(...ports: readonly number[]): Promise<number> {
  const front = await startFront({ port: 0, bind: BIND, ports: () => ports });
  closers.push(() => front.close());
  return front.port;
}

test("a client that reads slowly gets all of an answer after which the node closes", async () => {
  const atFront = Promise.withResolvers<Socket>();
  const sent = Promise.withResolvers<number>();
  const node = createServer(async (socket) => {
    const there = await atFront.promise;
    let bytes = 0;
    // Until the system takes no more for the client, and the front keeps what comes: the node ends while that waits.
    while (there.writableLength === 0) {
      socket.write(Buffer.alloc(PIECE_BYTES));
      bytes += PIECE_BYTES;
      for (let turns = 0; turns < 4; turns++) await new Promise((done) => setImmediate(done));
    }
    socket.end(() => sent.resolve(bytes));
  });
  const port = await frontOf(await listening(node));
  const listen = (message: unknown): void => {
    const { socket } = message as { readonly socket: Socket };
    if (socket.localPort === port) atFront.resolve(socket);
  };
  subscribe("net.server.socket", listen);
  const client = connect(port, BIND);
  client.pause();
  const bytes = await sent.promise;
  unsubscribe("net.server.socket", listen);
  // The front hears of the end before the client reads on.
  await new Promise((done) => setTimeout(done, 50));
  assert.equal((await buffer(client)).length, bytes);
});

test("a client that ends its half is answered", async () => {
  const node = createServer({ allowHalfOpen: true }, (socket) => {
    let asked = "";
    socket.setEncoding("utf8").on("data", (piece: string) => {
      asked += piece;
    });
    socket.on("end", () => socket.end(`you said ${asked}`));
  });
  const client = connect({ port: await frontOf(await listening(node)), host: BIND, allowHalfOpen: true });
  client.end("hello");
  assert.equal(await text(client), "you said hello");
});

test("a node that is gone is passed over; without any, the client is told", async () => {
  const gone = createServer();
  const port = await listening(gone);
  await new Promise((closed) => gone.close(closed));
  const node = createServer((socket) => socket.end("here"));
  const several = await frontOf(port, await listening(node));
  for (let i = 0; i < 2; i++) assert.equal(await text(connect(several, BIND)), "here");
  assert.match(await text(connect(await frontOf(port), BIND)), /^HTTP\/1\.1 503 /);
});

test("a client that is cut off takes its connection to the node with it", async () => {
  const node = createServer();
  const port = await listening(node);
  const connected = once(node, "connection") as Promise<[Socket]>;
  const client = connect(await frontOf(port), BIND);
  const [socket] = await connected;
  socket.on("error", () => {});
  const closed = once(socket, "close");
  socket.resume();
  client.resetAndDestroy();
  await closed;
});

test("a taken port is told with a free one", async () => {
  const taken = await listening(createServer());
  await assert.rejects(
    startFront({ port: taken, bind: BIND, ports: () => [] }),
    (error: OrreryError) =>
      error.code === "port_taken" && error.message.includes(`port ${error.data["freePort"]} is free`),
  );
  await assert.rejects(
    startFront({ port: 0, bind: "192.0.2.1", ports: () => [] }),
    (error: OrreryError) => error instanceof OrreryError && error.code === "listen_failed",
  );
});
