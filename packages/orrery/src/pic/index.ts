/** `ic-orrery/pic`: the interface of `@dfinity/pic`, so that tests switch by one import line. */
export { ServerError } from "./errors.ts";
export { createIdentity, generateRandomIdentity } from "./identity.ts";
export { PocketIc } from "./pocket-ic.ts";
export { PocketIcServer } from "./server.ts";
export type * from "./types.ts";
export {
  CanisterCyclesCostSchedule,
  CanisterHttpMethod,
  IcpConfigFlag,
  IcpFeaturesConfig,
  SubnetStateType,
  SubnetType,
} from "./types.ts";
