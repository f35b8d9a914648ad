/** A network in one place, for tests and tools: the entry `@orrery/sim/instance`. */
export { SharedEngine } from "./engine.ts";
export { createInstance, openInstance } from "./instance.ts";
export type * from "./types.ts";
