/**
 * Management calls whose answers come in a later round: those that need randomness nobody could know, the secrets of a subnet, or
 * the world outside (interface spec, "raw_rand", the methods on chain keys, "http_request"). What they ask for and what goes back
 * with the answer is part of the state, so that a restart knows it.
 */
import type { CanisterId, Height, TimeNs } from "@orrery/base";

interface PendingCaller {
  readonly from: CanisterId;
  readonly callbackId: number;
  /** Attached cycles that go back with the answer. */
  readonly refund: bigint;
}

interface PendingInRound extends PendingCaller {
  /** Of the round that took it. */
  readonly height: Height;
}

/** Answered by the subnet itself in the round after. */
export type PendingManagementCall =
  | (PendingInRound & { readonly kind: "raw_rand" })
  | (PendingInRound & {
      readonly kind: "sign_with_ecdsa";
      readonly keyName: string;
      readonly path: readonly Uint8Array[];
      /** 32 bytes. */
      readonly messageHash: Uint8Array;
    })
  | (PendingInRound & {
      readonly kind: "sign_with_schnorr";
      readonly algorithm: SchnorrAlgorithm;
      readonly keyName: string;
      readonly path: readonly Uint8Array[];
      readonly message: Uint8Array;
      /** BIP 341: 32 bytes or none; null: not a taproot signature. */
      readonly merkleRoot: Uint8Array | null;
    })
  | (PendingInRound & {
      readonly kind: "vetkd_derive_key";
      readonly keyName: string;
      readonly context: Uint8Array;
      readonly input: Uint8Array;
      /** 48 bytes. */
      readonly transportPublicKey: Uint8Array;
    });

export type SchnorrAlgorithm = "bip340secp256k1" | "ed25519";

export type OutcallMethod = "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH";

export interface HttpHeader {
  readonly name: string;
  readonly value: string;
}

/** An HTTPS outcall that waits for an answer from outside; `refund` is what has not been charged yet. */
export interface Outcall extends PendingCaller {
  readonly id: number;
  /** Block time of the round that took it. */
  readonly time: TimeNs;
  readonly url: string;
  readonly method: OutcallMethod;
  readonly headers: readonly HttpHeader[];
  readonly body: Uint8Array | null;
  /** Null: the limit of the method. */
  readonly maxResponseBytes: number | null;
  /** Query method of the caller, and what it is given beside the response. */
  readonly transform: { readonly method: string; readonly context: Uint8Array } | null;
  readonly replicated: boolean;
  /** Cycles that each node may spend where use is what is paid for; null: paid in advance. */
  readonly allowance: bigint | null;
}
