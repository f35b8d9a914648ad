/**
 * Validated ingress messages waiting for a block. Trust: the caller validated signature, expiry and acceptance. Bounded in
 * count and bytes, so that a flood is refused (HTTP 429) instead of growing; one copy of a request id; expired ones are dropped
 * when a block is built, never placed in it. What is too large for the subnet is neither taken nor let pass in others' blocks.
 */
import {
  BLOCK_PAYLOAD_BYTES_MAX,
  type BlockPayload,
  type Height,
  INGRESS_PER_BLOCK_MAX,
  type TimeNs,
  toHex,
} from "@orrery/base";
import type { PayloadBuilder, PayloadValidator, PayloadVerdict } from "./types.ts";

/** About ten full blocks: more waiting than that is only latency. */
export const INGRESS_POOL_MESSAGES_MAX = 10_000;
export const INGRESS_POOL_BYTES_MAX: number = 10 * BLOCK_PAYLOAD_BYTES_MAX;

export interface IngressPoolEntry {
  readonly requestId: Uint8Array;
  readonly expiry: TimeNs;
  /** Envelope as received. */
  readonly envelope: Uint8Array;
}

export type InsertOutcome = "added" | "duplicate" | "full" | "too_large";

export interface IngressPoolOptions {
  /** Longest envelope that the subnet takes, bytes. */
  readonly messageBytesMax: number;
}

export class IngressPool implements PayloadBuilder, PayloadValidator {
  readonly #options: IngressPoolOptions;
  readonly #waiting = new Map<string, IngressPoolEntry>();
  /** Placed in a block that has not been executed yet, by request id. */
  readonly #placed = new Map<string, Height>();
  #bytes = 0;

  constructor(options: IngressPoolOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  insert(entry: IngressPoolEntry): InsertOutcome {
    if (entry.envelope.length > this.#options.messageBytesMax) return "too_large";
    const key = toHex(entry.requestId);
    if (this.#waiting.has(key) || this.#placed.has(key)) return "duplicate";
    if (
      this.#waiting.size >= INGRESS_POOL_MESSAGES_MAX ||
      this.#bytes + entry.envelope.length > INGRESS_POOL_BYTES_MAX
    ) {
      return "full";
    }
    this.#waiting.set(key, entry);
    this.#bytes += entry.envelope.length;
    return "added";
  }

  /** Oldest first, within the block's limits; at least one message when any is waiting. */
  buildPayload(context: { readonly height: Height; readonly time: TimeNs }): BlockPayload {
    const ingress: Uint8Array[] = [];
    let bytes = 0;
    for (const [key, entry] of this.#waiting) {
      if (ingress.length >= INGRESS_PER_BLOCK_MAX) break;
      if (ingress.length > 0 && bytes + entry.envelope.length > BLOCK_PAYLOAD_BYTES_MAX) break;
      this.#waiting.delete(key);
      this.#bytes -= entry.envelope.length;
      if (entry.expiry < context.time) continue;
      this.#placed.set(key, context.height);
      ingress.push(entry.envelope);
      bytes += entry.envelope.length;
    }
    return { ingress };
  }

  /** Whether the ingress messages of a block keep to the limits that `buildPayload` keeps to. */
  validatePayload({ ingress }: BlockPayload): PayloadVerdict {
    if (ingress.length > INGRESS_PER_BLOCK_MAX)
      return invalid(`${ingress.length} ingress messages, more than ${INGRESS_PER_BLOCK_MAX}`);
    let bytes = 0;
    for (const { length } of ingress) {
      const { messageBytesMax } = this.#options;
      if (length > messageBytesMax)
        return invalid(`an ingress message of ${length} bytes, more than ${messageBytesMax}`);
      bytes += length;
    }
    return bytes > BLOCK_PAYLOAD_BYTES_MAX
      ? invalid(`${bytes} bytes of ingress messages, more than ${BLOCK_PAYLOAD_BYTES_MAX}`)
      : { kind: "valid" };
  }

  /** Heights up to and including `height` are executed: execution itself knows their messages from now on. */
  executed(height: Height): void {
    for (const [key, placed] of this.#placed) {
      if (placed > height) break;
      this.#placed.delete(key);
    }
  }
}

function invalid(reason: string): PayloadVerdict {
  return { kind: "invalid", reason };
}
