/**
 * What is to be sent to one peer, in this order: requests and refusals, changed slots (channels in their order), pieces of answers in turns. Frames are
 * handed over while fewer than `WINDOW_BYTES` are untaken, so that everything else waits here, where it is bounded: slots by the
 * tables, answers by the requests that are served.
 */
import type { TimeNs } from "@orrery/base";
import { Bucket } from "./account.ts";
import {
  PIECE_BYTES,
  SERVED_ALLOWANCE,
  SERVED_PER_PEER_MAX,
  SLOW_READER_NS,
  SMALL_BYTES_MAX,
  WINDOW_BYTES,
} from "./limits.ts";
import type { Live, Published } from "./published.ts";
import type { Channel } from "./types.ts";
import { encodeMessage, type WireMessage } from "./wire.ts";

/** Small frames that wait: requests, cancellations and refusals of all that can be under way, several times over. */
const CONTROL_MAX: number = 16 * SERVED_PER_PEER_MAX;

export interface ChannelTable {
  readonly channel: Channel;
  readonly published: Published;
}

interface Answer {
  readonly bytes: Uint8Array;
  offset: number;
}

interface SlotsToSend {
  readonly table: ChannelTable;
  readonly dirty: Set<number>;
  /** Slots that the peer was told of. */
  readonly told: Set<number>;
}

export interface OutboxOptions {
  readonly now: TimeNs;
  readonly tables: readonly ChannelTable[];
  readonly emit: (frame: Uint8Array) => void;
  /** The peer announced the same artifact itself. */
  readonly isKnown: (channel: Channel, live: Live) => boolean;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #control: WireMessage[] = [];
  readonly #slots: readonly SlotsToSend[];
  readonly #answers = new Map<number, Answer>();
  readonly #pace: Bucket;
  #untaken = 0;
  /** Since when the window is full and nothing is taken. */
  #stalledSince: TimeNs | null = null;
  /** When pieces may go on. */
  #pacedUntil: TimeNs | null = null;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#slots = options.tables.map((table) => ({
      table,
      dirty: new Set([...table.published.live].map(({ slot }) => slot)),
      told: new Set(),
    }));
    this.#pace = new Bucket(SERVED_ALLOWANCE, options.now);
  }

  /** Answers that are not sent whole. */
  get answers(): number {
    return this.#answers.size;
  }

  hasAnswer(number: number): boolean {
    return this.#answers.has(number);
  }

  /** False when the peer takes nothing and asks on. */
  control(message: WireMessage): boolean {
    this.#control.push(message);
    return this.#control.length <= CONTROL_MAX;
  }

  changed(channelNumber: number, slot: number): void {
    this.#slots.find(({ table }) => table.channel.number === channelNumber)?.dirty.add(slot);
  }

  answer(number: number, bytes: Uint8Array): void {
    this.#answers.set(number, { bytes, offset: 0 });
  }

  /** Whether there was one. */
  cancel(number: number): boolean {
    return this.#answers.delete(number);
  }

  taken(bytes: number, now: TimeNs): void {
    this.#untaken = Math.max(0, this.#untaken - bytes);
    this.#stalledSince = this.#untaken >= WINDOW_BYTES ? now : null;
  }

  isSlow(now: TimeNs): boolean {
    return this.#stalledSince !== null && now - this.#stalledSince >= SLOW_READER_NS;
  }

  nextTime(): TimeNs | null {
    return this.#stalledSince === null ? this.#pacedUntil : this.#stalledSince + SLOW_READER_NS;
  }

  /** Hands over frames while there are any and the window is open. */
  pump(now: TimeNs): void {
    this.#pacedUntil = null;
    while (this.#untaken < WINDOW_BYTES) {
      const message = this.#control.shift() ?? this.#nextSlot() ?? this.#nextPiece(now);
      if (message === null) return;
      const frame = encodeMessage(message);
      this.#untaken += frame.length;
      this.#options.emit(frame);
    }
    this.#stalledSince ??= now;
  }

  #nextSlot(): WireMessage | null {
    for (const { table, dirty, told } of this.#slots) {
      const { number } = table.channel;
      for (const slot of dirty) {
        dirty.delete(slot);
        const live = table.published.at(slot);
        if (live !== undefined && !this.#options.isKnown(table.channel, live)) {
          told.add(slot);
          return updateOf(table.channel, live);
        }
        if (told.delete(slot))
          return { kind: "clear", channel: number, slot, version: table.published.nextVersion() };
      }
    }
    return null;
  }

  #nextPiece(now: TimeNs): WireMessage | null {
    const [first] = this.#answers;
    if (first === undefined) return null;
    if (this.#pace.level(now) < 0) {
      this.#pacedUntil = this.#pace.paidAt(now);
      return null;
    }
    const [number, answer] = first;
    const { bytes: whole, offset } = answer;
    const bytes = whole.subarray(offset, offset + PIECE_BYTES);
    this.#pace.take(now, bytes.length);
    answer.offset += PIECE_BYTES;
    // To the end of the line, if anything is left of it.
    this.#answers.delete(number);
    if (answer.offset < whole.length) this.#answers.set(number, answer);
    return { kind: "piece", number, total: whole.length, offset, bytes };
  }
}

function updateOf(channel: Channel, live: Live): WireMessage {
  const { slot, version, form, label, body, hash } = live;
  const isPushed = body.length <= (live.isUrgent ? channel.pushBytesMax : SMALL_BYTES_MAX);
  const content = isPushed
    ? ({ kind: "inline", body } as const)
    : ({ kind: "advert", hash, length: body.length } as const);
  return { kind: "update", channel: channel.number, slot, version, form, label, content };
}
