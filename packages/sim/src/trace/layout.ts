/**
 * Where executions stand on a time axis, for whatever draws them: a track for each canister, on which nothing overlaps, and each execution
 * after what led to it. Rounds have one time and execution has none that replicas agree on, so an instruction counts as a nanosecond;
 * the axis of times puts nothing before its round.
 */
import { withContinuations } from "./tree.ts";
import type { Trace, TraceCall, TraceMessage } from "./types.ts";

export type TimeAxis = "instructions" | "time";

/** An execution on its track, by its position in the list. */
export interface Span {
  readonly canisterId: string;
  readonly message: TraceMessage;
  /** The call that it is there for, and the execution that made it; null at the roots, and for callbacks the one of their context. */
  readonly call: TraceCall | null;
  readonly caller: number | null;
  readonly root: Trace;
  /** Nanoseconds from the first. */
  start: number;
  end: number;
}

/** From the execution that called or responded to the one that came of it. */
export interface Link {
  readonly kind: "call" | "response";
  readonly from: number;
  readonly to: number;
  readonly method: string;
  /** Which of so many links of its kind that leave there. */
  readonly place: number;
  readonly places: number;
}

export interface Layout {
  readonly spans: readonly Span[];
  readonly links: readonly Link[];
  /** In the order in which they appear. */
  readonly tracks: readonly { readonly canisterId: string; readonly subnetId: string }[];
  readonly end: number;
}

interface Planned {
  readonly spans: Span[];
  readonly links: Link[];
  /** What must be over before, by span. */
  readonly after: number[][];
  /** Calls whose trees come later, by caller and number. */
  readonly continued: Map<string, Continued>;
}

interface Continued {
  readonly call: TraceCall;
  readonly by: number;
  readonly place: number;
  readonly places: number;
  /** Its callback, and the link there. */
  callback: { readonly span: number; readonly link: number } | null;
}

export function layoutOf(traces: readonly Trace[], axis: TimeAxis): Layout {
  const planned: Planned = { spans: [], links: [], after: [], continued: new Map() };
  for (const root of traces) {
    for (const tree of withContinuations(root)) planTree(planned, tree, root);
  }
  place(planned, axis);
  const tracks = new Map<string, string>();
  for (const { canisterId, message } of planned.spans) {
    if (!tracks.has(canisterId)) tracks.set(canisterId, message.subnetId);
  }
  return {
    spans: planned.spans,
    links: planned.links,
    tracks: [...tracks].map(([canisterId, subnetId]) => ({ canisterId, subnetId })),
    end: planned.spans.reduce((last, { end }) => Math.max(last, end), 0),
  };
}

/** Adds a root or what continues one, which is tied to its call and to the callback. */
function planTree(planned: Planned, tree: Trace, root: Trace): void {
  const { spans, links, after, continued } = planned;
  const { cause } = tree;
  const above =
    tree !== root && cause.kind === "call" ? continued.get(`${cause.from}:${cause.id}`) : undefined;
  if (above === undefined) {
    plan(planned, tree, { root, call: null, caller: null });
    return;
  }
  const { call, by, place, places, callback } = above;
  const first = spans.length;
  const answeredBy = plan(planned, tree, { root, call, caller: by });
  if (answeredBy === null) return;
  links.push({ kind: "call", from: by, to: first, method: call.method, place, places });
  if (callback === null) return;
  after[callback.span]?.push(answeredBy);
  links[callback.link] = { ...(links[callback.link] as Link), from: answeredBy };
}

/** Adds a call context with all that is below it; returns the span of its response, or of what it did last. */
function plan(planned: Planned, trace: Trace, origin: Pick<Span, "root" | "call" | "caller">): number | null {
  const { spans, links, after, continued } = planned;
  /** By number of the call: who made it, and who answered. */
  const calls = new Map<
    number,
    { readonly by: number; readonly answeredBy: number | null; readonly method: string }
  >();
  let before = origin.caller;
  let response: number | null = null;
  for (const message of trace.messages) {
    const id = spans.length;
    const { canisterId } = trace;
    spans.push({ canisterId, message, ...origin, start: 0, end: 0 });
    const answered = message.answers === null ? undefined : calls.get(message.answers);
    after.push([before, answered?.answeredBy ?? null].filter((one) => one !== null));
    if (answered !== undefined) {
      const { by, answeredBy, method } = answered;
      const cut = continued.get(`${canisterId}:${message.answers}`);
      if (cut !== undefined) cut.callback = { span: id, link: links.length };
      links.push({ kind: "response", from: answeredBy ?? by, to: id, method, place: 0, places: 1 });
    }
    for (const [i, call] of message.calls.entries()) {
      const first = spans.length;
      const answeredBy =
        call.trace === null ? null : plan(planned, call.trace, { root: origin.root, call, caller: id });
      calls.set(call.id, { by: id, answeredBy, method: call.method });
      const places = message.calls.length;
      if (call.isContinued)
        continued.set(`${canisterId}:${call.id}`, { call, by: id, place: i, places, callback: null });
      if (answeredBy === null) continue;
      links.push({ kind: "call", from: id, to: first, method: call.method, place: i, places });
    }
    if (message.response !== null || message.error !== null) response ??= id;
    before = id;
  }
  return response ?? (before === origin.caller ? null : before);
}

/** Gives each execution its place: what is ready goes in the order of rounds. */
function place({ spans, after }: Planned, axis: TimeAxis): void {
  const origin = spans.reduce(
    (first, { message }) => (message.time < first ? message.time : first),
    1n << 64n,
  );
  const waiting = after.map((all) => all.length);
  const next: number[][] = spans.map(() => []);
  for (const [id, all] of after.entries()) for (const one of all) next[one]?.push(id);
  const ready = new Ready(spans);
  for (const [id, count] of waiting.entries()) if (count === 0) ready.add(id);
  const free = new Map<string, number>();
  for (let id = ready.take(); id !== null; id = ready.take()) {
    const span = spans[id] as Span;
    const { message, canisterId } = span;
    const ends = (after[id] as readonly number[]).map((one) => (spans[one] as Span).end);
    const round = axis === "time" ? Number(message.time - origin) : 0;
    span.start = Math.max(round, free.get(canisterId) ?? 0, ...ends);
    span.end = span.start + Math.max(1, Number(message.instructions));
    free.set(canisterId, span.end);
    for (const one of next[id] as readonly number[]) {
      waiting[one] = (waiting[one] as number) - 1;
      if (waiting[one] === 0) ready.add(one);
    }
  }
}

/** What can go next, by the time of its round: a heap. */
class Ready {
  readonly #spans: readonly Span[];
  readonly #heap: number[] = [];

  constructor(spans: readonly Span[]) {
    this.#spans = spans;
  }

  #isBefore(a: number, b: number): boolean {
    const [first, second] = [this.#spans[a] as Span, this.#spans[b] as Span];
    const [one, other] = [first.message.time, second.message.time];
    return one === other ? a < b : one < other;
  }

  #swap(i: number, j: number): void {
    const [a, b] = [this.#heap[i] as number, this.#heap[j] as number];
    this.#heap[i] = b;
    this.#heap[j] = a;
  }

  add(id: number): void {
    const heap = this.#heap;
    heap.push(id);
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(heap[at] as number, heap[parent] as number)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  take(): number | null {
    const heap = this.#heap;
    const [first] = heap;
    if (first === undefined) return null;
    const last = heap.pop() as number;
    if (heap.length === 0) return first;
    heap[0] = last;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && this.#isBefore(heap[child] as number, heap[least] as number))
          least = child;
      }
      if (least === at) return first;
      this.#swap(at, least);
      at = least;
    }
  }
}
