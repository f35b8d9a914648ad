/**
 * How a node comes back to its subnet: by the blocks that it missed, by the state of a catch-up package where these do not lead there or its own state is
 * another one, and what it shows meanwhile: nothing of a state that is not the subnet's.
 */
import { type Height, type Logger, principalToText, type SubnetId } from "@orrery/base";
import type { FinalizedBlock } from "@orrery/consensus";
import type { CatchUpPackage, Epoch, MemberCrypto } from "@orrery/consensus/member";
import type { LocalSubnet } from "@orrery/execution/local-network";
import type { SubnetThreads } from "../rounds.ts";
import { Alarm } from "./alarm.ts";
import { blame } from "./blame.ts";
import { CatchingUp } from "./catching-up.ts";
import { stateDiverges, stateFetched } from "./failures.ts";
import type { Healings } from "./healings.ts";
import { StateFetch } from "./state-fetch.ts";
import { Tapes, type TapesOptions } from "./tapes.ts";
import type { Voice } from "./voice.ts";

type CatchUp = Pick<CatchUpPackage, "height" | "block" | "stateHash">;

export interface RecoveryOptions {
  readonly local: Pick<LocalSubnet, "info">;
  readonly keys: {
    readonly crypto: Pick<MemberCrypto, "verify" | "verifyWhole">;
    readonly intervals: { readonly first: Epoch } | null;
  };
  readonly genesis: { readonly catchUpInterval?: number };
  readonly verifyBls: TapesOptions["verify"];
  readonly voice: Pick<Voice, "askBlocks" | "askState" | "report">;
  readonly threads: Pick<SubnetThreads, "state" | "blocks">;
  readonly logger: Logger;
  /** Makes durable and executes. */
  readonly apply: (finalized: FinalizedBlock) => void;
  /** This node's state is the package's. */
  readonly onSynced: (height: Height) => void;
  /** How often this process has taken the subnets' states in place of its own. */
  readonly healings: Healings;
  /** `state_fetched` where the node is to start again with what it fetched; `state_diverges` where that has not helped. */
  readonly onFailure: (error: unknown) => void;
}

function tapesOf({ keys, genesis, local, verifyBls, threads }: RecoveryOptions): Tapes | null {
  const { catchUpInterval } = genesis;
  if (keys.intervals === null || catchUpInterval === undefined) return null;
  return new Tapes({
    subnetId: local.info.subnetId as SubnetId,
    verify: verifyBls,
    first: { epoch: keys.intervals.first, length: catchUpInterval },
    blocks: (from) => threads.blocks(from),
  });
}

export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #blocks: CatchingUp;
  readonly #state: StateFetch;
  #divergedAt: Height | null = null;
  /** The newest package, for a node whose state is another one; null as long as it takes nothing for that. */
  #cure: CatchUp | null = null;
  readonly #pause = new Alarm(() => this.#fetch());

  constructor(options: RecoveryOptions) {
    this.#options = options;
    const { onFailure, threads } = options;
    const { crypto } = options.keys;
    const onLie = (peer: number, why: string): void => blame(options, peer, why);
    this.#state = new StateFetch({
      ...options,
      tapes: tapesOf(options),
      crypto,
      onLie,
      state: (call) => threads.state(call),
      onFetched: (height) => onFailure(stateFetched(height)),
    });
    this.#blocks = new CatchingUp({
      ...options,
      tapes: tapesOf(options),
      crypto,
      onLie,
      askBlocks: options.voice.askBlocks,
      onDone: (height) => {
        this.#state.end();
        options.onSynced(height);
      },
      fetchState: (catchUp) => {
        if (this.isDiverged) this.#heal(catchUp);
        else this.#state.begin(catchUp);
      },
    });
  }

  /** From some height on this node's state is not the subnet's. */
  get isDiverged(): boolean {
    return this.#divergedAt !== null;
  }

  begin(catchUp: CatchUpPackage, tip: { readonly height: Height; readonly hash: Uint8Array }): void {
    // No blocks lead from another state to the subnet's.
    if (this.isDiverged) this.#heal(catchUp);
    else this.#blocks.begin(catchUp, tip);
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

  /** At once the first time; later ones of a row wait, for the newest package then. */
  #heal(catchUp: CatchUp): void {
    const isUnderWay = this.#cure !== null;
    this.#cure = catchUp;
    if (isUnderWay) {
      if (!this.#pause.isSet) this.#fetch();
      return;
    }
    const { healings, local, logger, onFailure } = this.#options;
    const subnetId = local.info.subnetId as SubnetId;
    const pauseMs = healings.begin(subnetId);
    const times = healings.count(subnetId);
    if (pauseMs === null) {
      onFailure(stateDiverges(subnetId, this.#divergedAt ?? catchUp.height, times));
      return;
    }
    const text = "the subnet's state will take the place of this node's";
    logger.log("warn", text, { subnet: principalToText(subnetId), time: times, pauseMs });
    if (pauseMs === 0) this.#fetch();
    else this.#pause.set(pauseMs);
  }

  #fetch(): void {
    if (this.#cure !== null) this.#state.begin(this.#cure);
  }

  stop(): void {
    this.#pause.set(null);
    this.#blocks.stop();
    this.#state.stop();
  }
}
