/** What a program says to the thread of its networks: making and ending them, calls to one of them, requests of the HTTPS interface. */
import type { MessagePort } from "node:worker_threads";
import type { TimeNs } from "@orrery/base";
import type {
  OutcallAnswer as Answer,
  CanisterCall,
  Instance,
  InstanceOptions,
  SubnetTopology,
} from "@orrery/sim/instance";
import type { Call, MessageRule, RealOutcalls } from "./types.ts";

export interface NetworkStart
  extends Pick<InstanceOptions, "topology" | "ids" | "seed" | "time" | "ingressBytesMax"> {
  /** What an earlier network saved, instead of a new one; null: a new one. */
  readonly state: Uint8Array | null;
  /** The state directory of a node's network to make a copy of; null: none. */
  readonly from: string | null;
  /** The clock follows the machine's. */
  readonly wall: boolean;
  /** Null: outcalls are answered by whoever has the network. */
  readonly outcalls: RealOutcalls | null;
}

/** An update on its way: both as texts, the request id in hex. */
export interface Submitted {
  readonly requestId: string;
  readonly subnetId: string;
}

/** Operations of a network that take and give plain data. */
export type Invocable =
  | "topology"
  | "setTime"
  | "setCertifiedTime"
  | "submitIngress"
  | "awaitIngress"
  | "ingressStatus"
  | "query"
  | "canisterExists"
  | "subnetOf"
  | "controllers"
  | "cycles"
  | "addCycles"
  | "stableMemory"
  | "setStableMemory"
  | "publicKey"
  | "pendingOutcalls"
  | "mockOutcall";

export type NetworkCall =
  | { readonly kind: "update"; readonly call: Call }
  /** Goes on waiting for the answer of an update. */
  | { readonly kind: "resume"; readonly subnetId: string; readonly requestId: string }
  | { readonly kind: "query"; readonly call: Call }
  | { readonly kind: "outcalls" }
  | {
      readonly kind: "answer_outcall";
      readonly subnetId: string;
      readonly id: number;
      readonly answer: Answer;
    }
  | { readonly kind: "time" }
  | { readonly kind: "advance"; readonly durationNs: bigint }
  | { readonly kind: "tick" }
  | { readonly kind: "trace"; readonly on: boolean }
  /** An update that is on its way: `Submitted`. */
  | { readonly kind: "submit"; readonly call: Call }
  /** From now on these canisters' executions are profiled; null: all. */
  | { readonly kind: "profile"; readonly canisters: readonly string[] | null }
  /** What a call of which this is the request id came to, or queries since: `ProfiledCall`. */
  | {
      readonly kind: "take_profile";
      readonly requestId: string | null;
      readonly names: ReadonlyMap<string, string>;
    }
  | { readonly kind: "take_traces" }
  | { readonly kind: "save" }
  | { readonly kind: "intercept"; readonly rules: readonly MessageRule[] }
  | { readonly kind: "held" }
  | { readonly kind: "release"; readonly ids: readonly number[] | undefined }
  | { readonly kind: "keeps_heap"; readonly canisterId: string }
  /** From the call to its answer, which is a `CallResult`. */
  | { readonly kind: "complete"; readonly call: CanisterCall }
  | {
      readonly kind: "invoke";
      readonly method: Invocable;
      readonly args: Parameters<Instance[Invocable]>;
    };

export type NetworkAnswer =
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

/** `id`: the network's number. */
export type ThreadCall =
  | {
      readonly kind: "open";
      readonly id: number;
      readonly start: NetworkStart;
      /** For calls whose answers somebody sleeps for, and what is set to 1 when one is in the port. */
      readonly sync: MessagePort;
      readonly signal: SharedArrayBuffer;
    }
  /** A copy of the network `of`, as it is now. */
  | {
      readonly kind: "fork";
      readonly id: number;
      readonly of: number;
      readonly sync: MessagePort;
      readonly signal: SharedArrayBuffer;
    }
  | { readonly kind: "ask"; readonly id: number; readonly call: NetworkCall }
  | { readonly kind: "http"; readonly id: number; readonly request: HttpCall }
  /** Answered with its port, at which it goes on by itself; 0 when it stopped to. */
  | { readonly kind: "live"; readonly id: number; readonly on: boolean }
  | { readonly kind: "close"; readonly id: number };

/** Answer to `open` and `fork`. */
export interface Opened {
  readonly rootKey: Uint8Array;
  /** Where canisters come to be that are made for no subnet in particular. */
  readonly mainSubnet: string;
  readonly subnets: readonly SubnetTopology[];
  readonly time: TimeNs;
}
