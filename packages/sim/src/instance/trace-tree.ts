/** Traces as trees: what a user's message, a timer or a heartbeat led to, with everything below it, and that as text. */
import { type CanisterId, principalKey, principalToText, toHex } from "@orrery/base";
import type { TracedCall, TraceEvent, TraceOrigin } from "./trace.ts";

/** A call context: the message that opened it, its callbacks, and what it called. */
export interface TraceNode {
  readonly canisterId: CanisterId;
  readonly origin: TraceOrigin;
  /** In the order in which they ended. */
  readonly events: readonly TraceEvent[];
  readonly calls: readonly TraceBranch[];
  /** Of all its events and of everything below. */
  readonly instructions: bigint;
}

export interface TraceBranch extends TracedCall {
  /** What the callee did with it; null when it was answered without an execution, or is not yet. */
  readonly node: TraceNode | null;
}

interface Growing {
  readonly key: string;
  readonly canisterId: CanisterId;
  readonly origin: TraceOrigin;
  readonly events: TraceEvent[];
}

/** An installation is a context of its own. */
function contextKey({ canisterId, contextId, height }: TraceEvent, at: number): string {
  return `${principalKey(canisterId)}:${contextId ?? `install ${height} ${at}`}`;
}

const callKey = (from: Uint8Array, callbackId: number): string => `${principalKey(from)}:${callbackId}`;

/** The trees of everything that nobody in the trace called, in the order in which they began. */
export function traceTrees(events: readonly TraceEvent[]): readonly TraceNode[] {
  const contexts = new Map<string, Growing>();
  const called = new Map<string, Growing>();
  const made = new Set<string>();
  for (const [at, event] of events.entries()) {
    const key = contextKey(event, at);
    let context = contexts.get(key);
    if (context === undefined) {
      const { canisterId, origin } = event;
      context = { key, canisterId, origin, events: [] };
      contexts.set(key, context);
      if (origin.kind === "call") called.set(callKey(origin.from, origin.callbackId), context);
    }
    context.events.push(event);
    for (const { callbackId } of event.calls) made.add(callKey(event.canisterId, callbackId));
  }
  const isRoot = ({ origin }: Growing): boolean =>
    origin.kind !== "call" || !made.has(callKey(origin.from, origin.callbackId));
  return [...contexts.values()].filter(isRoot).map((context) => grown(context, called));
}

function grown({ canisterId, origin, events }: Growing, called: ReadonlyMap<string, Growing>): TraceNode {
  const calls = events.flatMap((event) =>
    event.calls.map((call): TraceBranch => {
      const below = called.get(callKey(canisterId, call.callbackId));
      return { ...call, node: below === undefined ? null : grown(below, called) };
    }),
  );
  const own = events.reduce((sum, { instructions }) => sum + instructions, 0n);
  const below = calls.reduce((sum, { node }) => sum + (node?.instructions ?? 0n), 0n);
  return { canisterId, origin, events, calls, instructions: own + below };
}

/** A line for each execution and each call, what it led to indented below it. */
export function traceText(trees: readonly TraceNode[]): string {
  return trees.flatMap((tree) => [headOf(tree.origin), ...linesOf(tree, "  ")]).join("\n");
}

function headOf(origin: TraceOrigin): string {
  if (origin.kind === "ingress")
    return `ingress ${toHex(origin.requestId)} from ${principalToText(origin.sender)}`;
  if (origin.kind === "task") return "task";
  return `call ${origin.callbackId} of ${principalToText(origin.from)}`;
}

function linesOf({ canisterId, events, calls }: TraceNode, indent: string): string[] {
  const branches = new Map(calls.map((call) => [call.callbackId, call]));
  return events.flatMap((event) => {
    const what = event.name === null ? event.kind : `${event.kind} ${JSON.stringify(event.name)}`;
    const line = `${indent}${principalToText(canisterId)} ${what}: ${endOf(event)}`;
    const below = event.calls.flatMap(({ callbackId }) =>
      branchLines(branches.get(callbackId), `${indent}  `),
    );
    return [line, ...below];
  });
}

function branchLines(call: TraceBranch | undefined, indent: string): string[] {
  if (call === undefined) return [];
  const { callee, method, argBytes, cycles, node } = call;
  const paid = cycles === 0n ? "" : `, ${cycles} cycles`;
  const line = `${indent}→ ${principalToText(callee)} ${JSON.stringify(method)} (${argBytes} bytes${paid})`;
  return [line, ...(node === null ? [] : linesOf(node, `${indent}  `))];
}

function endOf(event: TraceEvent): string {
  const { instructions, pagesWritten, rounds, error, response } = event;
  const facts = [`${instructions} instructions`, `${pagesWritten} pages`];
  if (rounds > 1) facts.push(`${rounds} rounds`);
  if (error !== null) facts.push(`failed: IC${String(error.code).padStart(4, "0")} ${error.message}`);
  else if (response?.kind === "reply") facts.push(`replied with ${response.bytes} bytes`);
  else if (response?.kind === "reject") facts.push(`rejected: ${response.message}`);
  return facts.join(", ");
}
