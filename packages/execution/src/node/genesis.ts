/** What a network begins with, and which store is which subnet's: the entry `@orrery/execution/genesis`, which executes nothing. */
export * from "./genesis-record.ts";
export { storeId } from "./store-id.ts";
