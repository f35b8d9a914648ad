/** `ic-orrery/actor`: a canister's methods as functions, typed by its Candid service, on a network of `createNetwork`, in a page too. */
import type { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { type ActorCall, createActor as actorOn } from "../pic/actors.ts";
import type { Actor, ActorInterface } from "../pic/types.ts";
import type { Call, Network } from "../types.ts";

export type { Actor, ActorInterface } from "../pic/types.ts";

export interface ActorOptions {
  /** Who calls; the anonymous principal by default. */
  readonly sender?: Principal | string;
}

function principalOf(text: Principal | string): Principal {
  return typeof text === "string" ? Principal.fromText(text) : text;
}

function callOf({ canisterId, method, arg, sender }: ActorCall): Call {
  return { canisterId: canisterId.toText(), method, arg, sender: sender.toText() };
}

/**
 * The service's methods, and `setIdentity` and `setPrincipal`, which say who calls from now on: nobody signs here. `idlFactory` and the type `T` come from the canister's bindings (`@icp-sdk/bindgen` makes them). Methods reject with `CallRejected`, and with
 * `call_pending` when they wait for something that does not come by itself.
 */
export function createActor<T extends ActorInterface<T>>(
  network: Pick<Network, "query" | "update">,
  idlFactory: IDL.InterfaceFactory,
  canisterId: Principal | string,
  { sender }: ActorOptions = {},
): Actor<T> {
  const actor = actorOn<T>(
    {
      query: async (call) => network.query(callOf(call)),
      update: async (call) => network.update(callOf(call)),
    },
    idlFactory,
    principalOf(canisterId),
  );
  if (sender !== undefined) actor.setPrincipal(principalOf(sender));
  return actor;
}
