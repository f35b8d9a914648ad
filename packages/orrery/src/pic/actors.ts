/** Actors over a network without signatures: methods of a Candid service as functions, sent as whoever one says. */
import type { Identity } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import type { Actor, ActorInterface, DeferredActor } from "./types.ts";

/** A call of an actor: its argument is encoded, its reply is not decoded yet. */
export interface ActorCall {
  readonly canisterId: Principal;
  readonly method: string;
  readonly arg: Uint8Array;
  readonly sender: Principal;
}

export interface ActorNetwork<Pending> {
  query(call: ActorCall): Promise<Uint8Array>;
  update(call: ActorCall): Promise<Uint8Array>;
  submit(call: ActorCall): Promise<Pending>;
  wait(pending: Pending): Promise<Uint8Array>;
}

/** No result is null, one is itself, more are a list. */
function resultOf(types: readonly IDL.Type[], reply: Uint8Array): unknown {
  const values = IDL.decode([...types], reply);
  return values.length === 0 ? null : values.length === 1 ? values[0] : values;
}

function isQuery({ annotations }: IDL.FuncClass): boolean {
  return annotations.includes("query") || annotations.includes("composite_query");
}

type Method = (...args: unknown[]) => Promise<unknown>;

/** An object with a method for each of the service's; `make` says what a method does with the encoded call. */
function actorOf(
  interfaceFactory: IDL.InterfaceFactory,
  canisterId: Principal,
  make: (func: IDL.FuncClass) => (call: ActorCall) => Promise<unknown>,
): object {
  let sender = Principal.anonymous();
  const service = interfaceFactory({ IDL });
  const methods = new Map<string, Method>();
  for (const [method, func] of service._fields) {
    const run = make(func);
    methods.set(method, (...args) => {
      const arg = new Uint8Array(IDL.encode(func.argTypes, args));
      return run({ canisterId, method, arg, sender });
    });
  }
  return {
    ...Object.fromEntries(methods),
    setPrincipal(principal: Principal): void {
      sender = principal;
    },
    setIdentity(identity: Identity): void {
      sender = identity.getPrincipal();
    },
  };
}

export function createActor<T extends ActorInterface<T>>(
  network: Pick<ActorNetwork<never>, "query" | "update">,
  interfaceFactory: IDL.InterfaceFactory,
  canisterId: Principal,
): Actor<T> {
  return actorOf(interfaceFactory, canisterId, (func) => async (call) => {
    const reply = await (isQuery(func) ? network.query(call) : network.update(call));
    return resultOf(func.retTypes, reply);
  }) as Actor<T>;
}

export function createDeferredActor<T extends ActorInterface<T>, Pending>(
  network: ActorNetwork<Pending>,
  interfaceFactory: IDL.InterfaceFactory,
  canisterId: Principal,
): DeferredActor<T> {
  return actorOf(interfaceFactory, canisterId, (func) => async (call) => {
    const pending = await network.submit(call);
    return async () => resultOf(func.retTypes, await network.wait(pending));
  }) as DeferredActor<T>;
}
