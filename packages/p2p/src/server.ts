/**
 * Requests of one peer: the exchange's own are answered from what is live here, the others go to the consumer whose service they name. Refuses
 * what is too much; an honest peer keeps within the bounds, so whoever is far beyond them is dropped.
 */
import { assert } from "@orrery/base";
import { SERVED_BYTES_MAX, SERVED_PER_PEER_MAX } from "./limits.ts";
import type { ChannelTable, Outbox } from "./outbox.ts";
import { encodeParts, partsOfRequest } from "./parts.ts";
import { ARTIFACT_SERVICE, PARTS_SERVICE } from "./receiver.ts";
import type { DropReason, Service } from "./types.ts";
import { HASH_BYTES, type RefusalReason, type WireMessage } from "./wire.ts";

type Request = Extract<WireMessage, { kind: "request" }>;

interface Waiting {
  readonly service: Service;
  readonly bytesMax: number;
}

export interface ServerOptions {
  readonly outbox: Outbox;
  readonly tables: ReadonlyMap<number, ChannelTable>;
  readonly services: ReadonlyMap<number, Service>;
  /** False: the peer takes no frames. */
  readonly refuse: (number: number, reason: RefusalReason) => boolean;
  readonly ask: (request: Request) => void;
}

export type ServerObjection = Extract<DropReason, "malformed" | "request_flood" | "slow_reader"> | null;

export class Server {
  readonly #options: ServerOptions;
  /** Requests that a consumer has not answered. */
  readonly #waiting = new Map<number, Waiting>();
  /** Lengths of consumers' answers that are not sent. */
  readonly #made = new Map<number, number>();

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  request(request: Request): ServerObjection {
    const { number, service } = request;
    const { outbox } = this.#options;
    if (this.#waiting.has(number) || outbox.hasAnswer(number)) return "malformed";
    if (this.#waiting.size + outbox.answers >= SERVED_PER_PEER_MAX) return "request_flood";
    if (service === ARTIFACT_SERVICE) return this.#artifact(request);
    if (service === PARTS_SERVICE) return this.#parts(request);
    return this.#consumers(request);
  }

  cancel(number: number): void {
    this.#waiting.delete(number);
    this.#options.outbox.cancel(number);
  }

  /** A consumer's answer; nothing happens when nobody waits for it any more. */
  answer(number: number, body: Uint8Array | null): ServerObjection {
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return null;
    this.#waiting.delete(number);
    if (body === null) return this.#refuse(number, "none");
    const { service, bytesMax } = waiting;
    assert(
      body.length <= service.answerBytesMax,
      `service ${service.number} answers with ${body.length} bytes`,
    );
    if (body.length > bytesMax) return this.#refuse(number, "too_long");
    return this.#give(number, body);
  }

  #artifact({ number, body, bytesMax }: Request): ServerObjection {
    const table = this.#options.tables.get(body[0] as number);
    if (table === undefined || body.length !== 1 + HASH_BYTES) return "malformed";
    const artifact = table.published.body(body.subarray(1));
    if (artifact === null) return this.#refuse(number, "none");
    if (artifact.length > bytesMax) return this.#refuse(number, "too_long");
    this.#options.outbox.answer(number, artifact);
    return null;
  }

  #parts({ number, body, bytesMax }: Request): ServerObjection {
    const table = this.#options.tables.get(body[0] as number);
    const ids = partsOfRequest(body.subarray(1));
    if (table === undefined || ids === null || bytesMax < 4 * ids.length) return "malformed";
    const { published, channel } = table;
    const parts = ids.map((id) => published.part(id) ?? channel.part?.(id) ?? null);
    if (parts.every((part) => part === null)) return this.#refuse(number, "none");
    return this.#give(number, encodeParts(parts, Math.min(bytesMax, channel.wholeBytesMax)));
  }

  #consumers(request: Request): ServerObjection {
    const { number, service: serviceNumber, body, bytesMax } = request;
    const service = this.#options.services.get(serviceNumber);
    if (service === undefined || body.length > service.requestBytesMax) return "malformed";
    const waiting = this.#waiting.values().filter((each) => each.service === service);
    if ([...waiting].length >= service.waitingMax) return this.#refuse(number, "busy");
    this.#waiting.set(number, { service, bytesMax });
    this.#options.ask(request);
    return null;
  }

  /** Counts against the bytes that wait, since it was put together for this peer. */
  #give(number: number, body: Uint8Array): ServerObjection {
    const { outbox } = this.#options;
    for (const made of this.#made.keys()) if (!outbox.hasAnswer(made)) this.#made.delete(made);
    const bytes = this.#made.values().reduce((sum, length) => sum + length, body.length);
    if (bytes > SERVED_BYTES_MAX) return this.#refuse(number, "busy");
    this.#made.set(number, body.length);
    outbox.answer(number, body);
    return null;
  }

  #refuse(number: number, reason: RefusalReason): ServerObjection {
    return this.#options.refuse(number, reason) ? null : "slow_reader";
  }
}
