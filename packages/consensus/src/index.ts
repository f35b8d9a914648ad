/** Floor 3, ordering of messages into blocks: the step function, the pool, the interfaces it needs. */
export * from "./ingress-pool.ts";
export * from "./step.ts";
export { isReplicaVersion } from "./summary-codec.ts";
export type * from "./types.ts";
