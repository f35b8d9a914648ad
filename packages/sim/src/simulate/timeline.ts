/**
 * Rounds of simulated subnets as one page that needs nothing else: a lane for each node, blocks where and when they were made, by rank, and how
 * far they came; when each node had a block's state ahead of it; who was down, slow or cut off.
 */
import { documentOf, escaped } from "../page.ts";
import type { RecordedBlock, RecordedSpan, Recorder, SpanKind } from "../subnet/recorder.ts";
import { TIMELINE_STYLE } from "./timeline-style.ts";

export interface TimelineOptions {
  readonly title: string;
  /** Shown above, a line each. */
  readonly facts: readonly (readonly [name: string, text: string])[];
  /** Nodes at the lowest places that may misbehave. */
  readonly faulty: number;
  /** Nodes that are members from the start: those after them can take others' places. */
  readonly members: number;
}

const NS_PER_MS = 1_000_000n;
const PX_PER_SECOND = 120;
const LANE_PX = 30;
const AXIS_PX = 26;
const BLOCK_PX = 24;
const BLOCK_HEIGHT_PX = 18;
const RANKS_SHOWN = 3;
const LABELS_PX = 104;

const LEGEND: readonly (readonly [kind: string, text: string])[] = [
  ["block rank0 final", "final block of the leader"],
  ["block rank1 final", "of rank 1"],
  ["block rank2 final", "of a higher rank"],
  ["block rank0 notarized", "notarized, not final by itself"],
  ["block rank0 proposed", "proposed only"],
  ["delivered", "a node has the block and all before it"],
  ["down", "down"],
  ["slow", "slow"],
  ["cut", "cut off"],
  ["muted", "not heard by others"],
];

export function timelineToHtml(recorders: readonly Recorder[], options: TimelineOptions): string {
  const facts = options.facts
    .map(([name, text]) => `<dt>${escaped(name)}</dt><dd>${escaped(text)}</dd>`)
    .join("");
  const legend = LEGEND.map(
    ([kind, text]) =>
      `<span><svg width="30" height="18" aria-hidden="true">${sample(kind)}</svg>${escaped(text)}</span>`,
  ).join("");
  const sections = recorders.map((recorder, index) => section(recorder, index, options)).join("\n");
  return documentOf({
    title: options.title,
    style: TIMELINE_STYLE,
    body: `<header><h1>${escaped(options.title)}</h1><dl>${facts}</dl><p class="legend">${legend}</p></header>\n${sections}`,
    json: "null",
    script: "",
  });
}

function sample(kind: string): string {
  if (kind === "delivered") return '<circle class="delivered" cx="15" cy="9" r="3"/>';
  if (kind.startsWith("block")) return `<rect class="${kind}" x="3" y="2" width="24" height="14" rx="3"/>`;
  return `<rect class="span ${kind}" x="1" y="2" width="28" height="14"/>`;
}

/** Milliseconds since the start. */
function since(recorder: Recorder, at: bigint): number {
  return Number((at - (recorder.startedAt ?? at)) / NS_PER_MS);
}

function section(recorder: Recorder, index: number, { faulty, members }: TimelineOptions): string {
  const { nodeCount, endedAt, healedAt, twists } = recorder;
  const x = (at: bigint): number => Math.round((since(recorder, at) / 1_000) * PX_PER_SECOND * 10) / 10;
  const height = AXIS_PX + nodeCount * LANE_PX;
  const width = Math.ceil(x(endedAt)) + 40;
  const lanes = Array.from({ length: nodeCount }, (_, node) => {
    const y = AXIS_PX + node * LANE_PX;
    return `<rect class="lane${node % 2 === 0 ? "" : " odd"}" x="0" y="${y}" width="${width}" height="${LANE_PX}"/>`;
  });
  const labels = Array.from({ length: nodeCount }, (_, node) => {
    const y = AXIS_PX + node * LANE_PX + LANE_PX / 2 + 4;
    if (node < faulty) return `<text class="bad" x="12" y="${y}">node ${node} ⚠</text>`;
    return node < members
      ? `<text x="12" y="${y}">node ${node}</text>`
      : `<text class="dim" x="12" y="${y}">node ${node}, spare</text>`;
  });
  const healed =
    healedAt === null
      ? ""
      : `<line class="healed" x1="${x(healedAt)}" x2="${x(healedAt)}" y1="0" y2="${height}"/><text class="healedtext" x="${x(healedAt) + 5}" y="11">faults end</text>`;
  const ways = twists
    .map(({ kind, at }) => `${kind.replaceAll("_", " ")} from ${since(recorder, at) / 1_000} s`)
    .join(", ");
  return `<section><h2>subnet ${index}</h2>${ways === "" ? "" : `<p class="ways">⚠ misbehaves: ${escaped(ways)}</p>`}
<div class="chart"><svg class="labels" width="${LABELS_PX}" height="${height}">${labels.join("")}</svg>
<div class="scroll" tabindex="0" role="region" aria-label="Rounds of subnet ${index}"><svg width="${width}" height="${height}">
${lanes.join("")}${axis(recorder, x, height)}
${recorder.spans.map((span) => spanOf(recorder, span, x)).join("")}
${recorder.deliveries.map(({ node, height: at, at: when }) => `<circle class="delivered" cx="${x(when)}" cy="${AXIS_PX + node * LANE_PX + LANE_PX - 4}" r="2"><title>node ${node} has block ${at}</title></circle>`).join("")}
${recorder.blocks.map((block) => blockOf(recorder, block, x)).join("\n")}
${healed}</svg></div></div></section>`;
}

function axis(recorder: Recorder, x: (at: bigint) => number, height: number): string {
  const seconds = Math.floor(since(recorder, recorder.endedAt) / 1_000);
  const start = recorder.startedAt ?? 0n;
  return Array.from({ length: seconds + 1 }, (_, second) => {
    const at = x(start + BigInt(second) * 1_000n * NS_PER_MS);
    return `<line class="tick" x1="${at}" x2="${at}" y1="${AXIS_PX - 6}" y2="${height}"/><text class="dim" x="${at + 3}" y="${AXIS_PX - 4}">${second} s</text>`;
  }).join("");
}

const SPAN_TEXTS: Readonly<Record<SpanKind, string>> = {
  down: "is down",
  slow: "is slow",
  cut: "is cut off from the others",
  muted: "is not heard by the others",
};

function spanOf(
  recorder: Recorder,
  { node, kind, from, to }: RecordedSpan,
  x: (at: bigint) => number,
): string {
  const y = AXIS_PX + node * LANE_PX;
  const width = Math.max(2, x(to ?? recorder.endedAt) - x(from));
  const seconds = since(recorder, to ?? recorder.endedAt) - since(recorder, from);
  return `<rect class="span ${kind}" x="${x(from)}" y="${y + 1}" width="${width}" height="${LANE_PX - 2}"><title>node ${node} ${SPAN_TEXTS[kind]} for ${seconds / 1_000} s</title></rect>`;
}

function blockOf(recorder: Recorder, block: RecordedBlock, x: (at: bigint) => number): string {
  const { height, rank, maker, at, notarizedAt, finalizedAt } = block;
  const y = AXIS_PX + maker * LANE_PX + (LANE_PX - BLOCK_HEIGHT_PX) / 2 - 3;
  const after = (when: bigint | null, what: string): string =>
    when === null
      ? `never ${what} by itself`
      : `${what} after ${since(recorder, when) - since(recorder, at)} ms`;
  const came = finalizedAt !== null ? "final" : notarizedAt !== null ? "notarized" : "proposed";
  const text = `block ${height} of node ${maker}, rank ${rank}: ${after(notarizedAt, "notarized")}, ${after(finalizedAt, "final")}`;
  const shown = Math.min(rank, RANKS_SHOWN - 1);
  return `<g><title>${text}</title><rect class="block rank${shown} ${came}" x="${x(at)}" y="${y}" width="${BLOCK_PX}" height="${BLOCK_HEIGHT_PX}" rx="3"/><text class="number ${came}" x="${x(at) + BLOCK_PX / 2}" y="${y + 13}">${height}</text></g>`;
}
