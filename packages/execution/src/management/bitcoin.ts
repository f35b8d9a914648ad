/**
 * The methods on the Bitcoin network (interface spec, "The IC Bitcoin API"). They only pass requests on to the Bitcoin canisters, which
 * live on a subnet whose nodes are peers of the Bitcoin network; no node here is. A program calls those canisters themselves today,
 * and a local network can have them with a Bitcoin node of its own once it has an adapter for one.
 */
import type { Handler } from "./call.ts";

export const notConnected: Handler = (_, call) => ({
  kind: "reject",
  code: 4,
  message: `${call.method} is not offered here: this network is not connected to the Bitcoin network`,
});
