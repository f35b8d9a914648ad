/** The HTTP gateway, apart from the rest of the package so that a host loads it when it is first needed. */

export type { Inflate } from "./exchange.ts";
export { createGateway, type Gateway, type GatewayOptions } from "./gateway.ts";
export type { GatewayLimits } from "./limits.ts";
