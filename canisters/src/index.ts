/**
 * `@orrery/canisters`: the system canisters of a network, built and hash-locked. Built from Motoko by
 * `build.ts`; nothing here compiles.
 */

export { accountIdentifier, accountIdentifierHex, subaccountOf } from "./account.ts";
export {
  DEFAULT_FUNDING,
  DEFAULT_XDR_PERMYRIAD_PER_ICP,
  type Funding,
  GOVERNANCE_CANISTER_ID,
  type SystemGenesis,
} from "./init.ts";
export { type SystemCanister, systemCanisters } from "./system.ts";
