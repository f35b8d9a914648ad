/** What users import: a network inside their process. */
export {
  type HtmlOptions,
  type PerfettoOptions,
  type TextOptions,
  type TimeAxis,
  type Trace,
  type TraceCall,
  type TraceCause,
  type TraceMessage,
  traceToHtml,
  traceToPerfetto,
  traceToText,
} from "@orrery/sim/trace";
export { createNetwork } from "./network.ts";
export {
  type Call,
  CallRejected,
  type ClockKind,
  type HeldMessage,
  type InstallOptions,
  type LoadOptions,
  type MessageRule,
  type Network,
  type NetworkOptions,
  type OutcallAnswer,
  type OutcallHandler,
  type OutcallRequest,
  type RealOutcalls,
  type Subnet,
  type SubnetKind,
  type Traces,
} from "./types.ts";
