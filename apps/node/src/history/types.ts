/** What can be asked of a network's past, and what comes back: plain data, since the past runs on a thread of its own. */
import type { Height, TimeNs } from "@orrery/base";
import type { ProfiledCall } from "@orrery/sim/profile";
import type { Trace } from "@orrery/sim/trace";

export type HistoryAsk =
  /** The newest messages of users, the newest first. */
  | { readonly kind: "recent"; readonly count: number }
  /** A request id in hex or its first digits, `last`, or a canister's textual id: the newest message to it, or the newest thing it did. */
  | {
      readonly kind: "trace";
      readonly target: string;
      /** With the instructions of each execution by function. */
      readonly profile?: true;
    };

/** What a call would come to by function: it is made in a copy of the network only. Ids are texts. */
export interface ProfileAsk {
  readonly kind: "profile";
  readonly canisterId: string;
  readonly method: string;
  readonly arg: Uint8Array;
  readonly sender: string;
  /** As a query, which is in no block. */
  readonly query: boolean;
  /** What canisters are called in the profile, by id. */
  readonly names: ReadonlyMap<string, string>;
}

/** What can be asked of a state directory's network. */
export type NetworkAsk = HistoryAsk | ProfileAsk;

/** A message of a user as blocks have it, and what came of it. */
export interface PastMessage {
  /** Hex. */
  readonly requestId: string;
  readonly subnetId: string;
  /** Of the block that has it. */
  readonly height: Height;
  readonly time: TimeNs;
  readonly canisterId: string;
  readonly method: string;
  readonly sender: string;
}

export interface PastOutcome {
  readonly status: "received" | "processing" | "replied" | "rejected" | "done" | "dropped";
  /** Of a reject: its code and text. */
  readonly reject: { readonly errorCode: string; readonly message: string } | null;
  /** What it led to; null for messages that no canister executed. */
  readonly trace: Trace | null;
  /** Whether all that it led to is in the trace: otherwise it was not over in the newest block. */
  readonly isWhole: boolean;
}

/** What was compared while rounds ran again. */
export interface Checked {
  readonly rounds: number;
  /** Rounds whose root hash is on record, and is the same. */
  readonly same: number;
  /** The first round whose root hash is another. */
  readonly differs: { readonly subnetId: string; readonly height: Height } | null;
}

/** What is kept of a subnet's past. */
export interface Kept {
  readonly subnetId: string;
  /** The oldest and the newest block in the log; null when there is none. */
  readonly firstBlock: Height | null;
  readonly lastBlock: Height | null;
  /** The oldest round that can run again. */
  readonly firstRound: Height | null;
}

export interface RecentAnswer {
  readonly kind: "recent";
  /** `outcome` is null for those that were too long ago to run again for a list. */
  readonly messages: readonly { readonly message: PastMessage; readonly outcome: PastOutcome | null }[];
  readonly checked: Checked;
  readonly kept: readonly Kept[];
}

export interface TraceAnswer {
  readonly kind: "trace";
  /** Null: it is a timer's, a heartbeat's or their like. */
  readonly message: PastMessage | null;
  readonly outcome: PastOutcome;
  readonly checked: Checked;
  readonly kept: readonly Kept[];
}

export interface ProfileAnswer extends ProfiledCall {
  readonly kind: "profile";
  readonly reply: Uint8Array | null;
  /** Why there is no reply: "IC0503" and its text, or `call_pending`. */
  readonly error: { readonly code: string; readonly message: string } | null;
}

export type HistoryAnswer = RecentAnswer | TraceAnswer;

export type NetworkAnswer = HistoryAnswer | ProfileAnswer;

/** Where a long re-run is. */
export interface HistoryProgress {
  readonly subnetId: string;
  readonly height: Height;
  readonly last: Height;
}
