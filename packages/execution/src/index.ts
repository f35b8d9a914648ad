/** Floor 3: from a batch to the next certified state. */
export * from "./error-codes.ts";
export type * from "./types.ts";
