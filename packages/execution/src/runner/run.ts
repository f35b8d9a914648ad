/**
 * One call into one instance: sets the counter, runs, and turns whatever comes back into a result. Only the two kinds of
 * exceptions that stand for a canister's failure are caught; any other is a bug of ours and goes on.
 */
import { utf8 } from "@orrery/base";
import type { WasmClosure } from "@orrery/state";
import { type CanisterInstance, type FunctionProfile, WasmTrap } from "@orrery/wasm";
import { maxOf, minOf } from "../bigints.ts";
import { shownTo, withBacktrace } from "../system-api/backtrace.ts";
import { CanisterFailure, type Failure, trapLogText } from "../system-api/failure.ts";
import type { MessageFrame } from "../system-api/frame.ts";
import type { Host } from "../system-api/host.ts";
import type { Live } from "./instances.ts";

/** What is called: an export, a closure of the table, or the start function. */
export type Target =
  | { readonly kind: "export"; readonly name: string }
  | { readonly kind: "closure"; readonly closure: WasmClosure }
  | { readonly kind: "start" };

export interface RunResult {
  readonly frame: MessageFrame;
  readonly failure: Failure | null;
  /** Never more than the frame's limit. */
  readonly instructions: bigint;
  /** False when the count is a lower bound: the trap was native and the form fast. */
  readonly exact: boolean;
  /** Of the profiling form; null in the others. */
  readonly profile: FunctionProfile | null;
}

function invoke(instance: CanisterInstance, target: Target): void {
  switch (target.kind) {
    case "export":
      instance.call(target.name);
      break;
    case "start":
      instance.start();
      break;
    case "closure": {
      const { fun, env } = target.closure;
      const is64 = instance.compiled.info.is64;
      instance.callTable(fun, is64 ? BigInt.asIntN(64, env) : Number(BigInt.asIntN(32, env)));
    }
  }
}

function failureOf(trap: WasmTrap, target: Target, frame: MessageFrame): Failure {
  switch (trap.kind) {
    case "out_of_instructions":
      return { kind: "instruction_limit", limit: frame.context.instructionLimit };
    case "bad_signature":
      return { kind: "toolchain_violation", text: trap.message };
    case "function_not_found":
      return {
        kind: "function_not_found",
        table: 0,
        index: target.kind === "closure" ? target.closure.fun : 0,
      };
    default:
      return { kind: "trapped", code: trap.message };
  }
}

/** What the counter is given next: no more than a step of the pace, and not beyond the end of a slice. */
function grant(frame: MessageFrame): bigint {
  const { pace, slice } = frame.context;
  let granted = frame.reserve;
  if (pace !== undefined) granted = minOf(granted, pace.slice);
  if (slice !== undefined)
    granted = minOf(granted, slice - ((frame.instructionLimit - frame.reserve) % slice));
  frame.reserve -= granted;
  return granted;
}

/**
 * The slice ends when all that it was given is executed. What an operation takes beyond that is the next one's; as much as that has
 * is too much. The last slice ends with the limit.
 */
function endSlice(frame: MessageFrame, counter: bigint): void {
  const { slice } = frame.context;
  if (slice === undefined) return;
  const given = frame.instructionLimit - frame.reserve;
  const end = ((given + slice - 1n) / slice) * slice;
  const executed = given - counter;
  if (end >= frame.instructionLimit || executed <= end) return;
  if (executed >= end + slice)
    throw new CanisterFailure({ kind: "slice_overrun", instructions: executed - frame.sliceStart, slice });
  frame.sliceStart = executed;
}

/** The counter is below zero: the next part of the limit, or the end of it. */
export function refill(host: Host): void {
  const { frame, instance } = host;
  const { pace, instructionLimit } = frame.context;
  let counter = instance.counter();
  endSlice(frame, counter);
  while (counter < 0n && frame.reserve > 0n) counter += grant(frame);
  if (counter < 0n) throw new WasmTrap("out_of_instructions", true);
  instance.setCounter(counter);
  pace?.report(instructionLimit - frame.reserve - counter);
}

/** Runs `target` with `frame`'s limit. Dirty pages are cleared before; afterwards they are the caller's to keep or undo. */
export function runTarget(live: Live, target: Target, frame: MessageFrame): RunResult {
  const { instance, host } = live;
  frame.reserve = frame.instructionLimit;
  frame.sliceStart = 0n;
  const first = grant(frame);
  instance.setCounter(first);
  host.enter(frame);
  let failure: Failure | null = null;
  let thrown: unknown = null;
  let exact = true;
  try {
    invoke(instance, target);
    frame.dropPending();
  } catch (cause) {
    thrown = cause;
    if (cause instanceof CanisterFailure) {
      failure = cause.failure;
      // Where slices began is exact in the exact form only.
      exact = failure.kind !== "slice_overrun" || instance.form !== "fast";
    } else if (cause instanceof WasmTrap) {
      failure = failureOf(cause, target, frame);
      exact = cause.exactCounter;
    } else throw cause;
  } finally {
    host.leave();
    live.spent = live.compiled.info.freshInstancePerMessage;
  }
  if (failure !== null) {
    failure = withBacktrace(failure, thrown, live.compiled);
    const text = trapLogText(failure);
    if (text !== null) frame.logs.push(utf8(text));
    failure = shownTo(failure, frame.meta, frame.context.caller);
  }
  const used = frame.instructionLimit - frame.reserve - instance.counter();
  const instructions = maxOf(0n, minOf(used, frame.instructionLimit));
  return { frame, failure, instructions, exact, profile: instance.takeProfile() };
}
