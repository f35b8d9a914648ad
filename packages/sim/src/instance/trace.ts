/**
 * What happened in a network in one place, message by message. Watches executions from outside, through the executor that every round runs
 * its messages with, so that a network that is traced does exactly what it would do otherwise.
 */
import type { CanisterId, Height, Principal, SubnetId, TimeNs } from "@orrery/base";
import type { Executor, Job, JobResult, Partition } from "@orrery/execution";
import { inlineExecutor } from "@orrery/execution";
import type { CallContext, WasmClosure } from "@orrery/state";
import type { FunctionProfile } from "@orrery/wasm";
import type { InstanceHost } from "./types.ts";

/** Events that are kept at most. A long run of heartbeats is what fills it. */
const EVENTS_MAX = 100_000;
/** The oldest that go at once when one more comes: what moving the rest costs is shared by as many events. */
const EVENTS_DROPPED = EVENTS_MAX / 10;

export type TraceOrigin =
  | { readonly kind: "ingress"; readonly requestId: Uint8Array; readonly sender: Principal }
  | { readonly kind: "call"; readonly from: CanisterId; readonly callbackId: number }
  | { readonly kind: "task" };

/** What an execution was for. */
export type ExecutionKind =
  | "update"
  | "replicated_query"
  | "reply_callback"
  | "reject_callback"
  | "heartbeat"
  | "global_timer"
  | "on_low_wasm_memory"
  | "install"
  | "reinstall"
  | "upgrade";

/** What an execution answered its call context with. */
export type ExecutionResponse =
  | { readonly kind: "reply"; readonly bytes: number }
  | { readonly kind: "reject"; readonly message: string };

export interface TracedCall {
  /** Of the callback that waits for its response, at the caller. */
  readonly callbackId: number;
  readonly callee: CanisterId;
  readonly method: string;
  readonly argBytes: number;
  readonly cycles: bigint;
  readonly bestEffort: boolean;
  /** Its callbacks. */
  readonly reply: WasmClosure;
  readonly reject: WasmClosure;
}

/** One execution: a message, a callback, a task or an installation. Plain data. */
export interface TraceEvent {
  readonly subnetId: SubnetId;
  /** Of the round in which it ended. */
  readonly height: Height;
  /** Of the round in which it began. */
  readonly time: TimeNs;
  readonly rounds: number;
  readonly canisterId: CanisterId;
  readonly kind: ExecutionKind;
  /** Of updates and queries; the reject's text of reject callbacks. */
  readonly name: string | null;
  /** Number of its call context at the canister; null for installations. */
  readonly contextId: number | null;
  /** Which of the callbacks that its context waits for it is; null for all else. */
  readonly closure: WasmClosure | null;
  readonly origin: TraceOrigin;
  readonly instructions: bigint;
  /** Heap pages that it wrote, 4 KiB each. */
  readonly pagesWritten: number;
  /** What the balance came to, price, payments and what was accepted together; what is held for responses is spent by their callbacks. */
  readonly cycles: bigint;
  readonly error: { readonly code: number; readonly message: string } | null;
  /** What it printed, and of a trap what its log tells. */
  readonly logs: readonly Uint8Array[];
  readonly response: ExecutionResponse | null;
  readonly calls: readonly TracedCall[];
  /** Its instructions by function; null: its canister is not profiled. */
  readonly profile: FunctionProfile | null;
}

export class Tracer {
  #events: TraceEvent[] = [];
  /** The events since it was last asked, the last 90,000 of them at least. */
  take(): readonly TraceEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  add(event: TraceEvent): void {
    if (this.#events.length === EVENTS_MAX) this.#events.splice(0, EVENTS_DROPPED);
    this.#events.push(event);
  }
}

/** An executor that tells what ended, and what it printed; `scene` is asked when it did. */
export function tracingExecutor(
  tracer: () => Tracer | null,
  scene: () => { readonly subnetId: SubnetId; readonly height: Height },
  onPrint: InstanceHost["onPrint"],
): Executor {
  return {
    run(partitions, local): void {
      const watching = tracer();
      const heard = onPrint === undefined ? partitions : partitions.map((one) => printing(one, onPrint));
      inlineExecutor.run(
        watching === null ? heard : heard.map((one) => watched(one, watching, scene)),
        local,
      );
    },
  };
}

function printing(partition: Partition, onPrint: NonNullable<InstanceHost["onPrint"]>): Partition {
  return {
    next: () => partition.next(),
    done(job, result): void {
      const texts = result?.outcome.logs ?? [];
      if (texts.length > 0) onPrint(job.canister.meta.id, job.work.startTime, texts);
      partition.done(job, result);
    },
  };
}

function watched(
  partition: Partition,
  tracer: Tracer,
  scene: () => { readonly subnetId: SubnetId; readonly height: Height },
): Partition {
  return {
    next: () => partition.next(),
    done(job, result): void {
      if (result === null) {
        partition.done(job, result);
        return;
      }
      const { canister, work } = job;
      // What it was for is gone once it is done, and what it called has its numbers only then.
      const context = work.kind === "message" ? canister.callContexts.get(work.contextId) : undefined;
      const before = { origin: originOf(job, context), firstCallback: canister.nextCallbackId };
      partition.done(job, result);
      tracer.add({ ...scene(), ...eventOf(job, result, before) });
    },
  };
}

function originOf({ work }: Job, context: CallContext | undefined): TraceOrigin {
  if (work.kind === "install") {
    const { origin, sender } = work;
    if (origin.kind === "ingress") return { kind: "ingress", requestId: origin.requestId, sender };
    return { kind: "call", from: origin.from, callbackId: origin.callbackId };
  }
  const origin = context?.origin ?? { kind: "task" };
  if (origin.kind === "ingress") {
    return { kind: "ingress", requestId: origin.requestId, sender: origin.sender };
  }
  if (origin.kind === "task") return { kind: "task" };
  return { kind: "call", from: origin.from, callbackId: origin.callbackId };
}

function eventOf(
  { canister, work }: Job,
  { outcome }: JobResult,
  before: { readonly origin: TraceOrigin; readonly firstCallback: number },
): Omit<TraceEvent, "subnetId" | "height"> {
  const { effects, error } = outcome;
  const response = effects?.response ?? null;
  const held = (effects?.calls ?? []).reduce(
    (sum, call) => sum + call.prepaidExecution + call.prepaidTransmission,
    0n,
  );
  return {
    time: work.startTime,
    rounds: Math.max(1, work.slicesGranted),
    canisterId: canister.meta.id,
    kind: work.kind === "install" ? work.mode : work.entry.kind,
    name: work.kind === "install" ? null : nameOf(work.entry),
    contextId: work.kind === "install" ? null : work.contextId,
    closure: work.kind === "message" && "closure" in work.entry ? work.entry.closure : null,
    origin: before.origin,
    instructions: outcome.instructions,
    profile: outcome.profile ?? null,
    pagesWritten: outcome.heapPagesTouched,
    cycles: canister.meta.cycles + held - (work.balance + work.prepaid.cycles),
    error: error === null ? null : { code: error.code, message: error.message },
    logs: outcome.logs,
    response:
      response === null
        ? null
        : response.kind === "reply"
          ? { kind: "reply", bytes: response.data.length }
          : { kind: "reject", message: response.message },
    calls: (effects?.calls ?? []).map((call, i) => ({
      callbackId: before.firstCallback + i,
      callee: call.callee,
      method: call.methodName,
      argBytes: call.payload.length,
      cycles: call.cycles,
      bestEffort: call.timeoutSeconds !== null,
      reply: call.reply,
      reject: call.reject,
    })),
  };
}

function nameOf(entry: Extract<Job["work"], { kind: "message" }>["entry"]): string | null {
  if (entry.kind === "update" || entry.kind === "replicated_query") return entry.method;
  return entry.kind === "reject_callback" ? entry.message : null;
}
