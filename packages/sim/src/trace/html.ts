/**
 * Traces as one page that needs nothing else: a timeline of canisters, the tree of executions and calls, what is known of each. It asks no
 * network, and texts that canisters chose stay texts.
 */
import { timeToText } from "@orrery/base";
import { documentOf, escaped } from "../page.ts";
import { type Layout, layoutOf } from "./layout.ts";
import { PAGE_SCRIPT } from "./page-script.ts";
import { PAGE_STYLE } from "./page-style.ts";
import { withContinuations } from "./tree.ts";
import type { Trace, TraceCall, TraceMessage } from "./types.ts";

export interface HtmlOptions {
  readonly title?: string;
  /** Shown above, a line each. */
  readonly facts?: readonly (readonly [name: string, text: string])[];
  readonly names?: ReadonlyMap<string, string>;
}

/** A line of the tree. */
interface Row {
  readonly parent: number | null;
  readonly depth: number;
  /** Of an execution: its place on the timeline. */
  readonly span: number | null;
  readonly track: number | null;
  readonly callee: string | null;
  readonly title: string;
  readonly outcome: string;
  readonly failed: boolean;
  /** Instructions: its own, and with what its calls led to. */
  readonly own: string | null;
  readonly total: string | null;
  readonly pages: string | null;
  readonly cycles: string | null;
  readonly round: string | null;
  readonly facts: readonly (readonly [name: string, text: string])[];
  readonly logs: readonly string[];
  readonly backtrace: readonly string[];
  /** What is searched. */
  readonly text: string;
}

interface Writing {
  readonly rows: Row[];
  readonly layout: Layout;
  readonly names: ReadonlyMap<string, string>;
  spans: number;
}

export function traceToHtml(traces: readonly Trace[], options: HtmlOptions = {}): string {
  const { title = titleOf(traces), facts = [], names = new Map<string, string>() } = options;
  const layout = layoutOf(traces, "instructions");
  const writing: Writing = { rows: [], layout, names, spans: 0 };
  for (const trace of traces.flatMap(withContinuations)) writeTrace(writing, trace, null, 0);
  const data = {
    tracks: layout.tracks.map((track) => ({
      ...track,
      name: names.get(track.canisterId) ?? track.canisterId,
    })),
    axes: { instructions: axisOf(layout), time: axisOf(layoutOf(traces, "time")) },
    links: layout.links.map(({ kind, from, to }) => [kind, from, to]),
    rows: writing.rows,
    total: `${traces.reduce((sum, { instructions }) => sum + instructions, 0n)}`,
  };
  return pageOf(title, facts, JSON.stringify(data));
}

function axisOf({ spans, end }: Layout): object {
  return { spans: spans.map((span) => [span.start, span.end]), end };
}

function titleOf(traces: readonly Trace[]): string {
  const [first] = traces;
  const [message] = first?.messages ?? [];
  const what = message === undefined ? "Nothing executed" : (message.name ?? message.kind);
  return traces.length > 1 ? `${what} and ${traces.length - 1} more` : what;
}

/** Returns what it took in all. */
function writeTrace(writing: Writing, trace: Trace, parent: number | null, depth: number): void {
  for (const message of trace.messages) writeMessage(writing, { trace, message, parent, depth });
}

function writeMessage(
  writing: Writing,
  place: {
    readonly trace: Trace;
    readonly message: TraceMessage;
    readonly parent: number | null;
    readonly depth: number;
  },
): void {
  const { rows, layout, names } = writing;
  const { trace, message, parent, depth } = place;
  const { canisterId } = trace;
  const id = rows.length;
  const total = message.calls.reduce(
    (sum, call) => sum + (call.trace?.instructions ?? 0n),
    message.instructions,
  );
  const title = message.kind === "reject_callback" ? message.kind : (message.name ?? message.kind);
  const { cause } = trace;
  const continues: readonly (readonly [string, string])[] =
    cause.kind === "call" && parent === null ? [["of", `call ${cause.id} of ${cause.from}`]] : [];
  const facts = [...factsOf(message, canisterId, names), ...continues];
  rows.push({
    ...{ parent, depth, span: writing.spans++, title },
    track: layout.tracks.findIndex((track) => track.canisterId === canisterId),
    callee: null,
    outcome: outcomeOf(message),
    failed: message.error !== null,
    own: `${message.instructions}`,
    total: `${total}`,
    pages: `${message.pagesWritten}`,
    cycles: `${message.cycles}`,
    round: `${message.height}`,
    facts,
    logs: message.logs,
    backtrace: message.backtrace,
    text: [title, ...facts.flat(), ...message.logs, ...message.backtrace].join("\n").toLowerCase(),
  });
  for (const call of message.calls) writeCall(writing, call, id, depth + 1);
}

function writeCall(writing: Writing, call: TraceCall, parent: number, depth: number): void {
  const { rows, names } = writing;
  const { callee, method, argBytes, cycles, bestEffort, trace, isContinued } = call;
  const id = rows.length;
  const facts: [string, string][] = [
    ["calls", names.get(callee) ?? callee],
    ["canister", callee],
    ["method", method],
    ["argument", `${argBytes} bytes`],
    ["cycles sent", `${cycles}`],
    ["response", bestEffort ? "best effort" : "guaranteed"],
    ...(isContinued ? [["continued", `in a tree of its own, call ${call.id}`] as [string, string]] : []),
  ];
  rows.push({
    ...{ parent, depth, span: null, track: null, callee: names.get(callee) ?? callee, title: method },
    outcome: trace !== null ? "" : isContinued ? "(continued in a tree of its own)" : "(no execution)",
    failed: false,
    own: null,
    total: trace === null ? null : `${trace.instructions}`,
    ...{ pages: null, cycles: null, round: null, facts, logs: [], backtrace: [] },
    text: facts.flat().join("\n").toLowerCase(),
  });
  if (trace !== null) writeTrace(writing, trace, id, depth + 1);
}

function outcomeOf({ error, response }: TraceMessage): string {
  if (error !== null) return error.code;
  if (response?.kind === "reply") return `replied, ${response.bytes} bytes`;
  return response?.kind === "reject" ? "rejected" : "";
}

function factsOf(
  message: TraceMessage,
  canisterId: string,
  names: ReadonlyMap<string, string>,
): readonly (readonly [string, string])[] {
  const { kind, name, time, height, rounds, instructions, pagesWritten, cycles, error, response } = message;
  const named = names.get(canisterId);
  return [
    ["kind", kind],
    ...(name === null ? [] : [[kind === "reject_callback" ? "reject" : "method", name] as const]),
    ["canister", named === undefined ? canisterId : `${named} (${canisterId})`],
    ["subnet", message.subnetId],
    ["round", rounds > 1 ? `${height}, the last of ${rounds}` : `${height}`],
    ["time", timeToText(time)],
    ["instructions", `${instructions}`],
    ["pages written", `${pagesWritten}`],
    ["cycles", `${cycles}`],
    ...(error === null ? [] : [["failed", `${error.code} ${error.message}`] as const]),
    ...(response?.kind === "reply" ? [["reply", `${response.bytes} bytes`] as const] : []),
    ...(response?.kind === "reject" ? [["reject", response.message] as const] : []),
  ];
}

function pageOf(title: string, facts: HtmlOptions["facts"] & object, data: string): string {
  const list = facts.map(([name, text]) => `<dt>${escaped(name)}</dt><dd>${escaped(text)}</dd>`).join("");
  const body = `<header>
<h1>${escaped(title)}</h1>
<dl>${list}</dl>
<div class="bar">
<input id="search" type="search" placeholder="Search methods, canisters, texts, functions" aria-label="Search">
<span id="found" role="status"></span>
<button id="open" type="button">Open all</button>
<button id="close" type="button">Close all</button>
<button id="axis-instructions" type="button" aria-pressed="true">By instructions</button>
<button id="axis-time" type="button" aria-pressed="false">By time of rounds</button>
</div>
</header>
<div id="timeline"></div>
<main>
<div id="tree" role="treegrid" tabindex="0" aria-label="Executions and calls"></div>
<aside id="details" aria-live="polite"></aside>
</main>`;
  return documentOf({ title, body, style: PAGE_STYLE, json: data, script: PAGE_SCRIPT });
}
