/**
 * What happened, as people and other programs are told it: ids as texts, plain data throughout. The library, the command and the
 * renderers have these types in common. A trace is a call context; what it called is below it.
 */
import type { Height, TimeNs } from "@orrery/base";
import type { FunctionProfile } from "@orrery/wasm";
import type { ExecutionKind, ExecutionResponse } from "../instance/trace.ts";

/** What a call context came from: a user's message, a canister's call that is above it or not in the trace, or a timer, a heartbeat and their like. */
export type TraceCause =
  | { readonly kind: "ingress"; readonly requestId: string; readonly sender: string }
  /** `id` as of `TraceCall`. */
  | { readonly kind: "call"; readonly from: string; readonly id: number }
  | { readonly kind: "task" };

export interface TraceCall {
  /** Of the callback that waits for its response, at the caller. */
  readonly id: number;
  readonly callee: string;
  readonly method: string;
  readonly argBytes: number;
  readonly cycles: bigint;
  readonly bestEffort: boolean;
  /** What the callee did; null when it was answered without an execution (the management canister, a reject), or is not yet. */
  readonly trace: Trace | null;
  /** There when what the callee did is one of the root's `continuations`, and `trace` null for that. */
  readonly isContinued?: true;
}

/** One execution. */
export interface TraceMessage {
  readonly subnetId: string;
  /** Of the round in which it ended. */
  readonly height: Height;
  readonly kind: ExecutionKind;
  /** The method; of reject callbacks the reject's text. */
  readonly name: string | null;
  /** Of callbacks: the `id` of the call that they answer, null when it was made before the trace began. */
  readonly answers: number | null;
  /** Of the round in which it began. */
  readonly time: TimeNs;
  readonly rounds: number;
  readonly instructions: bigint;
  /** Heap pages, 4 KiB each. */
  readonly pagesWritten: number;
  /** What the balance came to, price, payments and what was accepted together; what is held for responses is spent by their callbacks. */
  readonly cycles: bigint;
  /** "IC0503" and its text, as the caller was told. */
  readonly error: { readonly code: string; readonly message: string } | null;
  /** Of a trap: the canister's functions that were under way, the innermost first; empty without names. */
  readonly backtrace: readonly string[];
  /** What it printed. */
  readonly logs: readonly string[];
  readonly response: ExecutionResponse | null;
  readonly calls: readonly TraceCall[];
  /** Its instructions by function; not there: its canister was not profiled. */
  readonly profile?: FunctionProfile;
}

/** A message and all that it led to at its canister: callbacks in the order in which they ended. */
export interface Trace {
  readonly canisterId: string;
  readonly cause: TraceCause;
  readonly messages: readonly TraceMessage[];
  /** With all that is below, of roots with their continuations. */
  readonly instructions: bigint;
  /** Of roots: what is too many calls below, as trees of their own, each after the one that it continues. Their causes name the calls. */
  readonly continuations?: readonly Trace[];
}
