/** What users of the library say and get. */
import { OrreryError, type TimeNs } from "@orrery/base";
import type { ProfiledCall } from "@orrery/sim/profile";
import type { Trace } from "@orrery/sim/trace";

export type ClockKind = "virtual" | "wall";

export type SubnetKind = "application" | "system" | "verified_application" | "cloud_engine";

export interface Subnet {
  /** Textual principal. */
  readonly id: string;
  readonly kind: SubnetKind;
}

export interface NetworkOptions {
  /** Kinds of the subnets beside the root, which every network has; one application subnet by default. */
  readonly subnets?: readonly SubnetKind[];
  /** What an earlier network saved: it goes on with its subnets, its seed and its time. */
  readonly state?: Uint8Array;
  /**
   * State directory of a network of `orrery start`, running or not: this one is a copy of it as it is now, with its canisters, ids, cycles, time
   * and keys, and goes its own way in memory. The directory is only read, and whoever runs the network never hears of it.
   */
  readonly from?: string;
  /** 32 bytes; the same seed and the same calls give the same network. Zeros by default. */
  readonly seed?: Uint8Array;
  /**
   * `virtual` (the default): time moves only by `advanceTime` and by one nanosecond a round. `wall`: it follows the machine's, which
   * agents over `fetch` need, since they stamp requests with it.
   */
  readonly clock?: ClockKind;
  /** First instant of a virtual clock; 2021-05-06T19:17:10Z by default, or the instant of what it goes on from. */
  readonly time?: TimeNs;
  /**
   * What answers the canisters' HTTPS outcalls: a function, for tests; or how they are really made (`{}` as the public network does).
   * By default they wait for `answerOutcall`, or for a minute of the network's time.
   */
  readonly outcalls?: OutcallHandler | RealOutcalls;
}

/** An HTTPS outcall that a canister makes. */
export interface OutcallRequest {
  readonly subnetId: string;
  /** Its number on that subnet. */
  readonly id: number;
  readonly url: string;
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH";
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly body: Uint8Array | null;
  /** Headers and body of the response. */
  readonly maxResponseBytes: number;
}

export type OutcallAnswer =
  | {
      readonly status: number;
      readonly headers?: readonly { readonly name: string; readonly value: string }[];
      readonly body?: Uint8Array;
    }
  /** 1: it can never succeed; 2: it may, later. */
  | { readonly rejectCode: 1 | 2; readonly message: string };

export type OutcallHandler = (request: OutcallRequest) => OutcallAnswer;

export interface RealOutcalls {
  /** Certificates of authorities to trust instead of the usual ones, PEM. */
  readonly ca?: string;
  /** Also take `http:` URLs, which the public network does not. */
  readonly plainHttp?: boolean;
  /** Whether this machine and its network may be asked; true by default. */
  readonly privateAddresses?: boolean;
}

/** A call that did not end with a reply. */
export class CallRejected extends OrreryError {
  readonly rejectCode: number;
  /** "IC0503". */
  readonly errorCode: string | null;

  constructor(rejectCode: number, errorCode: string | null, text: string) {
    super("call_rejected", text, { data: { rejectCode, errorCode } });
    this.rejectCode = rejectCode;
    this.errorCode = errorCode;
  }
}

export interface Call {
  readonly canisterId: string;
  readonly method: string;
  /** Candid; an empty argument list by default. */
  readonly arg?: Uint8Array;
  /** Textual principal; the anonymous one by default. No signature is asked for. */
  readonly sender?: string;
  /** Goes to this subnet, whatever canister it is about: for creation. By default where the canister is, or to the first application subnet. */
  readonly subnetId?: string;
}

export interface InstallOptions {
  readonly canisterId: string;
  /** Module, raw or gzip. */
  readonly wasm: Uint8Array;
  readonly arg?: Uint8Array;
  readonly mode?: "install" | "reinstall" | "upgrade";
  readonly sender?: string;
}

/** How a canister's snapshot is brought here. */
export interface LoadOptions {
  /** Textual id that the canister gets; by default the one that the folder is named after. */
  readonly as?: string;
  /** Its balance; by default what networks give to new canisters. */
  readonly cycles?: bigint;
  /** Its controller; the anonymous principal by default. */
  readonly sender?: string;
}

/** What happens to messages between canisters on their way; the first rule that fits a message applies. */
export interface MessageRule {
  /** Canister ids; what is not there is any. */
  readonly from?: string;
  readonly to?: string;
  readonly kind?: "request" | "response";
  /** Of requests. */
  readonly method?: string;
  /** How many messages it applies to; all by default. */
  readonly times?: number;
  readonly action: /** Until it is released. */
    | { readonly kind: "hold" }
    | { readonly kind: "delay"; readonly durationMs: number }
    /** Messages of best-effort calls only, others always arrive: this one does not, and its caller learns by the deadline. */
    | { readonly kind: "drop" }
    /** Requests only: answered so instead of being delivered. */
    | { readonly kind: "reject"; readonly code: 1 | 2 | 3 | 4 | 5; readonly message: string };
}

export interface HeldMessage {
  readonly id: number;
  readonly kind: "request" | "response";
  readonly from: string;
  readonly to: string;
  /** Of requests. */
  readonly method: string | null;
  /** When it goes on by itself; null: when it is released. */
  readonly until: TimeNs | null;
}

export interface Traces {
  readonly traces: readonly Trace[];
  /** A line for each execution and call, indented by what led to it. */
  readonly text: string;
}

export interface ProfileOptions {
  /** As a query, which is in no block. */
  readonly query?: boolean;
  /** Whose executions are profiled; all canisters' by default. */
  readonly canisters?: readonly string[];
  /** What canisters are called in the profile, by id. */
  readonly names?: ReadonlyMap<string, string>;
}

/** What a call came to, in a copy of the network. */
export interface CallProfile extends ProfiledCall {
  /** Null when there is none. */
  readonly reply: Uint8Array | null;
  /** Why there is none: a `CallRejected`, or `call_pending` when the call waits for something that does not come by itself. */
  readonly error: OrreryError | null;
}

export interface Network {
  readonly url: string;
  /** DER, 133 bytes. */
  readonly rootKey: Uint8Array;
  /** Where canisters are created: the first application subnet. */
  readonly subnetId: string;
  /** The root first. */
  readonly subnets: readonly Subnet[];
  time(): TimeNs;
  /** Moves a virtual clock on and runs the rounds that became due. */
  advanceTime(durationMs: number): void;
  /** Runs one round of every subnet. */
  tick(): void;
  /** Outcalls that wait for an answer, the oldest of each subnet first. */
  pendingOutcalls(): readonly OutcallRequest[];
  /** Answers one of them and runs the rounds that became due; false when it does not wait any more. */
  answerOutcall(outcall: Pick<OutcallRequest, "subnetId" | "id">, answer: OutcallAnswer): boolean;
  /** What an `update` that ended with `call_pending` has come to; the error's data names it. */
  resume(pending: OrreryError): Uint8Array;
  createCanister(options?: {
    readonly cycles?: bigint;
    readonly sender?: string;
    readonly subnetId?: string;
  }): string;
  install(options: InstallOptions): void;
  /**
   * Brings a canister from elsewhere, with its state and under its own id: `directory` is what `icp canister snapshot download` filled. Ids of
   * the public network are fine. Returns the id; nothing is changed when the folder is not whole (`snapshot_folder_invalid`).
   */
  loadCanister(directory: string, options?: LoadOptions): string;
  /** The balance of a canister; `canister_unknown`. */
  cycles(canisterId: string): bigint;
  /** The reply's bytes; `CallRejected` otherwise. */
  update(call: Call): Uint8Array;
  query(call: Call): Uint8Array;
  /** Serves the HTTPS interface. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** From now on these rules for messages between canisters, and no others; what is held stays so. */
  intercept(rules: readonly MessageRule[]): void;
  heldMessages(): readonly HeldMessage[];
  /** Lets held messages go on, in this order and all when none are named, and runs the rounds that became due. */
  releaseMessages(ids?: readonly number[]): void;
  /** From now on what canisters execute is kept for `takeTraces`, or not any more. */
  trace(on: boolean): void;
  /** What was executed since it was last asked, as trees; queries are not in them. */
  takeTraces(): Traces;
  /**
   * Makes the call in a copy of the network, which is then thrown away, and tells which function of which canister executed how many
   * instructions, to the unit: for `renderFlameGraph`, `profileToFolded` and `profileToSpeedscope`. This network stays as it is.
   */
  profile(call: Call, options?: ProfileOptions): Promise<CallProfile>;
  /** Everything as bytes, for `state` of another network here or elsewhere. */
  save(): Uint8Array;
  /**
   * The same network in a second copy that goes its own way from here: for tests that begin where a long preparation ended. Costs
   * milliseconds, whatever the canisters hold.
   */
  fork(): Promise<Network>;
  /** Ends the network and gives its memory back; a program may also just end. */
  stop(): Promise<void>;
}
