/** A network in one place, for tests and tools: the entry `@orrery/sim/instance`. */
export type * from "./types.ts";
