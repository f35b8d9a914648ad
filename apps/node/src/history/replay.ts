/** One subnet's past, run again: from a checkpoint through the blocks of its log, the way a start does, with every execution watched. */
import { assert, type Height, silentLogger, type TimeNs, toHex } from "@orrery/base";
import { batchOf, decodeFinalizedBlock, type FinalizedBlock } from "@orrery/consensus";
import type { ChainKeys } from "@orrery/crypto/chain-keys";
import { type TraceEvent, Tracer, tracingExecutor } from "@orrery/sim/instance";
import type { IngressStatus, ReplicatedState } from "@orrery/state";
import { openTip, type Tip } from "../tip.ts";
import type { PastSubnet } from "./network.ts";

export interface ReplayOptions {
  readonly subnet: PastSubnet;
  readonly creationSubnets: readonly string[];
  readonly genesisTime: TimeNs;
  readonly chainKeys: ChainKeys;
  /** Runs from the newest checkpoint below this round. */
  readonly from: Height;
}

export interface ReplayedRound {
  readonly height: Height;
  readonly events: readonly TraceEvent[];
  /** Whether its root hash is the one that was certified; null when that is not on record. */
  readonly same: boolean | null;
}

export class SubnetReplay {
  /** Executions tell which functions their instructions went to. */
  profiles = false;
  readonly #tip: Tip;
  readonly #tracer = new Tracer();
  readonly #blocks: IterableIterator<{ readonly bytes: Uint8Array }>;
  readonly #history: PastSubnet["history"];
  #next: FinalizedBlock | null = null;

  constructor(options: ReplayOptions) {
    const { local, history } = options.subnet;
    const { subnetId } = local.info;
    this.#history = history;
    this.#tip = openTip({
      source: { kind: "past", history, height: options.from - 1 },
      subnet: local.info,
      creationSubnets: options.creationSubnets,
      genesisTime: options.genesisTime,
      chainKeys: options.chainKeys,
      logger: silentLogger,
      profiling: () => this.profiles,
      executor: ({ state }) =>
        tracingExecutor(
          () => this.#tracer,
          () => ({ subnetId, height: state.height }),
          undefined,
        ),
    });
    this.#blocks = history.blocks(this.#tip.state.height + 1);
    this.#advance();
  }

  get state(): ReplicatedState {
    return this.#tip.state;
  }

  /** Of the next block, null after the newest. */
  get nextTime(): TimeNs | null {
    return this.#next?.proposal.block.context.time ?? null;
  }

  #advance(): void {
    const block = this.#blocks.next();
    this.#next = block.done === true ? null : decodeFinalizedBlock(block.value.bytes);
  }

  round(): ReplayedRound {
    assert(this.#next !== null, "there is a block");
    const { height, rootHash } = this.#tip.apply(batchOf(this.#next));
    this.#tip.reclaim(height);
    this.#advance();
    const certified = this.#history.rootHash(height);
    const same = certified === null ? null : toHex(certified) === toHex(rootHash);
    return { height, events: this.#tracer.take(), same };
  }

  /** Of a message whose request id is given in hex; null when it is not known, or not any more. */
  statusOf(requestId: string): IngressStatus | null {
    return this.#tip.state.ingressHistory.get(requestId)?.status ?? null;
  }
}
