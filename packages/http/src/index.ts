/** Floor 4: the HTTPS interface as functions from request to response. The public surface. */
export { type Api, type ApiOptions, createApi, type Fallback } from "./api.ts";
export { type CanisterHosts, createCanisterHosts } from "./canister-hosts.ts";
export {
  type ApiLimits,
  BODY_BYTES_MAX,
  DEFAULT_API_LIMITS,
  type EffectiveCanisterId,
  type Validate,
  validateWith,
} from "./context.ts";
export { destinationOf } from "./destination.ts";
export { createFetchHandler } from "./fetch-adapter.ts";
export { hostAllowed } from "./host-check.ts";
export {
  type HostedReplica,
  type HostingHooks,
  hostedNetwork,
  type NetworkSource,
} from "./hosted-network.ts";
export {
  type Awaitable,
  chain,
  type HeaderField,
  type HttpRequest,
  type HttpResponse,
  settle,
} from "./messages.ts";
export type * from "./replica-view.ts";
export { soleReplica } from "./replica-view.ts";
