/** Nodes' peers on real sockets of one process, with a clock that tests move: what waits for the network is waited for turn by turn. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { toHex } from "@orrery/base";
import { type Channel, FrameReader, frameBytes, type PeerId, type Service } from "@orrery/p2p";
import type { PeerRecord } from "./connections.ts";
import { type NodeIdentity, nodeIdentity } from "./identity.ts";
import { type PeerEffect, type Peers, type PeersOptions, startPeers } from "./peers.ts";
import { TestTimers } from "./timers.testkit.ts";

/** Turns of the event loop after which something did not happen. */
const TURNS_MAX = 20_000;

export const CHANNEL: Channel = {
  number: 1,
  slotsMax: 1_000,
  bytesMax: 64_000_000,
  artifactBytesMax: 1_000_000,
  wholeBytesMax: 4_000_000,
  pushBytesMax: 16_384,
  wants: () => "now",
};

export const SERVICE: Service = {
  number: 16,
  requestBytesMax: 100,
  answerBytesMax: 2_000_000,
  waitingMax: 16,
};

export interface TestNode {
  readonly id: PeerId;
  readonly identity: NodeIdentity;
  readonly peers: Peers;
  readonly effects: PeerEffect[];
  /** By label. */
  readonly has: Map<string, { readonly body: Uint8Array; readonly parts: readonly Uint8Array[] }>;
}

export function identityOf(seed: number): NodeIdentity {
  return nodeIdentity(new Uint8Array(32).fill(seed));
}

export class TestNetwork {
  readonly timers: TestTimers = new TestTimers();
  readonly nodes: TestNode[] = [];
  /** Of handlers and connections: there are none. */
  readonly failures: unknown[] = [];

  async add(id: PeerId, seed: number, options: Partial<PeersOptions> = {}): Promise<TestNode> {
    const effects: PeerEffect[] = [];
    const has: TestNode["has"] = new Map();
    const identity = identityOf(seed);
    const peers = await startPeers({
      self: id,
      identity,
      listen: { host: "127.0.0.1", port: 0 },
      channels: [CHANNEL],
      services: [SERVICE],
      rng: { bytes: (length) => new Uint8Array(length).fill(64) },
      timers: this.timers,
      onFailure: (error) => this.failures.push(error),
      onEffect: (effect) => {
        effects.push(effect);
        if (effect.kind === "artifact") has.set(toHex(effect.label), effect);
        if (effect.kind === "withdrawn") has.delete(toHex(effect.label));
        if (effect.kind === "asked") peers.answer(effect.peer, effect.number, effect.body);
      },
      ...options,
    });
    const node = { id, identity, peers, effects, has };
    this.nodes.push(node);
    return node;
  }

  records(): readonly PeerRecord[] {
    return this.nodes.map(({ id, identity, peers }) => ({
      id,
      publicKey: identity.publicKey,
      address: peers.address,
    }));
  }

  /** Everybody knows everybody, and is connected. */
  async joinAll(): Promise<void> {
    for (const { peers } of this.nodes) peers.setMembers(this.records());
    await this.until("all are connected", () =>
      this.nodes.every(({ peers }) => peers.connected().length === this.nodes.length - 1),
    );
  }

  /** Waits turn by turn; `stepMs`: and lets so much time pass at each. */
  async until(what: string, isSo: () => boolean, stepMs = 0): Promise<void> {
    for (let turns = 0; !isSo(); turns++) {
      assert.deepEqual(this.failures, []);
      if (turns >= TURNS_MAX) assert.fail(`it is not so that ${what}`);
      if (stepMs > 0) this.timers.advance(stepMs);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map(({ peers }) => peers.close()));
    assert.deepEqual(this.failures, []);
  }
}

export function has(effects: readonly PeerEffect[], wanted: Partial<Record<string, unknown>>): boolean {
  return effects.some((effect) =>
    Object.entries(wanted).every(
      ([key, value]) => (effect as unknown as Record<string, unknown>)[key] === value,
    ),
  );
}

/** A peer that does what the test tells it, under a real key. */
export class RawPeer {
  readonly socket: TLSSocket;
  readonly frames: Uint8Array[] = [];

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    const reader = new FrameReader();
    socket.on("data", (chunk: Uint8Array) => reader.push(chunk, (frame) => this.frames.push(frame)));
    socket.on("error", () => {});
  }

  static async call(node: TestNode, options: ConnectionOptions): Promise<RawPeer> {
    const socket = connect({
      ...node.peers.address,
      rejectUnauthorized: false,
      ALPNProtocols: ["orrery-peers/1"],
      ...options,
    });
    const raw = new RawPeer(socket);
    await once(socket, "secureConnect");
    socket.write(frameBytes(new Uint8Array(0)));
    return raw;
  }

  get isOver(): boolean {
    return this.socket.destroyed;
  }
}
