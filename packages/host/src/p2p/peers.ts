/**
 * A node's peers: the exchange (`@orrery/p2p`) on connections, with a clock and timers. Consumers publish, ask and report; what comes for
 * them is handed over as effects. Inputs are taken one after the other: what a handler says while it is called comes after what it was told.
 */
import type { Rng } from "@orrery/base";
import {
  type Channel,
  type DropReason,
  Exchange,
  type ExchangeEffect,
  type ExchangeInput,
  type PeerId,
  type Publication,
  type Service,
} from "@orrery/p2p";
import {
  type ConnectionListeners,
  type Connections,
  type PeerAddress,
  type PeerRecord,
  type RefusedReason,
  systemTimers,
  type Timers,
} from "./connections.ts";
import type { NodeIdentity } from "./identity.ts";
import { connectByTls } from "./tls-connections.ts";

const NS_PER_MS = 1_000_000;
/** The exchange is told the time before an input when it is this much behind. */
const TICK_NS = 1_000_000n;

export type PeerEffect =
  | Extract<
      ExchangeEffect,
      { kind: "artifact" | "withdrawn" | "unpublished" | "asked" | "answered" | "unanswered" }
    >
  | { readonly kind: "connected" | "disconnected"; readonly peer: PeerId }
  | { readonly kind: "dropped"; readonly peer: PeerId; readonly reason: DropReason; readonly forMs: number }
  | { readonly kind: "refused"; readonly peer: PeerId | null; readonly reason: RefusedReason };

export interface PeersOptions {
  readonly self: PeerId;
  readonly identity: NodeIdentity;
  /** Where to listen; port 0: any. */
  readonly listen: PeerAddress;
  readonly channels: readonly Channel[];
  readonly services: readonly Service[];
  readonly rng: Rng;
  readonly onEffect: (effect: PeerEffect) => void;
  /** A handler failed, or the exchange itself: a defect. */
  readonly onFailure: (error: unknown) => void;
  readonly timers?: Timers;
  /** Instead of TLS: another transport. */
  readonly connect?: (listeners: ConnectionListeners) => Promise<Connections>;
}

export interface Question {
  readonly id: string;
  readonly service: number;
  readonly body: Uint8Array;
  /** Null: whoever is connected. */
  readonly peers: readonly PeerId[] | null;
  readonly timeoutMs: number;
}

export interface Peers {
  readonly address: PeerAddress;
  connected(): readonly PeerId[];
  /** For metrics. */
  readonly sizes: Exchange["sizes"];
  /** Everybody who may connect, this node included. */
  setMembers(members: readonly PeerRecord[]): void;
  /** Live in the channel under the key until it is retracted. */
  publish(channel: number, key: string, publication: Publication): void;
  retract(channel: number, key: string): void;
  /** What the channel wants has changed. */
  reconsider(channel: number): void;
  /** Hand over once more what the peer has, where it is wanted. */
  again(channel: number, peer: PeerId): void;
  ask(question: Question): void;
  forget(id: string): void;
  /** To an `asked`; null: nothing here. */
  answer(peer: PeerId, number: number, body: Uint8Array | null): void;
  /** What judging the peer's input cost, microseconds of processor time; `isInvalid`: and no honest peer sends such. */
  report(peer: PeerId, cost: number, isInvalid: boolean): void;
  close(): Promise<void>;
}

class NodePeers implements Peers {
  readonly #options: PeersOptions;
  readonly #timers: Timers;
  readonly #exchange: Exchange;
  #connections: Connections | null = null;
  #inputs: ExchangeInput[] = [];
  #isBusy = false;
  #now: bigint;
  #wake: { readonly at: bigint; readonly end: () => void } | null = null;
  #closed = false;

  constructor(options: PeersOptions) {
    const { self, channels, services, rng, timers = systemTimers } = options;
    this.#options = options;
    this.#timers = timers;
    this.#now = this.#clock();
    this.#exchange = new Exchange({ self, channels, services, rng, now: this.#now });
  }

  async start(): Promise<void> {
    const { self, identity, listen, rng, connect } = this.#options;
    const listeners: ConnectionListeners = {
      onConnected: (peer) => {
        this.#input({ kind: "connected", peer });
        this.#emit({ kind: "connected", peer });
      },
      onDisconnected: (peer) => {
        this.#input({ kind: "disconnected", peer });
        this.#emit({ kind: "disconnected", peer });
      },
      onFrame: (peer, frame) => this.#input({ kind: "frame", peer, frame }),
      onMalformed: (peer) => this.#input({ kind: "malformed", peer }),
      onTaken: (peer, bytes) => this.#input({ kind: "taken", peer, bytes }),
      onRefused: (reason, peer) => this.#emit({ kind: "refused", peer, reason }),
      onFailure: (error) => this.#options.onFailure(error),
    };
    const byTls = { ...listeners, self, identity, listen, rng, timers: this.#timers };
    this.#connections = await (connect === undefined ? connectByTls(byTls) : connect(listeners));
  }

  get address(): PeerAddress {
    return this.#required.address;
  }

  get sizes(): Exchange["sizes"] {
    return this.#exchange.sizes;
  }

  connected(): readonly PeerId[] {
    return this.#exchange.connected;
  }

  setMembers(members: readonly PeerRecord[]): void {
    this.#input({ kind: "members", peers: members.map(({ id }) => id) });
    this.#required.setMembers(members);
  }

  publish(channel: number, key: string, publication: Publication): void {
    this.#input({ kind: "publish", channel, key, publication });
  }

  retract(channel: number, key: string): void {
    this.#input({ kind: "retract", channel, key });
  }

  reconsider(channel: number): void {
    this.#input({ kind: "reconsider", channel });
  }

  again(channel: number, peer: PeerId): void {
    this.#input({ kind: "again", channel, peer });
  }

  ask({ id, service, body, peers, timeoutMs }: Question): void {
    const deadline = this.#clock() + BigInt(Math.ceil(timeoutMs * NS_PER_MS));
    this.#input({ kind: "ask", id, service, body, peers, deadline });
  }

  forget(id: string): void {
    this.#input({ kind: "forget", id });
  }

  answer(peer: PeerId, number: number, body: Uint8Array | null): void {
    this.#input({ kind: "answer", peer, number, body });
  }

  report(peer: PeerId, cost: number, isInvalid: boolean): void {
    this.#input({ kind: "cost", peer, cost, isInvalid });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake?.end();
    await this.#connections?.close();
  }

  get #required(): Connections {
    if (this.#connections === null) throw new Error("peers are used before they are started");
    return this.#connections;
  }

  #clock(): bigint {
    return BigInt(Math.round(this.#timers.nowMs() * NS_PER_MS));
  }

  #input(input: ExchangeInput): void {
    this.#inputs.push(input);
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) this.#step(next);
    } finally {
      this.#isBusy = false;
    }
    this.#plan();
  }

  #step(input: ExchangeInput): void {
    if (this.#closed) return;
    const now = this.#clock();
    if (now - this.#now >= TICK_NS && input.kind !== "time") {
      this.#now = now;
      this.#effects(this.#exchange.step({ kind: "time", now }));
    }
    this.#effects(this.#exchange.step(input));
  }

  #effects(effects: readonly ExchangeEffect[]): void {
    const connections = this.#connections;
    for (const effect of effects) {
      switch (effect.kind) {
        case "send":
          connections?.send(effect.peer, effect.frame);
          break;
        case "pause":
          connections?.pause(effect.peer, effect.isPaused);
          break;
        case "drop": {
          const { peer, reason, until } = effect;
          const forMs = Number(until - this.#now) / NS_PER_MS;
          connections?.drop(peer, forMs);
          this.#emit({ kind: "dropped", peer, reason, forMs });
          break;
        }
        default:
          this.#emit(effect);
      }
    }
  }

  #emit(effect: PeerEffect): void {
    if (this.#closed) return;
    try {
      this.#options.onEffect(effect);
    } catch (error) {
      this.#options.onFailure(error);
    }
  }

  /** Wakes when time alone gives the exchange something to do. */
  #plan(): void {
    const at = this.#closed ? null : this.#exchange.nextTime();
    // Waking too early is cheaper than planning anew for every frame.
    if (this.#wake !== null && at !== null && this.#wake.at <= at) return;
    this.#wake?.end();
    this.#wake = null;
    if (at === null) return;
    const waitMs = Math.max(0, Number(at - this.#now) / NS_PER_MS);
    const end = this.#timers.after(Math.ceil(waitMs), () => {
      this.#wake = null;
      const now = this.#clock();
      if (now > this.#now) this.#now = now;
      this.#input({ kind: "time", now: this.#now });
    });
    this.#wake = { at, end };
  }
}

/** Listens for peers and calls them, once `setMembers` says who they are. `peer_port_unusable`. */
export async function startPeers(options: PeersOptions): Promise<Peers> {
  const peers = new NodePeers(options);
  await peers.start();
  return peers;
}
