/**
 * Traces for Perfetto and chrome://tracing: the trace event format's JSON, in which a subnet is a process, a canister a thread, an execution
 * a slice, and calls and responses are flows. Integers beyond 2^53 possible are texts in arguments.
 */
import { type Layout, type Link, layoutOf, type Span, type TimeAxis } from "./layout.ts";
import type { Trace, TraceMessage } from "./types.ts";

export interface PerfettoOptions {
  /** `instructions` by default: nothing but what was executed takes room. */
  readonly axis?: TimeAxis;
  readonly names?: ReadonlyMap<string, string>;
}

interface Place {
  readonly pid: number;
  readonly tid: number;
}

/** A slice does not hold its end. */
const NEARLY_ALL = 0.999;
/** Microseconds, as the format counts. */
const NS_PER_US = 1_000;

/** The document as text. */
export function traceToPerfetto(traces: readonly Trace[], options: PerfettoOptions = {}): string {
  const { axis = "instructions", names = new Map<string, string>() } = options;
  const layout = layoutOf(traces, axis);
  const { places, metadata } = placesOf(layout, names);
  const events = [
    ...metadata,
    ...layout.spans.map((span) => sliceOf(span, places.get(span.canisterId) as Place)),
    ...layout.links.flatMap((link, id) => flowOf(link, id, layout, places)),
  ];
  return JSON.stringify({
    displayTimeUnit: "ns",
    otherData: { axis, unit: "an instruction is a nanosecond" },
    traceEvents: events,
  });
}

function placesOf(
  { tracks }: Layout,
  names: ReadonlyMap<string, string>,
): { readonly places: ReadonlyMap<string, Place>; readonly metadata: readonly object[] } {
  const subnets = [...new Set(tracks.map(({ subnetId }) => subnetId))];
  const places = new Map<string, Place>();
  const metadata: object[] = subnets.map((id, i) => ({
    ph: "M",
    ...{ name: "process_name", pid: i + 1, tid: 0, args: { name: `subnet ${id}` } },
  }));
  for (const [i, { canisterId, subnetId }] of tracks.entries()) {
    const place = { pid: subnets.indexOf(subnetId) + 1, tid: i + 1 };
    places.set(canisterId, place);
    const name = names.get(canisterId);
    const label = name === undefined ? canisterId : `${name} (${canisterId})`;
    metadata.push({ ph: "M", name: "thread_name", ...place, args: { name: label } });
    metadata.push({ ph: "M", name: "thread_sort_index", ...place, args: { sort_index: i } });
  }
  return { places, metadata };
}

/** What a slice is called. */
export function titleOf({ kind, name }: Pick<TraceMessage, "kind" | "name">): string {
  return name === null || kind === "reject_callback" ? kind : name;
}

function sliceOf({ message, start, end }: Span, place: Place): object {
  const { kind, name, height, rounds, instructions, pagesWritten, cycles, error, response } = message;
  return {
    ph: "X",
    name: titleOf(message),
    cat: kind,
    ...place,
    ts: start / NS_PER_US,
    dur: (end - start) / NS_PER_US,
    ...(error === null ? {} : { cname: "terrible" }),
    args: {
      ...{ kind, name, round: height, rounds, instructions: `${instructions}`, cycles: `${cycles}` },
      pages_written: pagesWritten,
      ...(error === null ? {} : { error: `${error.code} ${error.message}` }),
      ...(response?.kind === "reply" ? { reply_bytes: response.bytes } : {}),
      ...(response?.kind === "reject" ? { reject: response.message } : {}),
      ...(message.backtrace.length === 0 ? {} : { backtrace: message.backtrace }),
      ...continuedOf(message),
      ...(message.logs.length === 0 ? {} : { logs: message.logs }),
    },
  };
}

/** Which of its calls are below in a tree of their own. */
function continuedOf({ calls }: TraceMessage): object {
  const ids = calls.filter(({ isContinued }) => isContinued).map(({ id }) => id);
  return ids.length === 0 ? {} : { continued_in_trees_of_their_own: ids };
}

/** Both ends within their slices: calls leave one after the other, responses at the end. */
function flowOf(
  link: Link,
  id: number,
  layout: Layout,
  places: ReadonlyMap<string, Place>,
): readonly object[] {
  const from = layout.spans[link.from] as Span;
  const to = layout.spans[link.to] as Span;
  const part = link.kind === "response" ? NEARLY_ALL : (link.place + 1) / (link.places + 1);
  const flow = { cat: link.kind, name: link.method, id: id + 1 };
  return [
    {
      ...{ ph: "s", ...flow, ...places.get(from.canisterId) },
      ts: (from.start + (from.end - from.start) * part) / NS_PER_US,
    },
    { ...{ ph: "f", bp: "e", ...flow, ...places.get(to.canisterId) }, ts: to.start / NS_PER_US },
  ];
}
