/**
 * A node's exchange with its peers: a pure step from inputs to effects. What consumers publish reaches every connected peer while it is live;
 * what peers publish is handed over once, when it is wanted; requests find an answer among the peers. Invariants: memory is bounded by the
 * limits whatever peers send; a peer that is dropped leaves nothing behind; one peer's faults cost the others nothing but the processor
 * time of its allowance.
 */
import { assert, assertNever, type TimeNs } from "@orrery/base";
import { Asker } from "./asker.ts";
import {
  ASKED_MAX,
  FRAME_COST,
  INVALID_COST,
  LABEL_BYTES_MAX,
  PEERS_MAX,
  REQUEST_BYTES_MAX,
} from "./limits.ts";
import { type ChannelTable, Outbox } from "./outbox.ts";
import { Peer } from "./peer.ts";
import { Published } from "./published.ts";
import { Receiver } from "./receiver.ts";
import { Server } from "./server.ts";
import {
  type DropReason,
  type ExchangeEffect,
  type ExchangeInput,
  type ExchangeOptions,
  FIRST_SERVICE,
  type PeerId,
  type Service,
} from "./types.ts";
import { decodeMessage, type WireMessage } from "./wire.ts";

/** Before the ids of consumers' questions, so that none is taken for an artifact. */
const CONSUMERS_ID = "?";

export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #tables: ReadonlyMap<number, ChannelTable>;
  readonly #services: ReadonlyMap<number, Service>;
  readonly #peers = new Map<PeerId, Peer>();
  /** Questions of consumers that every connected peer may answer. */
  readonly #openQuestions = new Set<string>();
  readonly #asker: Asker;
  readonly #receiver: Receiver;
  #questions = 0;
  #now: TimeNs;
  #effects: ExchangeEffect[] = [];

  constructor(options: ExchangeOptions) {
    const { channels, services, now, rng } = options;
    this.#options = options;
    this.#now = now;
    this.#tables = new Map(
      channels.map((channel) => [channel.number, { channel, published: new Published(channel) }]),
    );
    this.#services = new Map(services.map((service) => [service.number, service]));
    assert(this.#tables.size === channels.length, "two channels have one number");
    assert(this.#services.size === services.length, "two services have one number");
    assert(
      services.every(({ number }) => number >= FIRST_SERVICE),
      `services have numbers from ${FIRST_SERVICE} on`,
    );
    this.#asker = new Asker({ rng, send: (peer, message) => this.#control(peer, message) });
    this.#receiver = new Receiver({
      channels: new Map(channels.map((channel) => [channel.number, channel])),
      asker: this.#asker,
      emit: (effect) => this.#effects.push(effect),
    });
  }

  /** Connected peers, in the order of their membership. */
  get connected(): readonly PeerId[] {
    return [...this.#peers.values()].filter(({ connection }) => connection !== null).map(({ id }) => id);
  }

  /** For metrics: artifacts that peers have announced, and questions under way. */
  get sizes(): { readonly offers: number; readonly questions: number } {
    return { offers: this.#receiver.offers, questions: this.#asker.size };
  }

  /** When time alone gives it something to do; null when it does not. */
  nextTime(): TimeNs | null {
    let next = this.#asker.nextTime();
    for (const { connection } of this.#peers.values()) {
      for (const at of [connection?.pausedUntil, connection?.outbox.nextTime()])
        if (at != null && (next === null || at < next)) next = at;
    }
    return next;
  }

  step(input: ExchangeInput): readonly ExchangeEffect[] {
    this.#effects = [];
    this.#take(input);
    for (const peer of this.#peers.values()) this.#judge(peer);
    // After it: what a dropped peer was asked for is asked of others.
    for (const { id, reason } of this.#asker.settle(this.#now)) this.#unanswered(id, reason);
    for (const { connection } of this.#peers.values()) connection?.outbox.pump(this.#now);
    return this.#effects;
  }

  #take(input: ExchangeInput): void {
    switch (input.kind) {
      case "time":
        assert(input.now >= this.#now, "time went back");
        this.#now = input.now;
        return;
      case "members":
        this.#setMembers(input.peers);
        return;
      case "connected":
        this.#connect(input.peer);
        return;
      case "disconnected":
        this.#disconnect(input.peer);
        return;
      case "frame":
        this.#frame(input.peer, input.frame);
        return;
      case "malformed":
        this.#ban(input.peer, "malformed");
        return;
      case "taken":
        this.#peers.get(input.peer)?.connection?.outbox.taken(input.bytes, this.#now);
        return;
      case "publish":
        this.#publish(input);
        return;
      case "retract": {
        const live = this.#table(input.channel).published.retract(input.key);
        if (live !== null) this.#changed(input.channel, live.slot);
        return;
      }
      case "reconsider":
        this.#receiver.reconsider(input.channel);
        return;
      case "again":
        this.#receiver.again(input.peer, input.channel);
        return;
      case "ask":
        this.#ask(input);
        return;
      case "forget":
        this.#openQuestions.delete(CONSUMERS_ID + input.id);
        if (this.#asker.has(CONSUMERS_ID + input.id)) this.#questions--;
        this.#asker.remove(CONSUMERS_ID + input.id);
        return;
      case "answer":
        this.#objected(input.peer, this.#server(input.peer)?.answer(input.number, input.body) ?? null);
        return;
      case "cost":
        this.#peers
          .get(input.peer)
          ?.account.charge(this.#now, "cost", input.cost + (input.isInvalid ? INVALID_COST : 0));
        return;
      default:
        assertNever(input, "input of an exchange");
    }
  }

  #table(channel: number): ChannelTable {
    const table = this.#tables.get(channel);
    assert(table !== undefined, `channel ${channel} is unknown`);
    return table;
  }

  #server(peer: PeerId): Server | undefined {
    return this.#peers.get(peer)?.connection?.server;
  }

  #setMembers(peers: readonly PeerId[]): void {
    assert(peers.length <= PEERS_MAX, `${peers.length} peers, more than ${PEERS_MAX}`);
    const wanted = new Set(peers);
    for (const peer of [...this.#peers.values()]) {
      if (wanted.has(peer.id)) continue;
      if (peer.connection !== null)
        this.#effects.push({ kind: "drop", peer: peer.id, reason: "removed", until: this.#now });
      this.#disconnect(peer.id);
      this.#asker.forget(peer.id);
      this.#peers.delete(peer.id);
    }
    for (const id of wanted) {
      if (id !== this.#options.self && !this.#peers.has(id)) this.#peers.set(id, new Peer(id, this.#now));
    }
  }

  #connect(id: PeerId): void {
    const peer = this.#peers.get(id);
    const bannedUntil = peer?.bannedUntil(this.#now) ?? null;
    if (peer === undefined || bannedUntil !== null) {
      const reason = peer === undefined ? "removed" : "banned";
      this.#effects.push({ kind: "drop", peer: id, reason, until: bannedUntil ?? this.#now });
      return;
    }
    this.#disconnect(id);
    const tables = new Map([...this.#tables].filter(([, { channel }]) => channel.takesPart?.(id) !== false));
    const outbox = new Outbox({
      now: this.#now,
      tables: [...tables.values()],
      emit: (frame) => this.#effects.push({ kind: "send", peer: id, frame }),
      isKnown: (channel, live) => this.#receiver.isOffered(id, channel, live.id),
    });
    const server = new Server({
      outbox,
      tables,
      services: this.#services,
      refuse: (number, reason) => outbox.control({ kind: "refusal", number, reason }),
      ask: ({ service, number, body }) =>
        this.#effects.push({ kind: "asked", peer: id, service, number, body }),
    });
    peer.connection = { outbox, server, pausedUntil: null };
    this.#receiver.connect(id, new Set(tables.keys()));
    for (const question of this.#openQuestions) this.#asker.addSource(question, id);
    this.#asker.connect(id);
  }

  #disconnect(id: PeerId): void {
    const peer = this.#peers.get(id);
    if (peer === undefined || peer.connection === null) return;
    peer.connection = null;
    this.#asker.disconnect(id);
    this.#receiver.disconnect(id);
  }

  #drop(id: PeerId, reason: DropReason): void {
    if (this.#peers.get(id)?.connection != null) this.#ban(id, reason);
  }

  #ban(id: PeerId, reason: DropReason): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.#disconnect(id);
    this.#effects.push({ kind: "drop", peer: id, reason, until: peer.ban(this.#now) });
  }

  #objected(peer: PeerId, objection: DropReason | null): void {
    if (objection !== null) this.#drop(peer, objection);
  }

  #control(id: PeerId, message: WireMessage): void {
    const outbox = this.#peers.get(id)?.connection?.outbox;
    // Beyond the bound the peer takes nothing: `#judge` finds it slow, and asks it for little meanwhile.
    outbox?.control(message);
  }

  #frame(id: PeerId, frame: Uint8Array): void {
    const peer = this.#peers.get(id);
    if (peer === undefined || peer.connection === null) return;
    const decoded = decodeMessage(frame);
    if (!decoded.ok) {
      this.#drop(id, "malformed");
      return;
    }
    const message = decoded.value;
    const wasAskedFor = this.#message(peer, peer.connection.server, message);
    peer.account.charge(this.#now, "cost", FRAME_COST);
    if (wasAskedFor) return;
    peer.account.charge(this.#now, "bytes", frame.length);
    peer.account.charge(this.#now, "messages", 1);
  }

  /** Whether the message is part of what this node asked for. */
  #message(peer: Peer, server: Server, message: WireMessage): boolean {
    const { id } = peer;
    switch (message.kind) {
      case "update":
        this.#objected(id, this.#receiver.update(id, message));
        return false;
      case "clear":
        this.#objected(id, this.#receiver.clear(id, message));
        return false;
      case "request":
        this.#objected(id, server.request(message));
        return false;
      case "cancel":
        server.cancel(message.number);
        return false;
      case "refusal":
        return this.#asker.refusal(id, message, this.#now).kind === "piece";
      case "piece": {
        const outcome = this.#asker.piece(id, message);
        if (outcome.kind === "unasked") this.#drop(id, "unasked_answer");
        if (outcome.kind === "answer") this.#answered(outcome.id, id, outcome.body);
        return outcome.kind === "piece" || outcome.kind === "answer";
      }
    }
  }

  #answered(id: string, peer: PeerId, body: Uint8Array): void {
    if (!id.startsWith(CONSUMERS_ID)) {
      this.#objected(peer, this.#receiver.answered(id, peer, body)?.objection ?? null);
      return;
    }
    this.#questions--;
    this.#openQuestions.delete(id);
    this.#effects.push({ kind: "answered", id: id.slice(CONSUMERS_ID.length), peer, body });
  }

  #unanswered(id: string, reason: Extract<ExchangeEffect, { kind: "unanswered" }>["reason"]): void {
    this.#questions--;
    this.#openQuestions.delete(id);
    this.#effects.push({ kind: "unanswered", id: id.slice(CONSUMERS_ID.length), reason });
  }

  #publish({ channel, key, publication }: Extract<ExchangeInput, { kind: "publish" }>): void {
    assert(publication.label.length <= LABEL_BYTES_MAX, `label of ${publication.label.length} bytes`);
    const live = this.#table(channel).published.publish(key, publication);
    if (live === null) this.#effects.push({ kind: "unpublished", channel, key });
    else this.#changed(channel, live.slot);
  }

  #changed(channel: number, slot: number): void {
    for (const { connection } of this.#peers.values()) connection?.outbox.changed(channel, slot);
  }

  #ask({ id, service, body, peers, deadline }: Extract<ExchangeInput, { kind: "ask" }>): void {
    const known = this.#services.get(service);
    assert(known !== undefined, `service ${service} is unknown`);
    assert(body.length <= Math.min(known.requestBytesMax, REQUEST_BYTES_MAX), "a request is too long");
    if (this.#questions >= ASKED_MAX) {
      this.#effects.push({ kind: "unanswered", id, reason: "busy" });
      return;
    }
    const key = CONSUMERS_ID + id;
    this.#questions++;
    if (peers === null) this.#openQuestions.add(key);
    this.#asker.add(
      { id: key, service, body, bytesMax: known.answerBytesMax, deadline },
      peers ?? this.connected,
    );
  }

  /** Throttles, and gives up on a peer that is slow or far beyond its allowance. */
  #judge(peer: Peer): void {
    const { connection, account, id } = peer;
    if (connection === null) return;
    const now = this.#now;
    if (connection.outbox.isSlow(now)) {
      this.#drop(id, "slow_reader");
      return;
    }
    const wasPaused = connection.pausedUntil !== null;
    if (connection.pausedUntil !== null && connection.pausedUntil <= now) connection.pausedUntil = null;
    const standing = account.standing(now);
    const isNew = standing.kind === "throttled" && connection.pausedUntil === null;
    if (standing.kind === "hopeless" || (isNew && !account.bear(now, standing.until))) {
      this.#drop(id, `flood_${standing.resource}`);
      return;
    }
    if (isNew) connection.pausedUntil = standing.until;
    const isPaused = connection.pausedUntil !== null;
    if (isPaused !== wasPaused) this.#effects.push({ kind: "pause", peer: id, isPaused });
  }
}
