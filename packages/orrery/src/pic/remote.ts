/** Calls of the PicJS interface on their way to the network: principals and Candid on this side, plain bytes on the other. */
import type { Principal } from "@icp-sdk/core/principal";
import { Principal as SdkPrincipal } from "@icp-sdk/core/principal";
import type { Principal as PrincipalBytes } from "@orrery/base";
import type { CallResult, CanisterCall, Instance, MessageId } from "@orrery/sim/instance";
import type { Invocable } from "../protocol.ts";
import type { RemoteNetwork } from "../thread.ts";
import type { Traces } from "../types.ts";
import type { ActorCall, ActorNetwork } from "./actors.ts";
import { callFailed, serverError } from "./errors.ts";
import type { SenderInfo } from "./types.ts";

/** A call with all that the interface lets one say about it. */
export interface FullCall extends ActorCall {
  readonly targetSubnetId?: Principal | undefined;
  readonly senderInfo?: SenderInfo | undefined;
}

/** The bytes of a principal, whichever copy of its class made it. */
export function bytesOf(principal: Principal): PrincipalBytes {
  return principal.toUint8Array() as PrincipalBytes;
}

export function principalOf(bytes: Uint8Array): Principal {
  return SdkPrincipal.fromUint8Array(bytes);
}

function canisterCall({
  canisterId,
  method,
  arg,
  sender,
  targetSubnetId,
  senderInfo,
}: FullCall): CanisterCall {
  return {
    sender: bytesOf(sender),
    canisterId: bytesOf(canisterId),
    method,
    arg: new Uint8Array(arg),
    ...(targetSubnetId === undefined
      ? {}
      : { effective: { kind: "subnet", id: bytesOf(targetSubnetId) } as const }),
    ...(senderInfo === undefined
      ? {}
      : { senderInfo: { info: senderInfo.info, signer: bytesOf(senderInfo.signer) } }),
  };
}

function replyOf(result: CallResult): Uint8Array {
  if (result.ok) return result.value;
  throw callFailed(result.error);
}

export class PicNetwork implements ActorNetwork<MessageId> {
  readonly #remote: RemoteNetwork;

  constructor(remote: RemoteNetwork) {
    this.#remote = remote;
  }

  async #known<T>(what: Promise<T>): Promise<T> {
    try {
      return await what;
    } catch (error) {
      throw serverError(error);
    }
  }

  invoke<M extends Invocable>(method: M, ...args: Parameters<Instance[M]>): Promise<ReturnType<Instance[M]>> {
    return this.#known(this.#remote.invoke(method, ...args));
  }

  time(): Promise<bigint> {
    return this.#known(this.#remote.call<bigint>({ kind: "time" }));
  }

  tick(): Promise<void> {
    return this.#known(this.#remote.call<void>({ kind: "tick" }));
  }

  trace(on: boolean): Promise<void> {
    return this.#known(this.#remote.call<void>({ kind: "trace", on }));
  }

  takeTraces(): Promise<Traces> {
    return this.#known(this.#remote.call<Traces>({ kind: "take_traces" }));
  }

  live(on: boolean): Promise<number> {
    return this.#known(this.#remote.live(on));
  }

  async query(call: FullCall): Promise<Uint8Array> {
    return replyOf(await this.invoke("query", canisterCall(call)));
  }

  async update(call: FullCall): Promise<Uint8Array> {
    const whole = this.#remote.call<CallResult>({ kind: "complete", call: canisterCall(call) });
    return replyOf(await this.#known(whole));
  }

  async submit(call: FullCall): Promise<MessageId> {
    const submitted = await this.invoke("submitIngress", canisterCall(call));
    if (submitted.ok) return submitted.value;
    throw callFailed(submitted.error);
  }

  async wait(id: MessageId): Promise<Uint8Array> {
    return replyOf(await this.invoke("awaitIngress", id));
  }

  async fork(): Promise<PicNetwork> {
    return new PicNetwork(await this.#known(this.#remote.fork()));
  }

  close(): Promise<void> {
    return this.#known(this.#remote.close());
  }
}
