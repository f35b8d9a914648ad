/** Traces as users of the library see them: ids as texts, and a text of the whole. */
import { principalToText, toHex } from "@orrery/base";
import { type TraceEvent, type TraceNode, traceText, traceTrees } from "@orrery/sim/instance";
import type { Trace, TraceCause, TraceMessage, Traces } from "./types.ts";

export function tracesOf(events: readonly TraceEvent[]): Traces {
  const trees = traceTrees(events);
  return { traces: trees.map(traceOf), text: traceText(trees) };
}

function causeOf({ origin }: TraceNode): TraceCause {
  switch (origin.kind) {
    case "ingress":
      return {
        kind: "ingress",
        requestId: toHex(origin.requestId),
        sender: principalToText(origin.sender),
      };
    case "call":
      return { kind: "call", from: principalToText(origin.from) };
    default:
      return { kind: "task" };
  }
}

function traceOf(node: TraceNode): Trace {
  const branches = new Map(node.calls.map((call) => [call.callbackId, call]));
  return {
    canisterId: principalToText(node.canisterId),
    cause: causeOf(node),
    instructions: node.instructions,
    messages: node.events.map((event): TraceMessage => {
      const { kind, name, time, rounds, instructions, pagesWritten, cycles, error, response } = event;
      return {
        subnetId: principalToText(event.subnetId),
        ...{ kind, name, time, rounds, instructions, pagesWritten, cycles, response },
        error: error === null ? null : { code: errorCode(error.code), message: error.message },
        calls: event.calls.map(({ callee, method, argBytes, cycles: paid, bestEffort, callbackId }) => {
          const below = branches.get(callbackId)?.node ?? null;
          return {
            ...{ callee: principalToText(callee), method, argBytes, cycles: paid, bestEffort },
            trace: below === null ? null : traceOf(below),
          };
        }),
      };
    }),
  };
}

function errorCode(code: number): string {
  return `IC${String(code).padStart(4, "0")}`;
}
