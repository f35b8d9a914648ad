/** One member of a subnet of many: artifacts, pool, duties, and the step over them. */

export * from "../summary-codec.ts";
export * from "./artifacts.ts";
export * from "./bounds.ts";
export * from "./committee.ts";
export * from "./dealings.ts";
export { Member } from "./member.ts";
export type { Pool, Round, Start } from "./pool.ts";
export * from "./schedule.ts";
export * from "./summary.ts";
export type * from "./types.ts";
export { windowTop } from "./validate.ts";
export { WAITING_BYTES_PER_SENDER_MAX, WAITING_PER_SENDER_MAX } from "./waiting.ts";
