/** What all who open the networks of nodes have to agree on: the entry `@orrery/execution/node`; the genesis has one of its own. */
export { nodeLimits } from "./limits.ts";
export { type OpenedState, type OpenStateOptions, openState, type SystemCanister } from "./open-state.ts";
