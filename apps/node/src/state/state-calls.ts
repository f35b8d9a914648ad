/** What main asks of the state thread: states that peers need, and a state that this node needs. */
import type { Height } from "@orrery/base";
import type { ReceptionProgress, StateAsk } from "@orrery/state";

/** The state of a catch-up package. */
export interface StateName {
  readonly height: Height;
  readonly stateHash: Uint8Array;
}

/** A part of a state, as a peer asks for it. */
export interface StateRequest extends StateName {
  readonly ask: StateAsk;
}

/**
 * Of a state of this node's past, for a peer: `Uint8Array[]`, the first of what was asked for; none when it is not here. Only the state of
 * the newest package, as this node knows it, is made for anybody; who began to take it has it to the end.
 */
export type TellCall = { readonly kind: "tell"; readonly newest: StateName | null } & StateRequest;

/** About a state that is taken from peers. */
export type ReceiveCall =
  /** Begins to take a state, in place of an earlier one of that subnet. */
  | ({ readonly kind: "receive" } & StateName)
  /** What to ask a peer for next: `StateAsk | null`. */
  | ({ readonly kind: "next" } & StateName)
  /** What a peer told; none when nobody did: `StateTaken`. */
  | ({ readonly kind: "take"; readonly told: readonly Uint8Array[] } & StateRequest)
  /** All of it is here, and this is the block of its height: the store takes it over when it is opened next. */
  | ({ readonly kind: "finish"; readonly block: Uint8Array } & StateName);

export type StateCall = TellCall | ReceiveCall;

export interface StateTaken extends ReceptionProgress {
  /** What no honest peer tells; null: nothing is wrong. */
  readonly fault: string | null;
  readonly isWhole: boolean;
}

/** Of an answer to a peer; at least one part is told, however long. */
export const TOLD_BYTES_MAX: number = 1 << 20;
