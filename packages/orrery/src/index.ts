/** What users import: a network inside their process. */
export {
  type Call,
  CallRejected,
  type ClockKind,
  createNetwork,
  type InstallOptions,
  type Network,
  type NetworkOptions,
} from "./network.ts";
