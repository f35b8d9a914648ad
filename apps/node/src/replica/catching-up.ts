/**
 * How a node that was away comes to the state of a catch-up package: it asks its peers for the blocks that it missed, in turn, until the
 * chain is whole (`block-fetch.ts`), executes them, and compares what comes of them with the package.
 */
import { equalBytes, type Height } from "@orrery/base";
import type { FinalizedBlock } from "@orrery/consensus";
import type { CatchUpPackage, MemberCrypto } from "@orrery/consensus/member";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { BlockFetch } from "./block-fetch.ts";
import { behind, diverged } from "./failures.ts";
import type { Voice } from "./voice.ts";

const RETRY_MS = 250;
/** Answers in a row that bring nothing, from all peers in turn: nobody has the blocks any more. */
const FRUITLESS_MAX = 120;

export interface CatchingUpOptions {
  readonly local: LocalSubnet;
  readonly crypto: MemberCrypto;
  readonly askBlocks: Voice["askBlocks"];
  /** Makes durable and executes; in order, and without gaps after the node's tip. */
  readonly apply: (finalized: FinalizedBlock) => void;
  /** The state is the package's. */
  readonly onDone: (height: Height) => void;
  readonly onFailure: (error: unknown) => void;
}

export class CatchingUp {
  readonly #options: CatchingUpOptions;
  #goal: Pick<CatchUpPackage, "height" | "stateHash"> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(options: CatchingUpOptions) {
    this.#options = options;
  }

  /** In place of an earlier package, if one was under way. */
  begin(catchUp: CatchUpPackage, tip: { readonly height: Height; readonly hash: Uint8Array }): void {
    this.#goal = catchUp;
    const { local, crypto, onFailure } = this.#options;
    // A state that is another one at a height of the past cannot be made good by later blocks.
    if (catchUp.height <= tip.height) {
      onFailure(diverged(catchUp.height));
      return;
    }
    const { subnetId, nodes } = local.info;
    const fetch = new BlockFetch({ tip, catchUp, subnetId, nodes, crypto });
    this.#run(fetch, catchUp).catch(onFailure);
  }

  /** `stateHash`: of the whole state, at catch-up heights. */
  executed(height: Height, stateHash: Uint8Array | null): void {
    const goal = this.#goal;
    if (goal === null || height !== goal.height || stateHash === null) return;
    this.#goal = null;
    if (equalBytes(stateHash, goal.stateHash)) this.#options.onDone(height);
    else this.#options.onFailure(diverged(height));
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #run(fetch: BlockFetch, catchUp: CatchUpPackage): Promise<void> {
    const own = fetch.next - 1;
    let fruitless = 0;
    while (!this.#stopped && this.#goal === catchUp) {
      const from = fetch.next;
      const records = await this.#options.askBlocks(from);
      if (this.#stopped || this.#goal !== catchUp) return;
      const chain = records === null ? null : fetch.take(records);
      if (chain !== null) {
        for (const finalized of chain) this.#options.apply(finalized);
        return;
      }
      fruitless = fetch.next > from ? 0 : fruitless + 1;
      if (fruitless > FRUITLESS_MAX) throw behind(own, catchUp.height);
      if (fruitless > 0) await this.#pause();
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#timer = setTimeout(resolve, RETRY_MS);
    });
  }
}
