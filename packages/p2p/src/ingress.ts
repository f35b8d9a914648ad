/**
 * Ingress messages between members: whoever accepted one publishes it until it is executed or expired, so that every maker may place it and
 * proposals need not carry it. A label is the expiry and the request id; the message itself is validated by its receiver as if a
 * client had sent it.
 */
import { assert, concatBytes, readU64be, type TimeNs, toHex, u64be } from "@orrery/base";
import { PUSH_BYTES_MAX } from "./limits.ts";
import type { Channel } from "./types.ts";

/** As many as a member's pool of ingress messages takes. */
const SLOTS_MAX = 10_000;
const BYTES_MAX: number = 40 * 1024 * 1024;

const REQUEST_ID_BYTES = 32;
const LABEL_BYTES: number = 8 + REQUEST_ID_BYTES;

/** The furthest expiry that a replica takes: five minutes, a minute for its client's clock and half a one for its own. */
const EXPIRY_MAX_NS = 390_000_000_000n;

export interface IngressChannelOptions {
  readonly number: number;
  /** Longest message that the subnet takes. */
  readonly messageBytesMax: number;
  readonly now: () => TimeNs;
  /** Whether the message waits here, or was executed; by request id in hexadecimal. */
  readonly isKnown: (requestId: string) => boolean;
}

export function ingressLabel(message: {
  readonly requestId: Uint8Array;
  readonly expiry: TimeNs;
}): Uint8Array {
  assert(message.requestId.length === REQUEST_ID_BYTES, "a request id has 32 bytes");
  return concatBytes(u64be(message.expiry), message.requestId);
}

export function ingressChannel(options: IngressChannelOptions): Channel {
  const { number, messageBytesMax, now, isKnown } = options;
  return {
    number,
    slotsMax: SLOTS_MAX,
    bytesMax: BYTES_MAX,
    artifactBytesMax: messageBytesMax,
    wholeBytesMax: messageBytesMax,
    pushBytesMax: Math.min(messageBytesMax, PUSH_BYTES_MAX),
    wants: (label) => {
      if (label.length !== LABEL_BYTES) return "never";
      const expiry = readU64be(label);
      if (expiry < now() || expiry > now() + EXPIRY_MAX_NS) return "never";
      return isKnown(toHex(label.subarray(8))) ? "never" : "now";
    },
  };
}
