/** Profiles of instructions by function as data and as documents: the entry `@orrery/sim/profile`. */

export type { FunctionProfile, FunctionStack } from "@orrery/wasm";
export { type ProfiledCall, profiledMessage, profiledQueries, watchCall } from "./call.ts";
export { type FlameGraphOptions, renderFlameGraph } from "./flame.ts";
export { profileToFolded, profileToSpeedscope } from "./formats.ts";
export { type ProfileLabels, profileOfQueries, profileOfTrace } from "./of-trace.ts";
export {
  type FunctionShare,
  functionShares,
  type ProfileNode,
  profileTotal,
  profileTree,
} from "./tree.ts";
