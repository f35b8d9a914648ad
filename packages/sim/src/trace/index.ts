/** Traces as data and as documents, for programs, the command and pages alike: the entry `@orrery/sim/trace`. */
export { type HtmlOptions, traceToHtml } from "./html.ts";
export type { TimeAxis } from "./layout.ts";
export { type PerfettoOptions, traceToPerfetto } from "./perfetto.ts";
export { type TextOptions, traceToText } from "./text.ts";
export { traceTrees, withContinuations } from "./tree.ts";
export type * from "./types.ts";
