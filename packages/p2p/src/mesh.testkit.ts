/**
 * Exchanges joined in one place, with virtual time: frames of a connection arrive in an order that the test draws, all that is under way
 * is lost when a connection breaks, and connections take bytes when they are told to.
 */
import assert from "node:assert/strict";
import { toHex } from "@orrery/base";
import {
  type Channel,
  type DropReason,
  Exchange,
  type ExchangeEffect,
  type ExchangeInput,
  type PeerId,
  type Service,
} from "./index.ts";

export const SECOND = 1_000_000_000n;

/** Frames and waits until nothing is under way; far more than a test has. */
const SETTLING_STEPS_MAX = 100_000;

export const CHANNEL: Channel = {
  number: 1,
  slotsMax: 64,
  bytesMax: 4_000_000,
  artifactBytesMax: 400_000,
  wholeBytesMax: 2_000_000,
  pushBytesMax: 4_000,
  wants: () => "now",
};

export const SERVICE: Service = {
  number: 16,
  requestBytesMax: 1_000,
  answerBytesMax: 1_000_000,
  waitingMax: 8,
};

/** Draws below a bound. */
export type Draw = (bound: number) => number;

interface Packet {
  readonly from: PeerId;
  readonly to: PeerId;
  readonly frame: Uint8Array;
}

export interface MeshNode {
  readonly exchange: Exchange;
  /** Artifacts that were handed over and not withdrawn, by label. */
  readonly has: Map<string, { readonly body: Uint8Array; readonly parts: readonly Uint8Array[] }>;
  readonly effects: ExchangeEffect[];
}

export interface MeshOptions {
  readonly names: readonly PeerId[];
  readonly draw?: Draw;
  readonly channel?: (name: PeerId) => Channel;
  /** Answers of the service. */
  readonly answer?: (name: PeerId, body: Uint8Array) => Uint8Array | null | "silent";
}

export class Mesh {
  readonly nodes: Map<PeerId, MeshNode> = new Map();
  readonly dropped: { readonly by: PeerId; readonly peer: PeerId; readonly reason: DropReason }[] = [];
  /** Peers that do not take what they are sent. */
  readonly stuck: Set<PeerId> = new Set();
  readonly #options: MeshOptions;
  #packets: Packet[] = [];
  readonly #links = new Set<string>();
  readonly #paused = new Set<string>();
  now: bigint = SECOND;

  constructor(options: MeshOptions) {
    this.#options = options;
    for (const self of options.names) {
      const exchange = new Exchange({
        self,
        rng: { bytes: (length) => new Uint8Array(length).fill(128) },
        channels: [options.channel?.(self) ?? CHANNEL],
        services: [SERVICE],
        now: this.now,
      });
      this.nodes.set(self, { exchange, has: new Map(), effects: [] });
      this.step(self, { kind: "members", peers: options.names });
    }
  }

  at(name: PeerId): MeshNode {
    const node = this.nodes.get(name);
    assert.ok(node !== undefined);
    return node;
  }

  get underWay(): number {
    return this.#packets.length;
  }

  isJoined(a: PeerId, b: PeerId): boolean {
    return this.#links.has(`${a}>${b}`);
  }

  /** A new connection; what was under way on an old one is lost. */
  join(a: PeerId, b: PeerId): void {
    this.#cut(a, b);
    this.#links.add(`${a}>${b}`).add(`${b}>${a}`);
    this.step(a, { kind: "connected", peer: b });
    if (this.isJoined(a, b)) this.step(b, { kind: "connected", peer: a });
  }

  joinAll(): void {
    for (const a of this.nodes.keys()) for (const b of this.nodes.keys()) if (a < b) this.join(a, b);
  }

  part(a: PeerId, b: PeerId): void {
    this.#cut(a, b);
    this.step(a, { kind: "disconnected", peer: b });
    this.step(b, { kind: "disconnected", peer: a });
  }

  step(name: PeerId, input: ExchangeInput): void {
    const node = this.at(name);
    for (const effect of node.exchange.step(input)) this.#effect(name, node, effect);
  }

  /** Lets one frame arrive, of those whose receivers read; false when there is none. */
  deliver(): boolean {
    const ready = this.#packets.filter(({ from, to }) => !this.#paused.has(`${to}>${from}`));
    const draw = this.#options.draw ?? (() => 0);
    const packet = ready[draw(ready.length)];
    if (packet === undefined) return false;
    this.#packets.splice(this.#packets.indexOf(packet), 1);
    const { from, to, frame } = packet;
    if (!this.stuck.has(to)) this.step(from, { kind: "taken", peer: to, bytes: frame.length });
    if (this.isJoined(from, to)) this.step(to, { kind: "frame", peer: from, frame });
    return true;
  }

  pass(ns: bigint): void {
    this.now += ns;
    for (const name of this.nodes.keys()) this.step(name, { kind: "time", now: this.now });
  }

  /** Until nothing is under way, and for so long after it. */
  settle(ns = 0n): void {
    const end = this.now + ns;
    for (let steps = 0; ; steps++) {
      assert.ok(steps < SETTLING_STEPS_MAX, "nodes do not come to rest");
      if (this.deliver()) continue;
      const times = [...this.nodes.values()].map(({ exchange }) => exchange.nextTime());
      const next = times.reduce((a, b) => (a === null || (b !== null && b < a) ? b : a), null);
      if (next === null || next > end) return;
      this.pass(next > this.now ? next - this.now : 1n);
    }
  }

  #cut(a: PeerId, b: PeerId): void {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      this.#links.delete(`${from}>${to}`);
      this.#paused.delete(`${from}>${to}`);
      this.#packets = this.#packets.filter((packet) => packet.from !== from || packet.to !== to);
    }
  }

  #effect(name: PeerId, node: MeshNode, effect: ExchangeEffect): void {
    if (effect.kind !== "send") node.effects.push(effect);
    switch (effect.kind) {
      case "send":
        if (this.isJoined(name, effect.peer))
          this.#packets.push({ from: name, to: effect.peer, frame: effect.frame });
        return;
      case "drop":
        this.dropped.push({ by: name, peer: effect.peer, reason: effect.reason });
        this.#cut(name, effect.peer);
        this.step(effect.peer, { kind: "disconnected", peer: name });
        return;
      case "pause":
        if (effect.isPaused) this.#paused.add(`${name}>${effect.peer}`);
        else this.#paused.delete(`${name}>${effect.peer}`);
        return;
      case "artifact": {
        const label = toHex(effect.label);
        assert.ok(!node.has.has(label), `${label} is handed over twice to ${name}`);
        node.has.set(label, { body: effect.body, parts: effect.parts });
        return;
      }
      case "withdrawn":
        node.has.delete(toHex(effect.label));
        return;
      case "asked": {
        const body = this.#options.answer?.(name, effect.body) ?? null;
        if (body === "silent") return;
        this.step(name, { kind: "answer", peer: effect.peer, number: effect.number, body });
        return;
      }
      default:
        return;
    }
  }
}
