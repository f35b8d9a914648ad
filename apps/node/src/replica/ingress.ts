/**
 * Ingress messages at one node of a subnet of many: what its clients and its peers brought, until a block has it or it expires, and the
 * reading of envelopes. A signature is verified once for an envelope, at no particular time: `KnownIngress` says until when it holds, so
 * that all nodes judge a block alike whenever they do.
 */
import { decodeEnvelope, err, ok, type Result, type TimeNs, toHex } from "@orrery/base";
import {
  INGRESS_POOL_BYTES_MAX,
  INGRESS_POOL_MESSAGES_MAX,
  type IngressPoolEntry,
  type InsertOutcome,
} from "@orrery/consensus";
import { hashOfMap, type SignatureVerifier, validateEnvelope } from "@orrery/crypto";
import type { KnownIngress } from "./payloads.ts";

/** Reads envelopes; what it said of one it remembers for as long as that is held. */
export class EnvelopeReader {
  readonly #verifier: SignatureVerifier;
  readonly #read = new WeakMap<Uint8Array, Result<KnownIngress, string>>();
  readonly #ids = new WeakMap<Uint8Array, string>();

  constructor(verifier: SignatureVerifier) {
    this.#verifier = verifier;
  }

  /** Of an envelope that others judged; what cannot be read is known by its bytes. */
  id(envelope: Uint8Array): string {
    const known = this.#ids.get(envelope);
    if (known !== undefined) return known;
    const decoded = decodeEnvelope(envelope);
    const id = toHex(decoded.ok ? hashOfMap(decoded.value.content.fields) : envelope);
    this.#ids.set(envelope, id);
    return id;
  }

  /** With its signature verified. */
  read(envelope: Uint8Array): Result<KnownIngress, string> {
    const known = this.#read.get(envelope);
    if (known !== undefined) return known;
    const read = this.#verify(envelope);
    this.#read.set(envelope, read);
    return read;
  }

  #verify(bytes: Uint8Array): Result<KnownIngress, string> {
    const decoded = decodeEnvelope(bytes);
    if (!decoded.ok) return decoded;
    const { content, senderDelegation } = decoded.value;
    if (content.kind !== "call") return err(`a ${content.kind} request is no update call`);
    const expiry = content.ingressExpiry;
    const validUntil = (senderDelegation ?? []).reduce<TimeNs>(
      (least, { delegation }) => (delegation.expiration < least ? delegation.expiration : least),
      expiry,
    );
    // At the last moment at which it can hold: whether it holds earlier is a matter of times alone.
    const valid = validateEnvelope(decoded.value, { now: validUntil, verifier: this.#verifier });
    if (!valid.ok) return err(valid.error.text);
    const id = toHex(valid.value.requestId);
    this.#ids.set(bytes, id);
    return ok({ id, expiry, validUntil });
  }
}

interface Entry extends KnownIngress {
  readonly envelope: Uint8Array;
}

export interface ReplicaPoolOptions {
  readonly reader: EnvelopeReader;
  /** Longest envelope that the subnet takes, bytes. */
  readonly messageBytesMax: number;
  /** A client brought it: peers have not heard of it. */
  readonly onNew: (message: Entry) => void;
  /** It does not wait any more. */
  readonly onGone: (id: string) => void;
}

/** Bounded like the pool of a subnet of one. */
export class ReplicaPool {
  readonly #options: ReplicaPoolOptions;
  readonly #waiting = new Map<string, Entry>();
  /** In a finalized block, until it cannot be ordered any more, by expiry. */
  readonly #ordered = new Map<string, TimeNs>();
  #bytes = 0;

  constructor(options: ReplicaPoolOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Oldest first. */
  entries(): Iterable<Entry> {
    return this.#waiting.values();
  }

  /** From a client; the caller validated it. */
  insert({ envelope }: IngressPoolEntry): InsertOutcome {
    const outcome = this.#insert(envelope, this.#options.onNew);
    return outcome === "invalid" ? "duplicate" : outcome;
  }

  /** Whether a message waits or is ordered. */
  has(id: string): boolean {
    return this.#waiting.has(id) || this.#ordered.has(id);
  }

  /** From a peer; false when its signature is wrong. */
  hear(envelope: Uint8Array): boolean {
    return this.#insert(envelope) !== "invalid";
  }

  /** A finalized block has them. */
  ordered(envelopes: readonly Uint8Array[], time: TimeNs): void {
    for (const envelope of envelopes) {
      const known = this.#options.reader.read(envelope);
      if (!known.ok) continue;
      this.#ordered.set(known.value.id, known.value.expiry);
      this.#remove(known.value.id);
    }
    for (const [id, { validUntil }] of this.#waiting) if (validUntil < time) this.#remove(id);
    for (const [id, expiry] of this.#ordered) {
      // Those after it are younger, by minutes at most.
      if (expiry >= time) break;
      this.#ordered.delete(id);
    }
  }

  #remove(id: string): void {
    const entry = this.#waiting.get(id);
    if (entry === undefined) return;
    this.#waiting.delete(id);
    this.#bytes -= entry.envelope.length;
    this.#options.onGone(id);
  }

  #insert(envelope: Uint8Array, onAdded: (message: Entry) => void = () => {}): InsertOutcome | "invalid" {
    if (envelope.length > this.#options.messageBytesMax) return "too_large";
    const isFull =
      this.#waiting.size >= INGRESS_POOL_MESSAGES_MAX ||
      this.#bytes + envelope.length > INGRESS_POOL_BYTES_MAX;
    if (isFull) return "full";
    const known = this.#options.reader.read(envelope);
    if (!known.ok) return "invalid";
    const { id } = known.value;
    if (this.has(id)) return "duplicate";
    const entry = { ...known.value, envelope };
    this.#waiting.set(id, entry);
    this.#bytes += envelope.length;
    onAdded(entry);
    return "added";
  }
}
