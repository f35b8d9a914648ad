/** A network in one place, for tests and tools: the entry `@orrery/sim/instance`. */
export { archiveOf, openArchive } from "./archive.ts";
export { SharedEngine } from "./engine.ts";
export type { HeldMessage, MessageRule } from "./faults.ts";
export { createInstance, openInstance } from "./instance.ts";
export { joinInstance, type LoadedSubnet } from "./join.ts";
export { type TracedCall, type TraceEvent, type TraceOrigin, Tracer, tracingExecutor } from "./trace.ts";
export type * from "./types.ts";
