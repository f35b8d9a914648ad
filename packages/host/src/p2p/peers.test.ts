/** Peers over real TLS sockets: who is let in, what arrives, what is noticed when a peer is silent, strange, slow or removed. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect as connectPlain, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { OrreryError } from "@orrery/base";
import { ed25519ToDer } from "@orrery/crypto";
import { encodeMessage, FRAME_BYTES_MAX, frameBytes } from "@orrery/p2p";
import type { Timers } from "./connections.ts";
import { nodeIdentity } from "./identity.ts";
import { has, identityOf, RawPeer, TestNetwork, type TestNode } from "./peers.testkit.ts";
import type { PeersOptions } from "./peers.ts";
import { connectByTls, SILENCE_MS } from "./tls-connections.ts";

/** Of the exchange. */
const WINDOW_BYTES = 1024 * 1024;

async function network(t: TestContext, ...ids: readonly string[]): Promise<TestNetwork> {
  const made = new TestNetwork();
  t.after(() => made.close());
  for (const [index, id] of ids.entries()) await made.add(id, index + 1);
  return made;
}

function at(made: TestNetwork, index: number): TestNode {
  const node = made.nodes[index];
  assert.ok(node !== undefined);
  return node;
}

function publish(node: TestNode, label: number, length: number, isUrgent = false): Uint8Array {
  const body = new Uint8Array(length).fill(label);
  node.peers.publish(1, `${label}`, { label: Uint8Array.of(label), body, isUrgent });
  return body;
}

test("an identity is a function of its key, with a certificate that its key signed and that names it", () => {
  const identity = identityOf(7);
  const certificate = new X509Certificate(identity.certificate);
  assert.ok(certificate.verify(certificate.publicKey));
  const spki = certificate.publicKey.export({ format: "der", type: "spki" });
  assert.deepEqual(new Uint8Array(spki), identity.publicKey);
  assert.deepEqual(identity.publicKey, ed25519ToDer(identity.publicKey.slice(-32)));
  assert.equal(identityOf(7).certificate, identity.certificate);
  assert.notEqual(identityOf(8).certificate, identity.certificate);
  assert.equal(certificate.validTo, "Dec 31 23:59:59 9999 GMT");
  assert.throws(
    () => nodeIdentity(new Uint8Array(31)),
    (error) => error instanceof OrreryError && error.code === "node_key_invalid",
  );
});

test("four nodes exchange artifacts and answers, each with each", async (t) => {
  const made = await network(t, "a", "b", "c", "d");
  await made.joinAll();
  for (const [index, node] of made.nodes.entries()) {
    publish(node, 10 + index, 40);
    publish(node, 20 + index, 700_000);
  }
  await made.until("everybody has all", () => made.nodes.every((node) => node.has.size === 6));
  assert.deepEqual(at(made, 0).has.get("17")?.body, new Uint8Array(700_000).fill(23));
  at(made, 0).peers.retract(1, "10");
  await made.until("it is withdrawn", () =>
    made.nodes.every((node, i) => node.has.size === (i === 0 ? 6 : 5)),
  );
  const body = Uint8Array.of(1, 2, 3);
  at(made, 3).peers.ask({ id: "echo", service: 16, body, peers: ["b"], timeoutMs: 1_000 });
  const answered = { kind: "answered", id: "echo", peer: "b" };
  await made.until("it is answered", () => has(at(made, 3).effects, answered));
});

test("a node whose key is no member's is cut off, and so is one that answers under another's address", async (t) => {
  const made = await network(t, "b", "c");
  await made.joinAll();
  const stranger = await made.add("a", 77);
  stranger.peers.setMembers(made.records());
  await made.until("it is refused", () =>
    has(at(made, 0).effects, { kind: "refused", reason: "unknown_key" }),
  );
  assert.deepEqual(stranger.peers.connected(), []);
  // `b` is told that the stranger's address is a member's with another key.
  const liar = { id: "z", publicKey: identityOf(99).publicKey, address: stranger.peers.address };
  at(made, 0).peers.setMembers([...made.records().slice(0, 2), liar]);
  const refused = { kind: "refused", reason: "wrong_key", peer: "z" };
  await made.until("it is refused", () => has(at(made, 0).effects, refused));
  assert.deepEqual(at(made, 0).peers.connected(), ["c"]);
});

test("callers without a certificate, protocol or TLS 1.3, and those that ought to be called, do not get in", async (t) => {
  const made = await network(t, "b", "c", "d");
  await made.joinAll();
  const node = at(made, 1);
  const { certificate: cert, key } = at(made, 0).identity;
  const call = (options: object): Promise<RawPeer> => RawPeer.call(node, options);
  // With version 1.3 the client's handshake ends before the server has judged it.
  const strange = [
    [await call({}), "unknown_key", null],
    [await call({ cert, key, ALPNProtocols: undefined }), "wrong_protocol", "b"],
    [
      await call({ cert: at(made, 2).identity.certificate, key: at(made, 2).identity.key }),
      "wrong_side",
      "d",
    ],
  ] as const;
  for (const [raw, reason, peer] of strange) {
    await made.until(`${reason} is refused`, () => has(node.effects, { kind: "refused", reason, peer }));
    await made.until("it is over", () => raw.isOver);
  }
  await assert.rejects(call({ cert, key, maxVersion: "TLSv1.2" }));
  const plain = connectPlain(node.peers.address.port, "127.0.0.1");
  plain.on("error", () => {});
  plain.write("GET / HTTP/1.1\r\n\r\n");
  await once(plain, "close");
  assert.equal(node.peers.connected().length, 2);
  publish(node, 1, 10);
  await made.until("others are served", () => at(made, 0).has.size === 1);
});

test("members come, go and come back while everybody runs", async (t) => {
  const made = await network(t, "a", "b", "c");
  await made.joinAll();
  const [a, b, c] = [at(made, 0), at(made, 1), at(made, 2)];
  const all = made.records();
  publish(c, 3, 30_000);
  await made.until("it is there", () => a.has.size === 1 && b.has.size === 1);
  for (const { peers } of [a, b]) peers.setMembers(all.slice(0, 2));
  await made.until(
    "it is gone",
    () => a.has.size === 0 && b.has.size === 0 && c.peers.connected().length === 0,
  );
  assert.ok(has(a.effects, { kind: "dropped", peer: "c", reason: "removed" }));
  // Whom nobody knows any more is refused when it is called or calls.
  c.peers.setMembers(all);
  await made.until("it is refused", () => has(b.effects, { kind: "disconnected", peer: "c" }), 50);
  assert.deepEqual(a.peers.connected(), ["b"]);
  const d = await made.add("d", 4);
  for (const { peers } of made.nodes) peers.setMembers(made.records());
  await made.until(
    "all are there",
    () => made.nodes.every(({ peers }) => peers.connected().length === 3),
    50,
  );
  await made.until("it is there", () => [a, b, d].every((node) => node.has.size === 1));
});

test("a node that restarts is called again, and told what is live", async (t) => {
  const made = await network(t, "a", "b");
  await made.joinAll();
  publish(at(made, 0), 1, 50_000);
  await made.until("it is there", () => at(made, 1).has.size === 1);
  const { port } = at(made, 1).peers.address;
  await at(made, 1).peers.close();
  await made.until("it is missed", () => has(at(made, 0).effects, { kind: "disconnected", peer: "b" }));
  made.nodes.pop();
  const again = await made.add("b", 2, { listen: { host: "127.0.0.1", port } });
  again.peers.setMembers(made.records());
  await made.until("it is there again", () => again.has.size === 1, 50);
});

test("a peer that says nothing any more is given up, and its new connection counts before the old one is", async (t) => {
  const made = await network(t, "b", "c");
  await made.joinAll();
  const [b, c] = [at(made, 0), at(made, 1)];
  const silent = identityOf(50);
  const record = { id: "a", publicKey: silent.publicKey, address: { host: "127.0.0.1", port: 1 } };
  for (const { peers } of made.nodes) peers.setMembers([...made.records(), record]);
  const options = { cert: silent.certificate, key: silent.key };
  const first = await RawPeer.call(b, options);
  await made.until("it is connected", () => b.peers.connected().includes("a"));
  const second = await RawPeer.call(b, options);
  await made.until("the first is over", () => first.isOver);
  await made.until(
    "the second counts",
    () => b.effects.filter((e) => e.kind === "connected" && e.peer === "a").length === 2,
  );
  publish(b, 5, 100);
  await made.until("it hears", () => second.frames.some((frame) => frame.length > 100));
  await made.until(
    "it is given up",
    () => has(b.effects, { kind: "refused", reason: "silent", peer: "a" }),
    1_000,
  );
  await made.until("it is over", () => second.isOver);
  assert.deepEqual(b.peers.connected(), ["c"]);
  // The others said something all the time.
  assert.ok(made.timers.nowMs() > SILENCE_MS);
  assert.equal(
    c.effects.some(({ kind }) => kind === "disconnected"),
    false,
  );
});

test("a member that misbehaves is dropped, kept away for its time, and let in after it", async (t) => {
  const made = await network(t, "b", "c");
  const bad = identityOf(50);
  const record = { id: "a", publicKey: bad.publicKey, address: { host: "127.0.0.1", port: 1 } };
  for (const { peers } of made.nodes) peers.setMembers([...made.records(), record]);
  const b = at(made, 0);
  const options = { cert: bad.certificate, key: bad.key };
  const banned = (): number =>
    b.effects.filter((e) => e.kind === "refused" && e.reason === "banned" && e.peer === "a").length;
  const noMessages = [frameBytes(Uint8Array.of(9, 9, 9)), Uint8Array.of(255, 255, 255, 255)];
  for (const [times, bytes] of noMessages.entries()) {
    const raw = await RawPeer.call(b, options);
    await made.until("it is connected", () => b.peers.connected().includes("a"));
    raw.socket.write(bytes);
    await made.until("it is over", () => raw.isOver);
    await made.until("it is gone", () => !b.peers.connected().includes("a"));
    const forMs = 1_000 * 2 ** times;
    assert.ok(has(b.effects, { kind: "dropped", peer: "a", reason: "malformed", forMs }));
    // It may be cut off before it knows that it got through.
    const again = await RawPeer.call(b, options).catch(() => null);
    await made.until("it is refused", () => banned() === times + 1);
    if (again !== null) await made.until("it is over", () => again.isOver);
    made.timers.advance(forMs);
  }
  await made.until("others are there", () => b.peers.connected().includes("c"), 50);
});

test("nodes that stood still for long hear what waits for them before they call anybody silent", async (t) => {
  const made = await network(t, "b", "c");
  await made.joinAll();
  const [b, c] = [at(made, 0), at(made, 1)];
  made.timers.stall(10 * SILENCE_MS);
  publish(b, 5, 100);
  await made.until("it is heard", () => c.has.size === 1);
  assert.equal(
    [...b.effects, ...c.effects].some(({ kind }) => kind === "disconnected" || kind === "refused"),
    false,
  );
});

/** Connections that count what of the bytes sent to a peer is not taken yet, at most. */
function counting(
  peer: string,
  most: { bytes: number },
  timers: Timers,
): NonNullable<PeersOptions["connect"]> {
  let untaken = 0;
  return async (listeners) => {
    const connections = await connectByTls({
      ...listeners,
      onTaken: (from, bytes) => {
        if (from === peer) untaken -= bytes;
        listeners.onTaken(from, bytes);
      },
      self: "b",
      identity: identityOf(1),
      listen: { host: "127.0.0.1", port: 0 },
      rng: { bytes: (length) => new Uint8Array(length) },
      timers,
    });
    return {
      address: connections.address,
      send: (to, frame) => {
        if (to === peer) untaken += frame.length;
        most.bytes = Math.max(most.bytes, untaken);
        return connections.send(to, frame);
      },
      setMembers: (members) => connections.setMembers(members),
      drop: (dropped, forMs) => connections.drop(dropped, forMs),
      pause: (paused, isPaused) => connections.pause(paused, isPaused),
      connected: () => connections.connected(),
      close: () => connections.close(),
    };
  };
}

test("to a peer that does not read no more is written than a window, others are served, and it is dropped", async (t) => {
  const made = new TestNetwork();
  t.after(() => made.close());
  const most = { bytes: 0 };
  const b = await made.add("b", 1, { connect: counting("a", most, made.timers) });
  const c = await made.add("c", 2);
  const slow = identityOf(50);
  const record = { id: "a", publicKey: slow.publicKey, address: { host: "127.0.0.1", port: 1 } };
  for (const { peers } of made.nodes) peers.setMembers([...made.records(), record]);
  const raw = await RawPeer.call(b, { cert: slow.certificate, key: slow.key });
  await made.until("both are connected", () => b.peers.connected().length === 2);
  raw.socket.pause();
  for (let key = 0; key < 800; key++) {
    const label = Uint8Array.of(key >> 8, key);
    b.peers.publish(1, `${key}`, { label, body: new Uint8Array(16_000).fill(key), isUrgent: true });
  }
  await made.until("the other has all", () => c.has.size === 800);
  assert.ok(most.bytes > WINDOW_BYTES / 2 && most.bytes <= WINDOW_BYTES + FRAME_BYTES_MAX, `${most.bytes}`);
  const asked = (): number => b.effects.filter(({ kind }) => kind === "asked").length;
  for (let number = 0; number < 31; number++) {
    // It is alive, and asks on.
    const ask = { kind: "request", number, service: 16, bytesMax: 9, body: new Uint8Array(1) } as const;
    raw.socket.write(frameBytes(encodeMessage(ask)));
    await made.until("it is heard", () => asked() === number + 1 || !b.peers.connected().includes("a"));
    made.timers.advance(1_000);
  }
  assert.ok(has(b.effects, { kind: "dropped", peer: "a", reason: "slow_reader" }));
  assert.deepEqual(b.peers.connected(), ["c"]);
  raw.socket.destroy();
});

test("a port that is taken is named", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const made = new TestNetwork();
  await assert.rejects(
    made.add("a", 1, { listen: { host: "127.0.0.1", port } }),
    (error) => error instanceof OrreryError && error.code === "peer_port_unusable",
  );
  server.close();
});
