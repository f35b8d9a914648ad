/** What a network says to its thread: calls answered at once, and requests of the HTTPS interface, which may take rounds. */
import type { TimeNs } from "@orrery/base";
import type { Call, OutcallAnswer, RealOutcalls, Subnet, SubnetKind } from "./types.ts";

export interface NetworkStart {
  readonly seed: Uint8Array;
  /** Beside the root. */
  readonly subnets: readonly SubnetKind[];
  readonly wall: boolean;
  readonly time: TimeNs;
  /** Null: outcalls are answered by whoever has the network. */
  readonly outcalls: RealOutcalls | null;
  /** Set to 1 when the answer of a synchronous call is in the port. */
  readonly signal: SharedArrayBuffer;
}

export type SyncCall =
  | { readonly kind: "update"; readonly call: Call }
  /** Goes on waiting for the answer of an update. */
  | { readonly kind: "resume"; readonly subnetId: string; readonly requestId: string }
  | { readonly kind: "query"; readonly call: Call }
  | { readonly kind: "outcalls" }
  | {
      readonly kind: "answer_outcall";
      readonly subnetId: string;
      readonly id: number;
      readonly answer: OutcallAnswer;
    }
  | { readonly kind: "time" }
  | { readonly kind: "advance"; readonly durationNs: bigint }
  | { readonly kind: "tick" }
  | { readonly kind: "keeps_heap"; readonly canisterId: string };

export type SyncAnswer =
  | { readonly ok: true; readonly value: unknown }
  | {
      readonly ok: false;
      readonly error: {
        readonly code: string;
        readonly message: string;
        readonly data: Readonly<Record<string, string | number | bigint | boolean | null>>;
      };
    };

export interface HttpCall {
  readonly method: string;
  readonly url: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
}

export interface Ready {
  readonly rootKey: Uint8Array;
  readonly subnetId: string;
  readonly subnets: readonly Subnet[];
}
