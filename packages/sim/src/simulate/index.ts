/** Simulated networks as a command runs them: faults by name, a verdict. */

export { Recorder } from "../subnet/recorder.ts";
export type { KeySource } from "../subnet/world-nodes.ts";
export { allFaults, drawnFaults, FAULT_NAMES, roundsToSee, unfit } from "./fault-list.ts";
export { decodeScenario, encodeScenario, type Scenario } from "./scenario.ts";
export { consensusShape, type Shape, type ShapeOptions } from "./shape.ts";
export { type ShrinkOptions, type Shrunk, shrink } from "./shrink.ts";
export {
  type SimulationOptions,
  type SimulationReport,
  simulate,
} from "./simulate.ts";
export { type TimelineOptions, timelineToHtml } from "./timeline.ts";
