/** What all who open the networks of nodes have to agree on: the entry `@orrery/execution/node`. */
export * from "./genesis-record.ts";
export { nodeLimits } from "./limits.ts";
export { type OpenedState, type OpenStateOptions, openState, type SystemCanister } from "./open-state.ts";
export { storeId } from "./store-id.ts";
