/**
 * How a node that was away comes to the state of a catch-up package: it asks its peers for the blocks that it missed, in turn, until the
 * chain is whole (`block-fetch.ts`), executes them, few at a time so that the node goes on with its other work, and compares what comes of them
 * with the package. Where these are too many, or nobody has them, or this node's own state is another one, it takes the state (`state-fetch.ts`).
 */
import { setImmediate } from "node:timers/promises";
import { equalBytes, type Height } from "@orrery/base";
import type { FinalizedBlock } from "@orrery/consensus";
import { type CatchUpPackage, decodeSummary, type MemberCrypto } from "@orrery/consensus/member";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { BlockFetch, tapeOf } from "./block-fetch.ts";
import type { Tapes } from "./tapes.ts";
import type { ToldBlocks, Voice } from "./voice.ts";

const RETRY_MS = 250;
/** Answers in a row that bring nothing, from all peers in turn: nobody has the blocks any more. */
const FRUITLESS_MAX = 40;
/** Running so many blocks again takes about as long as taking a small state. */
const MISSED_BLOCKS_MAX = 1_000;
/** Blocks that execution has waiting: it is never idle, and memory does not hold them twice. */
const AHEAD_MAX = 8;

type Goal = Pick<CatchUpPackage, "height" | "block" | "stateHash">;

export interface CatchingUpOptions {
  readonly local: Pick<LocalSubnet, "info">;
  readonly crypto: Pick<MemberCrypto, "verify" | "verifyWhole">;
  readonly askBlocks: Voice["askBlocks"];
  /** Makes durable and executes; in order, and without gaps after the node's tip. */
  readonly apply: (finalized: FinalizedBlock) => void;
  /** The state is the package's. */
  readonly onDone: (height: Height) => void;
  /** Blocks do not lead to the state of the package. */
  readonly fetchState: (catchUp: Goal) => void;
  /** Judges tapes where their keys change; null where `crypto` knows them. */
  readonly tapes: Pick<Tapes, "beginAfter" | "learn" | "isRight"> | null;
  /** A peer told what no honest one does. */
  readonly onLie: (peer: number, why: string) => void;
  readonly onFailure: (error: unknown) => void;
}

/** The blocks up to this one are for another version of the program than those after it. */
function upgrades({ proposal: { block } }: FinalizedBlock): boolean {
  const { summary } = block.payload;
  return summary !== undefined && decodeSummary(summary).upgrades === true;
}

/** Who told the blocks, and who lied. */
interface Telling {
  readonly tellers: ReadonlyMap<Height, number>;
  readonly liars: Set<number>;
  readonly isOver: () => boolean;
}

export class CatchingUp {
  readonly #options: CatchingUpOptions;
  #goal: Goal | null = null;
  #executed: Height = 0;
  /** Goes on when something was executed. */
  #wake: (() => void) | null = null;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(options: CatchingUpOptions) {
    this.#options = options;
  }

  /** In place of an earlier package, if one was under way. */
  begin(catchUp: Goal, tip: { readonly height: Height; readonly hash: Uint8Array }): void {
    this.#goal = catchUp;
    const { local, crypto, onFailure } = this.#options;
    const missed = catchUp.height - tip.height;
    // A state that is another one at a height of the past cannot be made good by later blocks; a node that has none yet is new, or lost its disk.
    if (missed <= 0 || missed > MISSED_BLOCKS_MAX || tip.height === 0) {
      this.#giveUp(catchUp);
      return;
    }
    const { subnetId, nodes } = local.info;
    const fetch = new BlockFetch({ tip, catchUp, subnetId, nodes, crypto });
    const isOver = (): boolean => this.#stopped || this.#goal !== catchUp;
    this.#run(fetch, tip.height, isOver)
      .then((isReached) => {
        if (!isReached && !isOver()) this.#giveUp(catchUp);
      })
      .catch(onFailure);
  }

  /** `stateHash`: of the whole state, at catch-up heights. */
  executed(height: Height, stateHash: Uint8Array | null): void {
    this.#executed = height;
    this.#goOn();
    const goal = this.#goal;
    if (goal === null || height !== goal.height || stateHash === null) return;
    this.#goal = null;
    // What peers told beside the blocks, who made them, is not certain: another state need not be this node's fault.
    if (equalBytes(stateHash, goal.stateHash)) this.#options.onDone(height);
    else this.#options.fetchState(goal);
  }

  #giveUp(goal: Goal): void {
    this.#goal = null;
    this.#options.fetchState(goal);
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#goOn();
  }

  /** False where blocks do not lead there. */
  async #run(fetch: BlockFetch, tip: Height, isOver: () => boolean): Promise<boolean> {
    const liars = new Set<number>();
    const tellers = new Map<Height, number>();
    await this.#options.tapes?.beginAfter(tip);
    let fruitless = 0;
    while (!isOver()) {
      const from = fetch.next;
      const told = await this.#options.askBlocks(from, liars);
      if (isOver()) return true;
      const taken = told === null ? null : fetch.take(told.records);
      if (told !== null) for (let at = from; at > fetch.next; at--) tellers.set(at, told.peer);
      if (taken?.kind === "elsewhere" || taken?.kind === "too_many") return false;
      // What another version of the program executed is not executed here: its state is taken.
      if (taken?.kind === "whole" && taken.blocks.some(upgrades)) return false;
      if (taken?.kind === "whole") return await this.#apply(taken.blocks, { tellers, liars, isOver });
      if (told !== null && taken?.kind === "lie") {
        this.#options.onLie(told.peer, taken.why);
        liars.add(told.peer);
      }
      fruitless = fetch.next < from ? 0 : fruitless + 1;
      if (fruitless > FRUITLESS_MAX) return false;
      if (fruitless > 0) await this.#pause();
    }
    return true;
  }

  /** Blocks newest first; each is let go of when it is execution's. False where nobody has a block with its own tape. */
  async #apply(blocks: FinalizedBlock[], telling: Telling): Promise<boolean> {
    const { isOver } = telling;
    for (let next = blocks.pop(); next !== undefined; next = blocks.pop()) {
      const right = await this.#withTape(next, telling);
      if (isOver()) return true;
      if (right === null) return false;
      while (next.proposal.block.height > this.#executed + AHEAD_MAX) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        if (isOver()) return true;
      }
      this.#options.apply(right);
      await setImmediate();
      if (isOver()) return true;
    }
    return true;
  }

  /** The block with the tape that the subnet gave it: what is executed with another one would be another state. Null where nobody has it. */
  async #withTape(finalized: FinalizedBlock, telling: Telling): Promise<FinalizedBlock | null> {
    const { tapes, askBlocks, onLie } = this.#options;
    if (tapes === null) return finalized;
    const { height, payload } = finalized.proposal.block;
    if (payload.summary !== undefined) tapes.learn(height, decodeSummary(payload.summary));
    let tape: Uint8Array | null = finalized.tape;
    let peer = telling.tellers.get(height);
    for (let tries = 0; tries <= FRUITLESS_MAX; tries++) {
      const isRight = tape === null ? false : tapes.isRight(height, tape);
      if (isRight === null) return null;
      if (isRight && tape !== null) return { ...finalized, tape };
      if (peer === undefined) await this.#pause();
      else {
        onLie(peer, `block ${height} with another tape`);
        telling.liars.add(peer);
      }
      const told: ToldBlocks | null = await askBlocks(height, telling.liars);
      if (telling.isOver()) return null;
      peer = told?.peer;
      tape = told === null ? null : tapeOf(told.records[0], finalized);
    }
    return null;
  }

  #goOn(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#timer = setTimeout(resolve, RETRY_MS);
    });
  }
}
