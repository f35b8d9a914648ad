/** The states that this node takes from others, one of a subnet at a time. */
import { equalBytes } from "@orrery/base";
import { type Disk, type StateAsk, StateReception } from "@orrery/state";
import type { About, SubnetIndex } from "../protocol.ts";
import type { ReceiveCall, StateName, StateTaken } from "./state-calls.ts";

interface Receiving {
  readonly stateHash: Uint8Array;
  readonly reception: StateReception;
}

export interface ReceptionsOptions {
  readonly diskOf: (subnet: SubnetIndex) => Disk;
  /** What the subnet's own state has, by hash in hexadecimal. */
  readonly ownOf: (subnet: SubnetIndex) => (hash: string) => Uint8Array | null;
}

export class Receptions {
  readonly #options: ReceptionsOptions;
  readonly #receiving = new Map<SubnetIndex, Receiving>();

  constructor(options: ReceptionsOptions) {
    this.#options = options;
  }

  answer(call: About<ReceiveCall>): StateAsk | StateTaken | null {
    switch (call.kind) {
      case "receive":
        this.#receive(call);
        return null;
      case "next":
        return this.#of(call)?.next() ?? null;
      case "take":
        return this.#take(call);
      case "finish":
        this.#of(call)?.finish(call.block);
        this.#receiving.delete(call.subnet);
        return null;
    }
  }

  #receive({ subnet, stateHash }: About<StateName>): void {
    this.#receiving.get(subnet)?.reception.close();
    const disk = this.#options.diskOf(subnet);
    const own = this.#options.ownOf(subnet);
    this.#receiving.set(subnet, { stateHash, reception: new StateReception({ disk, stateHash, own }) });
  }

  /** Null for a state that is not taken any more. */
  #of({ subnet, stateHash }: About<StateName>): StateReception | null {
    const known = this.#receiving.get(subnet);
    return known !== undefined && equalBytes(known.stateHash, stateHash) ? known.reception : null;
  }

  #take(call: About<Extract<ReceiveCall, { readonly kind: "take" }>>): StateTaken {
    const reception = this.#of(call);
    if (reception === null) return { fault: null, isWhole: false, missing: 0, chunks: 0 };
    const fault = reception.take(call.ask, call.told);
    return { fault, isWhole: reception.isWhole, ...reception.progress };
  }
}
