/**
 * What an exchange is given, takes and asks for (docs/ARCHITECTURE.md, "Peers"). Consumers share one exchange: each has channels, in
 * which artifacts are live until they are retracted, and services, which answer requests.
 */
import type { Rng, TimeNs } from "@orrery/base";
import type { Publication } from "./published.ts";
import type { RefusalReason } from "./wire.ts";

/** A peer as the registry knows it; any text that is different for different peers. */
export type PeerId = string;

/** `later`: asked again after `reconsider`. `never`: nothing more is done about it. */
export type Wanted = "now" | "later" | "never";

/** A kind of artifacts. Earlier channels of a list go first where a connection is busy. */
export interface Channel {
  /** 0 … 255, the same at all peers. */
  readonly number: number;
  /** Live artifacts of one node. */
  readonly slotsMax: number;
  /** Of all of them together, and of one (as they travel, without the parts they are stripped of; with them for `wholeBytesMax`). */
  readonly bytesMax: number;
  readonly artifactBytesMax: number;
  readonly wholeBytesMax: number;
  /** Longest urgent artifact that is sent unasked. */
  readonly pushBytesMax: number;
  /** Whether a peer takes part, for as long as it is connected; by default all do. Others neither hear of what is published nor may publish. */
  takesPart?(peer: PeerId): boolean;
  /** Judges by the label, which is the announcer's word until the artifact is here. */
  wants(label: Uint8Array): Wanted;
  /** A part that this node has anyway, by its SHA-256; for others' stripped artifacts, and for others who miss it. */
  part?(id: Uint8Array): Uint8Array | null;
}

/** A kind of requests. */
export interface Service {
  /** `FIRST_SERVICE` … 255, the same at all peers. */
  readonly number: number;
  readonly requestBytesMax: number;
  readonly answerBytesMax: number;
  /** Requests of one peer that wait for the consumer at once. */
  readonly waitingMax: number;
}

/** Services below are the exchange's own. */
export const FIRST_SERVICE = 16;

export interface ExchangeOptions {
  readonly self: PeerId;
  readonly rng: Rng;
  readonly channels: readonly Channel[];
  readonly services: readonly Service[];
  readonly now: TimeNs;
}

/** Why a peer is not talked to. */
export type DropReason =
  /** It is no member (any more). */
  | "removed"
  /** It was dropped before, and its time is not over. */
  | "banned"
  /** What it sent is no message. */
  | "malformed"
  /** It announced more slots, or more bytes, than a channel has. */
  | "slot_flood"
  /** It has more requests under way than an honest peer. */
  | "request_flood"
  /** It answered what it was not asked. */
  | "unasked_answer"
  /** An answer is not what its hash said. */
  | "wrong_answer"
  /** It takes nothing for a long time. */
  | "slow_reader"
  /** It was throttled for long. */
  | "flood_bytes"
  | "flood_messages"
  | "flood_cost";

export type ExchangeInput =
  /** It never goes back. */
  | { readonly kind: "time"; readonly now: TimeNs }
  /** All peers that may connect. */
  | { readonly kind: "members"; readonly peers: readonly PeerId[] }
  /** A connection to the peer begins; one that was there before is over. */
  | { readonly kind: "connected"; readonly peer: PeerId }
  | { readonly kind: "disconnected"; readonly peer: PeerId }
  | { readonly kind: "frame"; readonly peer: PeerId; readonly frame: Uint8Array }
  /** What the peer sends is not even frames; nothing more of it can be read, whether it counted as connected or not yet. */
  | { readonly kind: "malformed"; readonly peer: PeerId }
  /** The connection took so many bytes of what was sent. */
  | { readonly kind: "taken"; readonly peer: PeerId; readonly bytes: number }
  | {
      readonly kind: "publish";
      readonly channel: number;
      readonly key: string;
      readonly publication: Publication;
    }
  | { readonly kind: "retract"; readonly channel: number; readonly key: string }
  /** What a channel wants has changed. */
  | { readonly kind: "reconsider"; readonly channel: number }
  /** What the peer has in the channel is to be handed over once more, where it is wanted: some of it was lost here. */
  | { readonly kind: "again"; readonly channel: number; readonly peer: PeerId }
  /** Ask peers in turn until one answers; all that are connected when none is named. */
  | {
      readonly kind: "ask";
      readonly id: string;
      readonly service: number;
      readonly body: Uint8Array;
      readonly peers: readonly PeerId[] | null;
      readonly deadline: TimeNs;
    }
  | { readonly kind: "forget"; readonly id: string }
  /** The answer to `asked`; null: nothing here. */
  | {
      readonly kind: "answer";
      readonly peer: PeerId;
      readonly number: number;
      readonly body: Uint8Array | null;
    }
  /** What the peer's input cost to judge, microseconds of processor time; `isInvalid`: and no honest peer sends such. */
  | { readonly kind: "cost"; readonly peer: PeerId; readonly cost: number; readonly isInvalid: boolean };

export type ExchangeEffect =
  | { readonly kind: "send"; readonly peer: PeerId; readonly frame: Uint8Array }
  /** Close the connection, and refuse new ones before `until`. */
  | { readonly kind: "drop"; readonly peer: PeerId; readonly reason: DropReason; readonly until: TimeNs }
  /** Read nothing more of the peer, or read again. */
  | { readonly kind: "pause"; readonly peer: PeerId; readonly isPaused: boolean }
  /** An artifact that is wanted, whole. Its content is the peer's word. */
  | {
      readonly kind: "artifact";
      readonly channel: number;
      readonly peer: PeerId;
      readonly label: Uint8Array;
      readonly body: Uint8Array;
      readonly parts: readonly Uint8Array[];
    }
  /** Nobody has it any more: a copy that was not taken over yet is not needed. */
  | { readonly kind: "withdrawn"; readonly channel: number; readonly label: Uint8Array }
  /** The channel has no room: it is not published. */
  | { readonly kind: "unpublished"; readonly channel: number; readonly key: string }
  /** Answer with `answer`. */
  | {
      readonly kind: "asked";
      readonly peer: PeerId;
      readonly service: number;
      readonly number: number;
      readonly body: Uint8Array;
    }
  | { readonly kind: "answered"; readonly id: string; readonly peer: PeerId; readonly body: Uint8Array }
  | { readonly kind: "unanswered"; readonly id: string; readonly reason: RefusalReason | "late" };
