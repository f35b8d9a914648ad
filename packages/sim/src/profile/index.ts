/** Profiles of instructions by function as data and as documents: the entry `@orrery/sim/profile`. */
export { type FlameGraphOptions, renderFlameGraph } from "./flame.ts";
export { profileToFolded, profileToSpeedscope } from "./formats.ts";
export { profileOfTrace, type TraceProfileOptions } from "./of-trace.ts";
export {
  type FunctionShare,
  functionShares,
  type ProfileNode,
  profileTotal,
  profileTree,
} from "./tree.ts";
