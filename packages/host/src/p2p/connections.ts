/**
 * How a node reaches its peers: all that the rest of it knows of sockets. Whatever brings whole frames, in any order, until it says that the
 * connection is over, can stand behind it: streams today (`tls-connections.ts`), QUIC when the runtime has it.
 */
import type { PeerId } from "@orrery/p2p";

export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

/** A member of the subnet, as the registry knows it. */
export interface PeerRecord {
  readonly id: PeerId;
  /** DER of its Ed25519 key. */
  readonly publicKey: Uint8Array;
  readonly address: PeerAddress;
}

export interface ConnectionListeners {
  /** The peer takes frames from now on; one before it is over. */
  onConnected(peer: PeerId): void;
  onDisconnected(peer: PeerId): void;
  onFrame(peer: PeerId, frame: Uint8Array): void;
  /** What the peer sends is no frames. */
  onMalformed(peer: PeerId): void;
  /** The system took so many bytes of what was sent. */
  onTaken(peer: PeerId, bytes: number): void;
  /** Somebody was not let in, or not reached as expected. */
  onRefused(reason: RefusedReason, peer: PeerId | null): void;
  /** A listener failed: a defect. */
  onFailure(error: unknown): void;
}

export type RefusedReason =
  /** Its key is no member's. */
  | "unknown_key"
  /** Another key than the one that was called. */
  | "wrong_key"
  /** It does not speak this protocol. */
  | "wrong_protocol"
  /** It is the one to be called, not to call. */
  | "wrong_side"
  /** It was dropped, and its time is not over. */
  | "banned"
  /** More connections are being opened than are let in at once. */
  | "too_many"
  /** It said nothing for too long. */
  | "silent";

export interface Connections {
  /** False when the peer is away: then the frame is lost. Whoever sends counts what is not taken, and waits. */
  send(peer: PeerId, frame: Uint8Array): boolean;
  /** Everybody who may connect, this node included; others are cut off. */
  setMembers(members: readonly PeerRecord[]): void;
  /** Cuts the peer off, and keeps it away for so long. */
  drop(peer: PeerId, forMs: number): void;
  /** Whether to read what the peer sends. */
  pause(peer: PeerId, isPaused: boolean): void;
  connected(): readonly PeerId[];
  /** Where this node listens. */
  readonly address: PeerAddress;
  close(): Promise<void>;
}

/** Time and timers, so that tests need not wait. */
export interface Timers {
  /** Of a clock that never goes back. */
  nowMs(): number;
  /** Calls once; returns what takes it back. */
  after(ms: number, call: () => void): () => void;
}

export const systemTimers: Timers = {
  nowMs: () => performance.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};
