/**
 * How a node comes back to its subnet: by the blocks that it missed, by the state of a catch-up package where these do not lead there or its own state is
 * another one, and what it shows meanwhile: nothing of a state that is not the subnet's.
 */
import { type Height, type Logger, principalToText } from "@orrery/base";
import type { FinalizedBlock } from "@orrery/consensus";
import type { CatchUpPackage, MemberCrypto } from "@orrery/consensus/member";
import type { LocalSubnet } from "@orrery/execution/local-network";
import type { SubnetThreads } from "../rounds.ts";
import { blame } from "./blame.ts";
import { CatchingUp } from "./catching-up.ts";
import { stateFetched } from "./failures.ts";
import { StateFetch } from "./state-fetch.ts";
import type { Voice } from "./voice.ts";

export interface RecoveryOptions {
  readonly local: Pick<LocalSubnet, "info">;
  readonly keys: { readonly crypto: Pick<MemberCrypto, "verify" | "verifyWhole"> };
  readonly voice: Pick<Voice, "askBlocks" | "askState" | "report">;
  readonly threads: Pick<SubnetThreads, "state">;
  readonly logger: Logger;
  /** Makes durable and executes. */
  readonly apply: (finalized: FinalizedBlock) => void;
  /** This node's state is the package's. */
  readonly onSynced: (height: Height) => void;
  /** `state_fetched` where the node is to start again with what it fetched. */
  readonly onFailure: (error: unknown) => void;
}

export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #blocks: CatchingUp;
  readonly #state: StateFetch;
  #divergedAt: Height | null = null;

  constructor(options: RecoveryOptions) {
    this.#options = options;
    const { onFailure, threads } = options;
    const { crypto } = options.keys;
    const onLie = (peer: number, why: string): void => blame(options, peer, why);
    this.#state = new StateFetch({
      ...options,
      crypto,
      onLie,
      state: (call) => threads.state(call),
      onFetched: (height) => onFailure(stateFetched(height)),
    });
    this.#blocks = new CatchingUp({
      ...options,
      crypto,
      onLie,
      askBlocks: options.voice.askBlocks,
      onDone: options.onSynced,
      fetchState: (catchUp) => this.#state.begin(catchUp),
    });
  }

  /** From some height on this node's state is not the subnet's. */
  get isDiverged(): boolean {
    return this.#divergedAt !== null;
  }

  begin(catchUp: CatchUpPackage, tip: { readonly height: Height; readonly hash: Uint8Array }): void {
    this.#blocks.begin(catchUp, tip);
  }

  /** `stateHash`: of the whole state, at catch-up heights. */
  executed(height: Height, stateHash: Uint8Array | null): void {
    this.#blocks.executed(height, stateHash);
  }

  /** The member asks for the state of the newest package then, or of the next one. */
  diverged(height: Height): void {
    if (this.#divergedAt !== null) return;
    this.#divergedAt = height;
    const { logger, local } = this.#options;
    const subnet = principalToText(local.info.subnetId);
    logger.log(
      "error",
      "this node's state is not the one that its subnet certified; nothing of it is shown",
      {
        subnet,
        height,
      },
    );
  }

  stop(): void {
    this.#blocks.stop();
    this.#state.stop();
  }
}
