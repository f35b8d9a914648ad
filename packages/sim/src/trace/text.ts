/** Traces as text: a line for each execution and each call, what it led to indented below it. */
import { withContinuations } from "./tree.ts";
import type { Trace, TraceCall, TraceMessage } from "./types.ts";

export interface TextOptions {
  /** What people call these canisters, by id. */
  readonly names?: ReadonlyMap<string, string>;
}

export function traceToText(traces: readonly Trace[], options: TextOptions = {}): string {
  return traces
    .flatMap(withContinuations)
    .flatMap((trace) => [headOf(trace), ...linesOf(trace, "  ", options)])
    .join("\n");
}

function headOf({ cause }: Trace): string {
  if (cause.kind === "ingress") return `ingress ${cause.requestId} from ${cause.sender}`;
  return cause.kind === "task" ? "task" : `call ${cause.id} of ${cause.from}`;
}

function called(id: string, { names }: TextOptions): string {
  return names?.get(id) ?? id;
}

function linesOf({ canisterId, messages }: Trace, indent: string, options: TextOptions): string[] {
  return messages.flatMap((message) => {
    const { kind, name } = message;
    const what = name === null ? kind : `${kind} ${JSON.stringify(name)}`;
    return [
      `${indent}${called(canisterId, options)} ${what}: ${endOf(message)}`,
      ...message.backtrace.map((frame) => `${indent}    at ${frame}`),
      ...message.logs.flatMap((text) => text.split("\n").map((line) => `${indent}    | ${line}`)),
      ...message.calls.flatMap((call) => callLines(call, `${indent}  `, options)),
    ];
  });
}

function callLines(call: TraceCall, indent: string, options: TextOptions): string[] {
  const { id, callee, method, argBytes, cycles, trace, bestEffort, isContinued } = call;
  const facts = [`${argBytes} bytes`];
  if (cycles !== 0n) facts.push(`${cycles} cycles`);
  if (bestEffort) facts.push("best effort");
  if (isContinued) facts.push(`continued in a tree of its own, call ${id}`);
  const line = `${indent}→ ${called(callee, options)} ${JSON.stringify(method)} (${facts.join(", ")})`;
  return [line, ...(trace === null ? [] : linesOf(trace, `${indent}  `, options))];
}

function endOf(message: TraceMessage): string {
  const { instructions, pagesWritten, cycles, rounds, height, error, response } = message;
  const facts = [
    `${instructions} instructions`,
    `${pagesWritten} pages`,
    `${cycles} cycles`,
    `round ${height}`,
  ];
  if (rounds > 1) facts.push(`${rounds} rounds`);
  if (error !== null) facts.push(`failed: ${error.code} ${firstLine(error.message)}`);
  else if (response?.kind === "reply") facts.push(`replied with ${response.bytes} bytes`);
  else if (response?.kind === "reject") facts.push(`rejected: ${response.message}`);
  return facts.join(", ");
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] as string;
}
