/** The proxy between nodes: bytes pass whole and in order, later, one way only, or not at all for a while. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createConnection, createServer, type Socket } from "node:net";
import { after, test } from "node:test";
import { seededRandom } from "../durability/random.ts";
import { freeLoopback, Wires } from "./wires.ts";

const closers: (() => unknown)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

interface Pair {
  readonly wires: Wires;
  readonly caller: Socket;
  readonly called: Socket;
}

/** Node 0 has called node 1. */
async function pair(): Promise<Pair> {
  const real = await freeLoopback(2);
  const server = createServer().listen(real[1]?.port, real[1]?.host);
  await once(server, "listening");
  const wires = await Wires.open(real, seededRandom(1));
  const [called, caller] = await Promise.all([
    once(server, "connection").then(([socket]) => socket as Socket),
    (async () => createConnection(wires.addressesFor(0)[1] as { port: number; host: string }))(),
  ]);
  for (const socket of [caller, called]) socket.on("error", () => socket.destroy());
  closers.push(async () => {
    await wires.close();
    server.close();
  });
  return { wires, caller, called };
}

/** Resolves when so many bytes have come, to their hash. */
async function taken(socket: Socket, bytes: number): Promise<string> {
  const hash = createHash("sha256");
  let left = bytes;
  for await (const piece of socket.iterator({ destroyOnReturn: false })) {
    hash.update(piece as Uint8Array);
    left -= (piece as Uint8Array).length;
    if (left <= 0) break;
  }
  return hash.digest("hex");
}

/** Whether it ends well or not. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

test("everything arrives in order over a line that delays and loses, and takes the time", async () => {
  const { wires, caller, called } = await pair();
  const heal = wires.apply((from) => (from === 0 ? { delayMs: 30, jitterMs: 20, loss: 0.3 } : null));
  const pieces = Array.from({ length: 40 }, (_, i) => seededRandom(i).bytes(3_000));
  const startMs = performance.now();
  const there = taken(called, 120_000);
  for (const piece of pieces) caller.write(piece);
  assert.equal(await there, createHash("sha256").update(Buffer.concat(pieces)).digest("hex"));
  assert.ok(performance.now() - startMs >= 30);
  heal();
});

test("a line that is held one way passes the other, and after it heals what was on its way", async () => {
  const { wires, caller, called } = await pair();
  const heal = wires.apply((from, to) => (from === 0 && to === 1 ? { isHeld: true } : null));
  let heard = 0;
  called.on("data", (piece: Uint8Array) => {
    heard += piece.length;
  });
  caller.write("hello");
  called.write("world");
  const [answer] = (await once(caller, "data")) as [Buffer];
  assert.equal(answer.toString(), "world");
  // What passes at all has passed by now: both ways go through one loop.
  called.write("again");
  await once(caller, "data");
  assert.equal(heard, 0);
  heal();
  while (heard < 5) await once(called, "data");
});

test("what is held is bounded: the sender stops being read from, and goes on later", async () => {
  const { wires, caller, called } = await pair();
  const heal = wires.apply(() => ({ isHeld: true }));
  const bytes = 64 << 20;
  const passed = taken(called, bytes);
  const content = Buffer.alloc(bytes, 7);
  let isWritten = false;
  caller.write(content, () => {
    isWritten = true;
  });
  for (let turns = 0; turns < 2_000; turns++) await new Promise((done) => setImmediate(done));
  assert.equal(isWritten, false);
  heal();
  assert.equal(await passed, createHash("sha256").update(content).digest("hex"));
});

test("connections that are cut off end at both ends; an end does not pass a line that is held", async () => {
  const first = await pair();
  const ends = [first.caller, first.called].map(closed);
  first.wires.cut((a, b) => a === 0 && b === 1);
  await Promise.all(ends);
  const { wires, caller, called } = await pair();
  const heal = wires.apply(() => ({ isHeld: true }));
  caller.destroy();
  for (let turns = 0; turns < 200; turns++) await new Promise((done) => setImmediate(done));
  assert.equal(called.destroyed, false);
  const over = closed(called);
  called.resume();
  heal();
  await over;
});
