/** Floor 3: from a batch to the next certified state. */
export * from "./cycles.ts";
export * from "./error-codes.ts";
export * from "./fees.ts";
export * from "./limits.ts";
export type * from "./types.ts";
