/** Floor 3: ordering. */
export * from "./ingress-pool.ts";
export * from "./step.ts";
export type * from "./types.ts";
