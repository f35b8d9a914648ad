/**
 * Executions under way: a message or an installation that began in one round and ends in a later one (docs/ARCHITECTURE.md, "Long
 * messages"). A record holds all that is needed to run it again from its start; what it did so far is never part of the state.
 * While a record stands at a canister, nothing but its queues, its charges that wait and the record itself changes.
 */
import type { CanisterId, Height, Principal, TimeNs } from "@orrery/base";
import type { BlobKey, RejectCode, WasmClosure } from "./types.ts";

/** Entry points of replicated execution (interface spec, "Entry points"); installations have their own record. */
export type ReplicatedEntry =
  | { readonly kind: "update"; readonly method: string; readonly arg: Uint8Array }
  | { readonly kind: "replicated_query"; readonly method: string; readonly arg: Uint8Array }
  | { readonly kind: "heartbeat" }
  | { readonly kind: "global_timer" }
  | { readonly kind: "on_low_wasm_memory" }
  | { readonly kind: "reply_callback"; readonly closure: WasmClosure; readonly arg: Uint8Array }
  | {
      readonly kind: "reject_callback";
      readonly closure: WasmClosure;
      readonly code: RejectCode;
      readonly message: string;
    };

/** Cycles held while a message runs. */
export interface Prepayment {
  readonly cycles: bigint;
  readonly instructionLimit: bigint;
  readonly is64: boolean;
}

interface WorkBase {
  readonly prepaid: Prepayment;
  /** Of the round in which it began; what it sees, whenever it ends. */
  readonly startTime: TimeNs;
  readonly startHeight: Height;
  readonly subnetMemoryAvailable: bigint;
  /** The balance that it sees, and the memory of its canister's messages, bytes. */
  readonly balance: bigint;
  readonly messageBytes: number;
  /** Has a partition of its own as long as it takes. */
  prioritized: boolean;
  /** Rounds that gave it a slice, the first included. */
  slicesGranted: number;
  /** Ingress that arrived meanwhile and is paid for when it ends. */
  inductionDebit: bigint;
}

/** A call, a task or a response's callback. */
export interface MessageWork extends WorkBase {
  readonly kind: "message";
  readonly contextId: number;
  readonly entry: ReplicatedEntry;
  /** Of the entry point; what it leaves of `totalLimit` is the cleanup callback's. */
  readonly instructionLimit: bigint;
  readonly totalLimit: bigint;
  /** What it may take of the subnet's memory for guaranteed responses, bytes, and of its callbacks, besides those assured. */
  readonly guaranteedBytesAvailable: number;
  readonly callbacksAvailable: number;
  /** Came back with the response; already in the balance. */
  readonly cyclesRefunded: bigint;
  /** Runs when the callback fails. */
  readonly cleanup: { readonly closure: WasmClosure; readonly rejectCode: RejectCode | 0 } | null;
}

export type WorkOrigin =
  | { readonly kind: "ingress"; readonly requestId: Uint8Array }
  | { readonly kind: "call"; readonly from: CanisterId; readonly callbackId: number };

/** `install_code` or `install_chunked_code`. */
export interface InstallWork extends WorkBase {
  readonly kind: "install";
  readonly origin: WorkOrigin;
  readonly sender: Principal;
  /** Attached; they go back with the answer. */
  readonly cycles: bigint;
  readonly mode: "install" | "reinstall" | "upgrade";
  readonly skipPreUpgrade: boolean;
  readonly persistence: "keep" | "replace" | null;
  readonly arg: Uint8Array;
  readonly senderVersion: bigint | null;
  /** The uploaded module; the record holds a reference. */
  readonly blob: BlobKey;
  /** What the subnet's custom sections may grow by, bytes. */
  readonly customSectionsAvailable: number;
  /** Charged besides compilation and execution. */
  readonly extraInstructions: bigint;
}

export type RunningWork = MessageWork | InstallWork;
