/**
 * Two processes of one machine that talk as nodes do: frames over raw TCP, over the nodes' TLS connections, and artifacts and answers
 * through the whole exchange. The ways take turns, so that ratios hold whatever else the machine does.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";
import { installFastHashes, systemRng } from "@orrery/host";
import {
  connectByTls,
  type NodeIdentity,
  nodeIdentity,
  type PeerEffect,
  type PeerRecord,
  type Peers,
  startPeers,
  systemTimers,
} from "@orrery/host/p2p";
import { type Channel, FrameReader, frameBytes, type Service } from "@orrery/p2p";

const KIB = 1024;
const MIB: number = KIB * KIB;
const TURNS = 5;
const SMALL = 64;
const LARGE: number = 100 * KIB;
const SMALL_TRIPS = 400;
const LARGE_TRIPS = 100;
const STREAMED = 300;
const ANSWERS = 32;
const UNTAKEN_MAX: number = MIB;

/** What the other side does with a frame, by its first byte; every other one it only counts. */
const ECHO = 1;
const ACKNOWLEDGE = 2;

const CHANNEL: Channel = {
  number: 1,
  slotsMax: 1_000,
  bytesMax: 64 * MIB,
  artifactBytesMax: MIB,
  wholeBytesMax: MIB,
  pushBytesMax: LARGE,
  wants: () => "now",
};
const SERVICE: Service = { number: 16, requestBytesMax: 100, answerBytesMax: MIB, waitingMax: 16 };

const identities: readonly NodeIdentity[] = [1, 2].map((seed) => nodeIdentity(new Uint8Array(32).fill(seed)));

function record(place: number, port: number): PeerRecord {
  const { publicKey } = identities[place] as NodeIdentity;
  return { id: `${place}`, publicKey, address: { host: "127.0.0.1", port } };
}

function fail(error: unknown): void {
  console.error(error);
  process.exit(1);
}

/** Frames to the other process, and what it says. */
interface Way {
  send(frame: Uint8Array): void;
  untaken: number;
  onFrame: (frame: Uint8Array) => void;
  onTaken: () => void;
}

const nothing = (): void => {};

function newWay(): Way {
  return { send: nothing, untaken: 0, onFrame: nothing, onTaken: nothing };
}

function taken(way: Way, bytes: number): void {
  way.untaken -= bytes;
  way.onTaken();
}

function overTcp(socket: Socket): Way {
  const way = newWay();
  const reader = new FrameReader();
  socket.setNoDelay(true);
  socket.on("data", (chunk: Uint8Array) => reader.push(chunk, (frame) => way.onFrame(frame)));
  socket.on("error", nothing);
  way.send = (frame) => {
    way.untaken += frame.length;
    socket.write(frameBytes(frame), () => taken(way, frame.length));
  };
  return way;
}

/** The connections of one side, and the port that it listens on. */
async function overTls(
  place: number,
): Promise<{ way: Way; meet: (port: number) => Promise<void>; port: number }> {
  const way = newWay();
  const connected = Promise.withResolvers<void>();
  const connections = await connectByTls({
    self: `${place}`,
    identity: identities[place] as NodeIdentity,
    listen: { host: "127.0.0.1", port: 0 },
    rng: systemRng,
    timers: systemTimers,
    onConnected: () => connected.resolve(),
    onDisconnected: nothing,
    onFrame: (_peer, frame) => way.onFrame(frame),
    onMalformed: (peer) => fail(new Error(`${peer} sends no frames`)),
    onTaken: (_peer, bytes) => taken(way, bytes),
    onRefused: (reason) => fail(new Error(`refused: ${reason}`)),
    onFailure: fail,
  });
  way.send = (frame) => {
    way.untaken += frame.length;
    connections.send(`${1 - place}`, frame);
  };
  const meet = async (port: number): Promise<void> => {
    connections.setMembers([record(1 - place, port)]);
    await connected.promise;
  };
  return { way, meet, port: connections.address.port };
}

async function overExchange(
  place: number,
  onEffect: (effect: PeerEffect, peers: Peers) => void,
): Promise<{ peers: Peers; meet: (port: number) => Promise<void> }> {
  const connected = Promise.withResolvers<void>();
  const peers: Peers = await startPeers({
    self: `${place}`,
    identity: identities[place] as NodeIdentity,
    listen: { host: "127.0.0.1", port: 0 },
    channels: [CHANNEL],
    services: [SERVICE],
    rng: systemRng,
    onEffect: (effect) => {
      if (effect.kind === "connected") connected.resolve();
      else if (effect.kind === "dropped") fail(new Error(`dropped: ${effect.reason}`));
      else onEffect(effect, peers);
    },
    onFailure: fail,
  });
  const meet = async (port: number): Promise<void> => {
    peers.setMembers([record(1 - place, port)]);
    await connected.promise;
  };
  return { peers, meet };
}

interface Ports {
  readonly tcp: number;
  readonly tls: number;
  readonly exchange: number;
}

/** The other process: answers what it hears. */
async function answer(): Promise<void> {
  const respond = (way: Way): void => {
    let counted = 0;
    way.onFrame = (frame) => {
      if (frame[0] === ECHO) way.send(frame);
      else if (frame[0] === ACKNOWLEDGE) way.send(frame.subarray(0, 16));
      else if (++counted % STREAMED === 0) way.send(frame.subarray(0, 16));
    };
  };
  const server = createServer((socket) => respond(overTcp(socket))).listen(0, "127.0.0.1");
  await once(server, "listening");
  const tls = await overTls(1);
  respond(tls.way);
  const chunk = new Uint8Array(MIB).fill(7);
  const { peers, meet } = await overExchange(1, (effect, own) => {
    if (effect.kind === "asked") own.answer(effect.peer, effect.number, chunk);
    if (effect.kind !== "artifact") return;
    // Another artifact, since nobody is sent what they announced; it takes the slot of the one before.
    const label = Uint8Array.of(...effect.label, ECHO);
    const body = effect.body.length > SMALL ? effect.body.slice(0, 16) : effect.body;
    own.publish(1, "echo", { label, body, isUrgent: true });
  });
  process.once("message", (ports: Ports) => {
    Promise.all([tls.meet(ports.tls), meet(ports.exchange)]).catch(fail);
  });
  const { port } = server.address() as AddressInfo;
  process.send?.({ tcp: port, tls: tls.port, exchange: peers.address.port } satisfies Ports);
  process.once("disconnect", () => process.exit(0));
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}

/** One after the other; median, milliseconds. */
async function trips(count: number, trip: (turn: number) => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let turn = 0; turn < count; turn++) {
    const startedMs = performance.now();
    await trip(turn);
    times.push(performance.now() - startedMs);
  }
  return median(times);
}

/** A frame and its answer. */
function tripOn(way: Way, kind: number, bytes: number): () => Promise<void> {
  const frame = new Uint8Array(bytes).fill(kind);
  return () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    way.onFrame = () => resolve();
    way.send(frame);
    return promise;
  };
}

/** MiB a second, with no more untaken than a node lets there be. */
async function streamOn(way: Way): Promise<number> {
  const frame = new Uint8Array(LARGE);
  const all = Promise.withResolvers<void>();
  way.onFrame = () => all.resolve();
  const startedMs = performance.now();
  for (let sent = 0; sent < STREAMED; sent++) {
    while (way.untaken >= UNTAKEN_MAX) {
      await new Promise<void>((resolve) => {
        way.onTaken = resolve;
      });
    }
    way.send(frame);
  }
  await all.promise;
  return (STREAMED * LARGE) / MIB / ((performance.now() - startedMs) / 1_000);
}

/** What the exchange is measured by: artifacts there and back, and answers of a MiB. */
class Exchanged {
  peers: Peers | null = null;
  #label = 0;
  #onArtifact: () => void = nothing;
  #onAnswer: () => void = nothing;

  readonly onEffect = (effect: PeerEffect): void => {
    if (effect.kind === "artifact") this.#onArtifact();
    if (effect.kind === "answered") this.#onAnswer();
    if (effect.kind === "unanswered") fail(new Error(`unanswered: ${effect.reason}`));
  };

  trip(bytes: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onArtifact = resolve;
    const label = new Uint8Array(4);
    new DataView(label.buffer).setUint32(0, ++this.#label);
    const body = new Uint8Array(bytes);
    body.set(label);
    this.peers?.publish(1, "ask", { label, body, isUrgent: true });
    return promise;
  }

  async stream(): Promise<number> {
    const startedMs = performance.now();
    const all = Promise.withResolvers<void>();
    let got = 0;
    this.#onAnswer = () => {
      if (++got === ANSWERS) all.resolve();
    };
    for (let i = 0; i < ANSWERS; i++)
      this.peers?.ask({ id: `${i}`, service: 16, body: new Uint8Array(8), peers: null, timeoutMs: 60_000 });
    await all.promise;
    return ANSWERS / ((performance.now() - startedMs) / 1_000);
  }
}

interface Row {
  readonly small: number[];
  readonly large: number[];
  readonly stream: number[];
}

function print(name: string, row: Row, base: Row): void {
  const one = (what: keyof Row, unit: string, digits: number): string => {
    const ratio = median(row[what].map((value, turn) => value / (base[what][turn] as number)));
    return `${median(row[what]).toFixed(digits)} ${unit} (${ratio.toFixed(2)} ×)`;
  };
  const large = `100 KiB and 16 B back ${one("large", "ms", 3)}`;
  console.log(
    `${name}: 64 B and back ${one("small", "ms", 3)}, ${large}, stream ${one("stream", "MiB/s", 0)}`,
  );
}

async function measure(): Promise<void> {
  const child = fork(process.argv[1] as string, ["answer"]);
  child.once("exit", (code) => {
    if (code !== 0 && code !== null) fail(new Error(`the other process ended with ${code}`));
  });
  const [ports] = (await once(child, "message")) as [Ports];
  const exchanged = new Exchanged();
  const tls = await overTls(0);
  const { peers, meet } = await overExchange(0, exchanged.onEffect);
  exchanged.peers = peers;
  child.send({ tcp: 0, tls: tls.port, exchange: peers.address.port } satisfies Ports);
  const socket = createConnection(ports.tcp, "127.0.0.1");
  await Promise.all([once(socket, "connect"), tls.meet(ports.tls), meet(ports.exchange)]);
  const tcp = overTcp(socket);
  const rows: Row[] = [0, 1, 2].map(() => ({ small: [], large: [], stream: [] }));
  // The first turn warms up.
  for (let turn = 0; turn <= TURNS; turn++) {
    for (const [index, way] of [tcp, tls.way].entries()) {
      const row = turn === 0 ? { small: [], large: [], stream: [] } : (rows[index] as Row);
      row.small.push(await trips(SMALL_TRIPS, tripOn(way, ECHO, SMALL)));
      row.large.push(await trips(LARGE_TRIPS, tripOn(way, ACKNOWLEDGE, LARGE)));
      row.stream.push(await streamOn(way));
    }
    const row = turn === 0 ? { small: [], large: [], stream: [] } : (rows[2] as Row);
    row.small.push(await trips(SMALL_TRIPS, () => exchanged.trip(SMALL)));
    row.large.push(await trips(LARGE_TRIPS, () => exchanged.trip(LARGE)));
    row.stream.push(await exchanged.stream());
  }
  const [base, ...others] = rows as [Row, ...Row[]];
  print("raw TCP, frames", base, base);
  for (const [index, row] of others.entries())
    print(index === 0 ? "TLS 1.3, both sides by key" : "exchange: artifacts, answers of 1 MiB", row, base);
  child.disconnect();
  process.exit(0);
}

installFastHashes();
await (process.argv[2] === "answer" ? answer() : measure());
