/** What users import: a network inside their process. */
export { createNetwork } from "./network.ts";
export {
  type Call,
  CallRejected,
  type ClockKind,
  type HeldMessage,
  type InstallOptions,
  type MessageRule,
  type Network,
  type NetworkOptions,
  type OutcallAnswer,
  type OutcallHandler,
  type OutcallRequest,
  type RealOutcalls,
  type Subnet,
  type SubnetKind,
  type Trace,
  type TraceCall,
  type TraceCause,
  type TraceMessage,
  type Traces,
} from "./types.ts";
