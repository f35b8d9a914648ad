/** The counter fixture's interface (`canisters/fixtures/built/counter.did`). */
import { Actor, type ActorSubclass, type HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";

export interface Counter {
  inc(): Promise<bigint>;
  add(amount: bigint): Promise<bigint>;
  get(): Promise<bigint>;
  set(value: bigint): Promise<void>;
}

const service: IDL.InterfaceFactory = () =>
  IDL.Service({
    inc: IDL.Func([], [IDL.Nat]),
    add: IDL.Func([IDL.Nat], [IDL.Nat]),
    get: IDL.Func([], [IDL.Nat], ["query"]),
    set: IDL.Func([IDL.Nat], []),
  });

export function counterAt(agent: HttpAgent, canisterId: Principal): ActorSubclass<Counter> {
  return Actor.createActor<Counter>(service, { agent, canisterId });
}
