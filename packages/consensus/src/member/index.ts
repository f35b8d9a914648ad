/** One member of a subnet of many: artifacts, pool, duties, and the step over them. */
export * from "./artifacts.ts";
export * from "./committee.ts";
export { Member } from "./member.ts";
export type { Start } from "./pool.ts";
export type * from "./types.ts";
