/** What users of the library say and get. */
import { OrreryError, type TimeNs } from "@orrery/base";

export type ClockKind = "virtual" | "wall";

export interface NetworkOptions {
  /** 32 bytes; the same seed and the same calls give the same network. Zeros by default. */
  readonly seed?: Uint8Array;
  /**
   * `virtual` (the default): time moves only by `advanceTime` and by one nanosecond a round. `wall`: it follows the machine's, which
   * agents over `fetch` need, since they stamp requests with it.
   */
  readonly clock?: ClockKind;
  /** First instant of a virtual clock; 2021-05-06T19:17:10Z by default. */
  readonly time?: TimeNs;
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
}

export interface InstallOptions {
  readonly canisterId: string;
  /** Module, raw or gzip. */
  readonly wasm: Uint8Array;
  readonly arg?: Uint8Array;
  readonly mode?: "install" | "reinstall" | "upgrade";
  readonly sender?: string;
}

export interface Network {
  readonly url: string;
  /** DER, 133 bytes. */
  readonly rootKey: Uint8Array;
  readonly subnetId: string;
  time(): TimeNs;
  /** Moves a virtual clock on and runs the rounds that became due. */
  advanceTime(durationMs: number): void;
  /** Runs one round. */
  tick(): void;
  createCanister(options?: { readonly cycles?: bigint; readonly sender?: string }): string;
  install(options: InstallOptions): void;
  /** The reply's bytes; `CallRejected` otherwise. */
  update(call: Call): Uint8Array;
  query(call: Call): Uint8Array;
  /** Serves the HTTPS interface. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Ends the network and its thread; a program may also just end. */
  stop(): Promise<void>;
}
