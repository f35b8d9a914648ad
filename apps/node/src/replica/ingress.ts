/**
 * Ingress messages at one node of a subnet of many: what its clients and its peers brought, until a block has it or it expires, and the
 * reading of envelopes. A signature is verified once for the same bytes, a few in a turn of main, at no particular time: `KnownIngress` says until when it holds, so
 * that all nodes judge a block alike whenever they do.
 */
import {
  assert,
  decodeEnvelope,
  type Envelope,
  equalBytes,
  err,
  OrreryError,
  ok,
  type Result,
  type TimeNs,
  toHex,
} from "@orrery/base";
import {
  INGRESS_POOL_BYTES_MAX,
  INGRESS_POOL_MESSAGES_MAX,
  type IngressPoolEntry,
  type InsertOutcome,
} from "@orrery/consensus";
import { hashOfMap, type SignatureVerifier, sha256, validateEnvelope } from "@orrery/crypto";
import type { KnownIngress } from "./payloads.ts";

/** Longest that main verifies what a block brings before it looks at other work, milliseconds; a message takes a tenth of one to ten. */
const TURN_MS = 10;

export interface EnvelopeReaderOptions {
  readonly verifier: SignatureVerifier;
  /** A message that was verified, in its bytes. */
  readonly verified: (id: string) => Entry | undefined;
  readonly nowMs: () => number;
  /** Something was left for later: `nextTurn`, and it can be judged again. */
  readonly onLeft: () => void;
}

/** Reads envelopes; what it said of one it remembers for as long as that is held. */
export class EnvelopeReader {
  readonly #options: EnvelopeReaderOptions;
  readonly #heads = new WeakMap<Uint8Array, Result<KnownIngress, string>>();
  readonly #verdicts = new WeakMap<Uint8Array, Result<KnownIngress, string>>();
  /** The last that was decoded: who asks what it says of itself mostly has its signature verified next. */
  #last: { readonly bytes: Uint8Array; readonly decoded: Result<Envelope, string> } | null = null;
  /** In this turn. */
  #spentMs = 0;
  #isLeft = false;

  constructor(options: EnvelopeReaderOptions) {
    this.#options = options;
  }

  /** Of an envelope that others judged; what is no call is known by its bytes. */
  id(envelope: Uint8Array): string {
    const head = this.head(envelope);
    return head.ok ? head.value.id : toHex(envelope);
  }

  /** What it says of itself, whoever signed it. */
  head(envelope: Uint8Array): Result<KnownIngress, string> {
    const known = this.#heads.get(envelope);
    if (known !== undefined) return known;
    const head = headOf(this.#decode(envelope));
    this.#heads.set(envelope, head);
    return head;
  }

  /** With its signature verified: once, wherever the same bytes came from. */
  read(envelope: Uint8Array): Result<KnownIngress, string> {
    const known = this.#known(envelope) ?? this.#verify(envelope);
    this.#verdicts.set(envelope, known);
    return known;
  }

  /** The same, or `later` when this turn's time is over. */
  judge(envelope: Uint8Array): Result<KnownIngress, string> | "later" {
    if (this.#spentMs >= TURN_MS && this.#known(envelope) === null) {
      if (!this.#isLeft) this.#options.onLeft();
      this.#isLeft = true;
      return "later";
    }
    const before = this.#options.nowMs();
    const read = this.read(envelope);
    this.#spentMs += this.#options.nowMs() - before;
    return read;
  }

  nextTurn(): void {
    this.#spentMs = 0;
    this.#isLeft = false;
  }

  /** Null where it takes a signature to be verified. */
  #known(envelope: Uint8Array): Result<KnownIngress, string> | null {
    const known = this.#verdicts.get(envelope);
    if (known !== undefined) return known;
    const head = this.head(envelope);
    if (!head.ok) return head;
    const verified = this.#options.verified(head.value.id);
    return verified !== undefined && equalBytes(verified.envelope, envelope) ? head : null;
  }

  #verify(bytes: Uint8Array): Result<KnownIngress, string> {
    const head = this.head(bytes);
    const decoded = this.#decode(bytes);
    if (!head.ok || !decoded.ok) return head;
    this.#last = null;
    // At the last moment at which it can hold: whether it holds earlier is a matter of times alone.
    const { validUntil } = head.value;
    const valid = validateEnvelope(decoded.value, { now: validUntil, verifier: this.#options.verifier });
    return valid.ok ? head : err(valid.error.text);
  }

  #decode(bytes: Uint8Array): Result<Envelope, string> {
    if (this.#last?.bytes !== bytes) this.#last = { bytes, decoded: decodeEnvelope(bytes) };
    return this.#last.decoded;
  }
}

function headOf(decoded: Result<Envelope, string>): Result<KnownIngress, string> {
  if (!decoded.ok) return decoded;
  const { content, senderDelegation } = decoded.value;
  if (content.kind !== "call") return err(`a ${content.kind} request is no update call`);
  const expiry = content.ingressExpiry;
  const validUntil = (senderDelegation ?? []).reduce<TimeNs>(
    (least, { delegation }) => (delegation.expiration < least ? delegation.expiration : least),
    expiry,
  );
  try {
    return ok({ id: toHex(hashOfMap(content.fields)), expiry, validUntil });
  } catch (error) {
    if (error instanceof OrreryError && error.code === "request_hash_invalid") return err(error.message);
    throw error;
  }
}

/** A message that waits. */
export interface Entry extends KnownIngress {
  readonly envelope: Uint8Array;
  /** SHA-256 of it, hexadecimal. */
  readonly part: string;
}

export interface ReplicaPoolOptions {
  readonly reader: Pick<EnvelopeReader, "head" | "read">;
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
  /** The same by the hashes of their bytes. */
  readonly #parts = new Map<string, Entry>();
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

  /** One that waits. */
  waiting(id: string): Entry | undefined {
    return this.#waiting.get(id);
  }

  /** The bytes of a message that waits, by their SHA-256. */
  part(hash: Uint8Array): Uint8Array | null {
    return this.#parts.get(toHex(hash))?.envelope ?? null;
  }

  /** From a client; the caller validated it. */
  insert({ envelope }: IngressPoolEntry): InsertOutcome {
    const { reader, onNew } = this.#options;
    const head = reader.head(envelope);
    assert(head.ok, "a message of a client was validated");
    if (this.has(head.value.id)) return "duplicate";
    const refusal = this.#refusal(envelope);
    if (refusal !== null) return refusal;
    onNew(this.#add(envelope, head.value));
    return "added";
  }

  /** Whether a message waits or is ordered. */
  has(id: string): boolean {
    return this.#waiting.has(id) || this.#ordered.has(id);
  }

  /** From a peer; false when its signature is wrong. */
  hear(envelope: Uint8Array): boolean {
    const { reader } = this.#options;
    const head = reader.head(envelope);
    if (!head.ok) return false;
    if (this.has(head.value.id) || this.#refusal(envelope) !== null) return true;
    const read = reader.read(envelope);
    if (read.ok) this.#add(envelope, read.value);
    return read.ok;
  }

  /** A finalized block has them. */
  ordered(envelopes: readonly Uint8Array[], time: TimeNs): void {
    for (const envelope of envelopes) {
      const known = this.#options.reader.head(envelope);
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
    this.#parts.delete(entry.part);
    this.#bytes -= entry.envelope.length;
    this.#options.onGone(id);
  }

  #refusal(envelope: Uint8Array): "too_large" | "full" | null {
    if (envelope.length > this.#options.messageBytesMax) return "too_large";
    const isFull =
      this.#waiting.size >= INGRESS_POOL_MESSAGES_MAX ||
      this.#bytes + envelope.length > INGRESS_POOL_BYTES_MAX;
    return isFull ? "full" : null;
  }

  #add(envelope: Uint8Array, known: KnownIngress): Entry {
    const entry = { ...known, envelope, part: toHex(sha256(envelope)) };
    this.#waiting.set(known.id, entry);
    this.#parts.set(entry.part, entry);
    this.#bytes += envelope.length;
    return entry;
  }
}
