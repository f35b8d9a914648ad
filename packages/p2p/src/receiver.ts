/**
 * What peers have for this node: their slots, and each announced artifact once, with the peers that have it. Memory is bounded by peers times
 * slots; an artifact is fetched while it is wanted and anybody has it, and handed over once. Nothing here trusts a label or a
 * body: bodies are what their hash says, and the rest is the consumer's to judge.
 */
import { assert, concatBytes, equalBytes, toHex } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import type { Asker } from "./asker.ts";
import { HELD_BYTES_MAX } from "./limits.ts";
import { PartsWanted } from "./parts.ts";
import { offerId } from "./published.ts";
import type { Channel, DropReason, ExchangeEffect, PeerId } from "./types.ts";
import type { Form, WireMessage } from "./wire.ts";

/** The exchange's own services. A request's body: the channel, and a hash or several. */
export const ARTIFACT_SERVICE = 0;
export const PARTS_SERVICE = 1;

interface Offer {
  readonly id: string;
  readonly channel: Channel;
  readonly form: Form;
  readonly label: Uint8Array;
  readonly hash: Uint8Array;
  readonly length: number;
  /** With the number of their slots that have it. */
  readonly sources: Map<PeerId, number>;
  state: "later" | "body" | "parts" | "done" | "never";
  /** Of one that is wanted later, when it came unasked. */
  held: { readonly body: Uint8Array; readonly peer: PeerId } | null;
  parts: PartsWanted | null;
}

interface Slot {
  readonly version: number;
  /** Null: free. */
  readonly offer: Offer | null;
}

interface PeerSlots {
  readonly slots: Map<number, Slot>;
  bytes: number;
}

interface Sender {
  /** Channels that it takes part in. */
  readonly own: ReadonlySet<number>;
  readonly channels: Map<number, PeerSlots>;
  heldBytes: number;
}

export interface ReceiverOptions {
  readonly channels: ReadonlyMap<number, Channel>;
  readonly asker: Asker;
  readonly emit: (effect: ExchangeEffect) => void;
}

/** Null: nothing to object to. */
export type Objection = Extract<DropReason, "malformed" | "slot_flood" | "wrong_answer"> | null;

export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #senders = new Map<PeerId, Sender>();
  readonly #offers = new Map<string, Offer>();
  /** Offers that are wanted later, by channel. */
  readonly #later = new Map<number, Set<Offer>>();

  constructor(options: ReceiverOptions) {
    this.#options = options;
    for (const number of options.channels.keys()) this.#later.set(number, new Set());
  }

  get offers(): number {
    return this.#offers.size;
  }

  /** `own`: the channels that it takes part in. */
  connect(peer: PeerId, own: ReadonlySet<number>): void {
    this.#senders.set(peer, { own, channels: new Map(), heldBytes: 0 });
  }

  disconnect(peer: PeerId): void {
    const sender = this.#senders.get(peer);
    if (sender === undefined) return;
    for (const { slots } of sender.channels.values()) {
      for (const { offer } of slots.values()) if (offer !== null) this.#release(peer, offer);
    }
    this.#senders.delete(peer);
  }

  /** Whether the peer announced the artifact. */
  isOffered(peer: PeerId, channel: Channel, id: string): boolean {
    return this.#offers.get(`${channel.number}/${id}`)?.sources.has(peer) === true;
  }

  update(peer: PeerId, message: Extract<WireMessage, { kind: "update" }>): Objection {
    const channel = this.#channel(peer, message.channel);
    if (channel === null) return "malformed";
    const { content, slot, version } = message;
    const body = content.kind === "inline" ? content.body : null;
    const length = content.kind === "inline" ? content.body.length : content.length;
    if (length > channel.artifactBytesMax) return "malformed";
    const table = this.#table(peer, channel);
    if (table === null) return null;
    const before = table.slots.get(slot);
    if (before !== undefined && before.version >= version) return null;
    // Twice as many: what frees room may arrive after what takes it.
    const bytes = table.bytes - (before?.offer?.length ?? 0) + length;
    if (slot >= channel.slotsMax || bytes > 2 * channel.bytesMax) return "slot_flood";
    table.bytes = bytes;
    const hash = content.kind === "inline" ? sha256(content.body) : content.hash;
    const offer = this.#offer(channel, { ...message, hash, length });
    offer.sources.set(peer, (offer.sources.get(peer) ?? 0) + 1);
    table.slots.set(slot, { version, offer });
    if (before?.offer != null) this.#release(peer, before.offer);
    return this.#offered(offer, peer, body);
  }

  clear(peer: PeerId, message: Extract<WireMessage, { kind: "clear" }>): Objection {
    const channel = this.#channel(peer, message.channel);
    if (channel === null) return "malformed";
    const table = this.#table(peer, channel);
    if (table === null) return null;
    const before = table.slots.get(message.slot);
    if (before !== undefined && before.version >= message.version) return null;
    if (message.slot >= channel.slotsMax) return "slot_flood";
    table.bytes -= before?.offer?.length ?? 0;
    table.slots.set(message.slot, { version: message.version, offer: null });
    if (before?.offer != null) this.#release(peer, before.offer);
    return null;
  }

  /** Asks again about what was wanted later. */
  reconsider(channelNumber: number): void {
    for (const offer of [...(this.#later.get(channelNumber) ?? [])]) this.#consider(offer);
  }

  /** Hands over once more what the peer has in the channel, where it is wanted. */
  again(peer: PeerId, channelNumber: number): void {
    const slots = this.#senders.get(peer)?.channels.get(channelNumber)?.slots.values() ?? [];
    for (const { offer } of [...slots]) {
      if (offer === null || (offer.state !== "done" && offer.state !== "never")) continue;
      offer.state = "later";
      this.#laterOf(offer).add(offer);
      this.#consider(offer);
    }
  }

  /** An answer that one of the receiver's questions was given; null when the question was not its own. */
  answered(id: string, peer: PeerId, body: Uint8Array): { readonly objection: Objection } | null {
    const [key, isParts] = id.endsWith("#parts") ? [id.slice(0, -"#parts".length), true] : [id, false];
    const offer = this.#offers.get(key);
    if (offer === undefined) return null;
    if (isParts) return { objection: this.#gotParts(offer, peer, body) };
    if (!equalBytes(sha256(body), offer.hash)) {
      this.#fetch(offer);
      return { objection: "wrong_answer" };
    }
    return { objection: this.#gotBody(offer, peer, body) };
  }

  /** Null where the peer has nothing to say. */
  #channel(peer: PeerId, number: number): Channel | null {
    const isOthers = this.#senders.get(peer)?.own.has(number) === false;
    return isOthers ? null : (this.#options.channels.get(number) ?? null);
  }

  #table(peer: PeerId, channel: Channel): PeerSlots | null {
    const sender = this.#senders.get(peer);
    if (sender === undefined) return null;
    const known = sender.channels.get(channel.number);
    if (known !== undefined) return known;
    const made = { slots: new Map(), bytes: 0 };
    sender.channels.set(channel.number, made);
    return made;
  }

  #offer(
    channel: Channel,
    { form, label, hash, length }: { form: Form; label: Uint8Array; hash: Uint8Array; length: number },
  ): Offer {
    const id = `${channel.number}/${offerId(form, label, hash)}`;
    const known = this.#offers.get(id);
    if (known !== undefined) return known;
    const made: Offer = {
      id,
      channel,
      form,
      label: label.slice(),
      hash: hash.slice(),
      length,
      sources: new Map(),
      state: "later",
      held: null,
      parts: null,
    };
    this.#offers.set(id, made);
    this.#laterOf(made).add(made);
    return made;
  }

  #laterOf({ channel }: Offer): Set<Offer> {
    const later = this.#later.get(channel.number);
    assert(later !== undefined, `channel ${channel.number} is unknown`);
    return later;
  }

  #offered(offer: Offer, peer: PeerId, body: Uint8Array | null): Objection {
    switch (offer.state) {
      case "later":
        if (body !== null) this.#hold(offer, peer, body);
        return this.#consider(offer, body === null ? null : { peer, body });
      case "body":
        if (body === null) {
          this.#options.asker.addSource(offer.id, peer);
          return null;
        }
        this.#options.asker.remove(offer.id);
        return this.#gotBody(offer, peer, body);
      case "parts":
        this.#options.asker.addSource(`${offer.id}#parts`, peer);
        return null;
      default:
        return null;
    }
  }

  /** Keeps a body while its peer has room for it. */
  #hold(offer: Offer, peer: PeerId, body: Uint8Array): void {
    const sender = this.#senders.get(peer);
    if (sender === undefined || offer.held !== null) return;
    if (sender.heldBytes + body.length > HELD_BYTES_MAX) return;
    sender.heldBytes += body.length;
    offer.held = { body, peer };
  }

  #unhold(offer: Offer): void {
    const { held } = offer;
    if (held === null) return;
    offer.held = null;
    const sender = this.#senders.get(held.peer);
    if (sender !== undefined) sender.heldBytes -= held.body.length;
  }

  #consider(offer: Offer, come: { peer: PeerId; body: Uint8Array } | null = null): Objection {
    const wanted = offer.channel.wants(offer.label);
    if (wanted === "later") return null;
    const got = come ?? offer.held;
    this.#laterOf(offer).delete(offer);
    this.#unhold(offer);
    if (wanted === "never") offer.state = "never";
    else if (got === null) this.#fetch(offer);
    else return this.#gotBody(offer, got.peer, got.body);
    return null;
  }

  #fetch(offer: Offer): void {
    offer.state = "body";
    const body = concatBytes(Uint8Array.of(offer.channel.number), offer.hash);
    const question = {
      id: offer.id,
      service: ARTIFACT_SERVICE,
      body,
      bytesMax: offer.length,
      deadline: null,
    };
    this.#options.asker.add(question, offer.sources.keys());
  }

  #gotBody(offer: Offer, peer: PeerId, body: Uint8Array): Objection {
    if (offer.form === "whole") {
      this.#deliver(offer, peer, body, []);
      return null;
    }
    const parts = PartsWanted.of(body, offer.channel);
    if (parts === null) {
      // Whatever its author meant: nobody honest passes it on.
      offer.state = "never";
      return "malformed";
    }
    offer.parts = parts;
    this.#completeParts(offer, peer, parts);
    return null;
  }

  #gotParts(offer: Offer, peer: PeerId, body: Uint8Array): Objection {
    const { parts } = offer;
    assert(parts !== null, "parts came that nobody waits for");
    const isRight = parts.take(body);
    this.#completeParts(offer, peer, parts);
    return isRight ? null : "wrong_answer";
  }

  #completeParts(offer: Offer, peer: PeerId, parts: PartsWanted): void {
    const missing = parts.missing();
    if (missing.length === 0) {
      this.#deliver(offer, peer, parts.skeleton, parts.found());
      return;
    }
    offer.state = "parts";
    const { asker } = this.#options;
    const question = {
      id: `${offer.id}#parts`,
      service: PARTS_SERVICE,
      body: concatBytes(Uint8Array.of(offer.channel.number), ...missing.map(({ id }) => id)),
      bytesMax: missing.reduce((sum, { length }) => sum + 4 + length, 0),
      deadline: null,
      rests: parts.rounds++,
    };
    asker.add(question, offer.sources.keys());
  }

  #deliver(offer: Offer, peer: PeerId, body: Uint8Array, parts: readonly Uint8Array[]): void {
    offer.state = "done";
    offer.parts = null;
    const { channel, label } = offer;
    this.#options.emit({ kind: "artifact", channel: channel.number, peer, label, body, parts });
  }

  /** A slot of the peer does not have it any more. */
  #release(peer: PeerId, offer: Offer): void {
    const slots = offer.sources.get(peer);
    assert(slots !== undefined, `${peer} does not have ${toHex(offer.hash)}`);
    if (slots > 1) {
      offer.sources.set(peer, slots - 1);
      return;
    }
    offer.sources.delete(peer);
    const { asker } = this.#options;
    asker.removeSource(offer.id, peer);
    asker.removeSource(`${offer.id}#parts`, peer);
    if (offer.held?.peer === peer) this.#unhold(offer);
    if (offer.sources.size > 0) return;
    asker.remove(offer.id);
    asker.remove(`${offer.id}#parts`);
    this.#unhold(offer);
    this.#laterOf(offer).delete(offer);
    this.#offers.delete(offer.id);
    if (offer.state === "done")
      this.#options.emit({ kind: "withdrawn", channel: offer.channel.number, label: offer.label });
  }
}
