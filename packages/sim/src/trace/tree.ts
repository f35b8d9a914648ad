/** From executions to trees: what a user's message, a timer or a heartbeat led to, with everything below it. */
import { type CanisterId, principalKey, principalToText, toHex, utf8DecodeLossy } from "@orrery/base";
import type { TracedCall, TraceEvent, TraceOrigin } from "../instance/trace.ts";
import type { Trace, TraceCall, TraceCause, TraceMessage } from "./types.ts";

/** Contexts one below the other in one tree: who draws, copies or writes it recurses as deeply. */
const DEPTH_MAX = 256;

interface Growing {
  readonly canisterId: CanisterId;
  readonly origin: TraceOrigin;
  readonly events: TraceEvent[];
}

/** An installation is a context of its own. */
function contextKey({ canisterId, contextId, height }: TraceEvent, at: number): string {
  return `${principalKey(canisterId)}:${contextId ?? `install ${height} ${at}`}`;
}

const callKey = (from: Uint8Array, callbackId: number): string => `${principalKey(from)}:${callbackId}`;

/** The trees of everything that nobody in the trace called, in the order in which they began. Chains of any length are grown. */
export function traceTrees(events: readonly TraceEvent[]): readonly Trace[] {
  const contexts = new Map<string, Growing>();
  const called = new Map<string, Growing>();
  const made = new Set<string>();
  for (const [at, event] of events.entries()) {
    const key = contextKey(event, at);
    let context = contexts.get(key);
    if (context === undefined) {
      const { canisterId, origin } = event;
      context = { canisterId, origin, events: [] };
      contexts.set(key, context);
      if (origin.kind === "call") called.set(callKey(origin.from, origin.callbackId), context);
    }
    context.events.push(event);
    for (const { callbackId } of event.calls) made.add(callKey(event.canisterId, callbackId));
  }
  const isRoot = ({ origin }: Growing): boolean =>
    origin.kind !== "call" || !made.has(callKey(origin.from, origin.callbackId));
  return [...contexts.values()].filter(isRoot).map((context) => whole(context, called));
}

/** A tree and those that continue it, as a list. */
export function withContinuations(trace: Trace): readonly Trace[] {
  return [trace, ...(trace.continuations ?? [])];
}

function whole(root: Growing, called: ReadonlyMap<string, Growing>): Trace {
  const cut: Growing[] = [];
  const tree = grown(root, { called, cut, depth: 1 });
  if (cut.length === 0) return tree;
  const continuations: Trace[] = [];
  // It grows meanwhile.
  for (const context of cut) continuations.push(grown(context, { called, cut, depth: 1 }));
  const instructions = continuations.reduce((sum, one) => sum + one.instructions, tree.instructions);
  return { ...tree, instructions, continuations };
}

interface Surroundings {
  readonly called: ReadonlyMap<string, Growing>;
  /** Takes what would be too deep. */
  readonly cut: Growing[];
  readonly depth: number;
}

function grown({ canisterId, origin, events }: Growing, around: Surroundings): Trace {
  const { called, cut, depth } = around;
  /** Calls of the context that no callback has answered yet, in their order. */
  const waiting: TracedCall[] = [];
  const messages = events.map((event): TraceMessage => {
    const answers = answeredBy(event, waiting);
    waiting.push(...event.calls);
    const calls = event.calls.map((call): TraceCall => {
      const below = called.get(callKey(event.canisterId, call.callbackId));
      const { callbackId: id, callee, method, argBytes, cycles, bestEffort } = call;
      const facts = { id, callee: principalToText(callee), method, argBytes, cycles, bestEffort };
      if (below !== undefined && depth === DEPTH_MAX) {
        cut.push(below);
        return { ...facts, trace: null, isContinued: true };
      }
      const trace = below === undefined ? null : grown(below, { called, cut, depth: depth + 1 });
      return { ...facts, trace };
    });
    return messageOf(event, answers, calls);
  });
  const own = messages.reduce((sum, { instructions }) => sum + instructions, 0n);
  const below = messages
    .flatMap(({ calls }) => calls)
    .reduce((sum, { trace }) => sum + (trace?.instructions ?? 0n), 0n);
  return {
    canisterId: principalToText(canisterId),
    cause: causeOf(origin),
    messages,
    instructions: own + below,
  };
}

/** The call that a callback answers; it leaves the list of those that wait. */
function answeredBy({ closure, kind }: TraceEvent, waiting: TracedCall[]): number | null {
  if (closure === null) return null;
  const at = waiting.findIndex(({ reply, reject }) => {
    const expected = kind === "reply_callback" ? reply : reject;
    return expected.fun === closure.fun && expected.env === closure.env;
  });
  const [found] = at < 0 ? [] : waiting.splice(at, 1);
  return found?.callbackId ?? null;
}

function messageOf(event: TraceEvent, answers: number | null, calls: readonly TraceCall[]): TraceMessage {
  const { height, kind, name, time, rounds, instructions, pagesWritten, cycles, error, response } = event;
  const texts = event.logs.map(utf8DecodeLossy);
  const { logs, backtrace } = error === null ? { logs: texts, backtrace: [] } : withoutTrap(texts);
  return {
    subnetId: principalToText(event.subnetId),
    ...{ height, kind, name, answers, time, rounds, instructions, pagesWritten, cycles },
    error: error === null ? null : { code: errorCode(error.code), message: error.message },
    ...{ backtrace, logs, response, calls },
    ...(event.profile === null ? {} : { profile: event.profile }),
  };
}

const TRAP = "[TRAP]: ";
const BACKTRACE = "\nCanister Backtrace:\n";

/** The last record of a message that trapped says so, with the functions that were under way. */
function withoutTrap(texts: readonly string[]): Pick<TraceMessage, "logs" | "backtrace"> {
  const last = texts.at(-1);
  if (last === undefined || !last.startsWith(TRAP)) return { logs: texts, backtrace: [] };
  const at = last.indexOf(BACKTRACE);
  const frames = at < 0 ? [] : last.slice(at + BACKTRACE.length).split("\n");
  return { logs: texts.slice(0, -1), backtrace: frames.filter((frame) => frame !== "") };
}

function causeOf(origin: TraceOrigin): TraceCause {
  if (origin.kind === "task") return { kind: "task" };
  if (origin.kind === "call")
    return { kind: "call", from: principalToText(origin.from), id: origin.callbackId };
  return {
    kind: "ingress",
    requestId: toHex(origin.requestId),
    sender: principalToText(origin.sender),
  };
}

function errorCode(code: number): string {
  return `IC${String(code).padStart(4, "0")}`;
}
