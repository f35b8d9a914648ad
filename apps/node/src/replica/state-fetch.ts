/**
 * Brings a node to the state of a catch-up package by the state itself, from many peers at once (`StateReception`): where blocks cannot be
 * had or would take longer, and where this node's own state is another one than the subnet's. When all of it is here the node starts again
 * with it.
 */
import type { Height, Logger } from "@orrery/base";
import { encodeFinalizedBlock, type FinalizedBlock } from "@orrery/consensus";
import { type CatchUpPackage, decodeSummary, type MemberCrypto } from "@orrery/consensus/member";
import type { LocalSubnet } from "@orrery/execution/local-network";
import type { StateAsk } from "@orrery/state";
import type { ReceiveCall, StateName, StateTaken } from "../state/state-calls.ts";
import { BlockFetch } from "./block-fetch.ts";
import type { Tapes } from "./tapes.ts";
import type { Voice } from "./voice.ts";

/** Requests under way: enough for several peers at once, and a bound of memory. */
const LANES = 8;
const RETRY_MS = 250;
/** Requests in a row that nobody answers: peers do not have the state any more, and a newer one is asked for where there is one. */
const REFUSALS_MAX = 1;
/** Requests for which nothing is left wait for those under way. */
const WAIT_MS = 50;

export interface StateFetchOptions {
  readonly local: Pick<LocalSubnet, "info">;
  readonly crypto: Pick<MemberCrypto, "verify" | "verifyWhole">;
  readonly voice: Pick<Voice, "askState" | "askBlocks">;
  /** Judges tapes where their keys change; null where `crypto` knows them. */
  readonly tapes: Pick<Tapes, "learn" | "isRight"> | null;
  readonly state: <T>(call: ReceiveCall) => Promise<T>;
  readonly logger: Logger;
  /** The state is whole on the disk: the next start has it. */
  readonly onFetched: (height: Height) => void;
  readonly onLie: (peer: number, why: string) => void;
  readonly onFailure: (error: unknown) => void;
}

type Goal = Pick<CatchUpPackage, "height" | "block" | "stateHash">;

export class StateFetch {
  readonly #options: StateFetchOptions;
  #goal: Goal | null = null;
  #newest: Goal | null = null;
  /** Somebody has told something of the goal's state. */
  #isTold = false;
  #refusals = 0;
  #stopped = false;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #liars = new Set<number>();

  constructor(options: StateFetchOptions) {
    this.#options = options;
  }

  /**
   * When a part of the state of an earlier package is here that one goes on: blocks lead from there to this one. Otherwise, and where nobody has
   * that state any more, this one takes its place, and what came of the other is not asked for again.
   */
  begin(goal: Goal): void {
    this.#newest = goal;
    if (this.#goal === null || !this.#isTold) this.#start(goal);
  }

  #start(goal: Goal): void {
    this.#goal = goal;
    this.#isTold = false;
    this.#refusals = 0;
    const { logger, local, onFailure } = this.#options;
    logger.log("info", "the state of a catch-up package is fetched", {
      height: goal.height,
      type: local.info.type,
    });
    this.#run(goal).catch((error: unknown) => {
      if (!this.#isOver(goal)) onFailure(error);
    });
  }

  /** The node's own state has become the subnet's: no other one takes its place. */
  end(): void {
    this.#goal = null;
    this.#newest = null;
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #isOver(goal: Goal): boolean {
    return this.#stopped || this.#goal !== goal;
  }

  async #run(goal: Goal): Promise<void> {
    const { state, onFetched, logger } = this.#options;
    const name: StateName = { height: goal.height, stateHash: goal.stateHash };
    const began = performance.now();
    // First, since logs do not reach as far back any more when a large state is here.
    const block = await this.#block(goal);
    if (block === null) return;
    await state<null>({ kind: "receive", ...name });
    const lanes = Array.from({ length: LANES }, () => this.#lane(goal, name));
    const chunks = Math.max(...(await Promise.all(lanes)));
    if (this.#isOver(goal)) return;
    await state<null>({ kind: "finish", ...name, block });
    if (this.#isOver(goal)) return;
    const seconds = Math.round(performance.now() - began) / 1_000;
    logger.log("info", "the state of a catch-up package is here", { height: goal.height, chunks, seconds });
    onFetched(goal.height);
  }

  /** One request after the other, until nothing is missing; the number of chunks then. */
  async #lane(goal: Goal, name: StateName): Promise<number> {
    const { state } = this.#options;
    while (!this.#isOver(goal)) {
      const ask = await state<StateAsk | null>({ kind: "next", ...name });
      if (ask !== null && (await this.#fetch(goal, name, ask))) continue;
      const { isWhole, chunks } = await state<StateTaken>({ kind: "take", ...name, ask: NOTHING, told: [] });
      if (isWhole) return chunks;
      await this.#pause(ask === null ? WAIT_MS : RETRY_MS);
    }
    return 0;
  }

  /** Whether somebody answered. */
  async #fetch(goal: Goal, name: StateName, ask: StateAsk): Promise<boolean> {
    const { voice, state, onLie } = this.#options;
    const told = await voice.askState({ ...name, ask }, this.#liars);
    const taken = await state<StateTaken>({ kind: "take", ...name, ask, told: told?.parts ?? [] });
    if (told !== null && taken.fault !== null && !this.#isOver(goal)) {
      onLie(told.peer, taken.fault);
      this.#liars.add(told.peer);
    }
    if (this.#isOver(goal)) return true;
    if (told !== null && taken.fault === null) this.#isTold = true;
    this.#refusals = told === null ? this.#refusals + 1 : 0;
    const newest = this.#newest;
    if (this.#refusals > REFUSALS_MAX && newest !== null && newest !== this.#goal) this.#start(newest);
    return told !== null;
  }

  /** The package's block as logs keep it; null when nobody waits for it any more. */
  async #block(goal: Goal): Promise<Uint8Array | null> {
    const { local, crypto, voice, onLie } = this.#options;
    const { subnetId, nodes } = local.info;
    const { height, block } = goal;
    const tip = { height: height - 1, hash: block.parent };
    while (!this.#isOver(goal)) {
      const fetch = new BlockFetch({ tip, catchUp: goal, subnetId, nodes, crypto });
      const told = await voice.askBlocks(height, this.#liars);
      let taken = told === null ? null : fetch.take(told.records.slice(0, 1));
      const [finalized] = taken?.kind === "whole" ? taken.blocks : [];
      if (finalized !== undefined && this.#hasItsTape(finalized)) return encodeFinalizedBlock(finalized);
      if (finalized !== undefined) taken = { kind: "lie", why: `block ${height} with another tape` };
      if (told !== null && taken?.kind === "lie") {
        onLie(told.peer, taken.why);
        this.#liars.add(told.peer);
      }
      await this.#pause(RETRY_MS);
    }
    return null;
  }

  /** The block of a package begins an interval, and says with which keys. */
  #hasItsTape({ proposal, tape }: FinalizedBlock): boolean {
    const { tapes } = this.#options;
    const { height, payload } = proposal.block;
    if (tapes === null || payload.summary === undefined) return true;
    tapes.learn(height, decodeSummary(payload.summary));
    return tapes.isRight(height, tape) === true;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, ms);
      this.#timers.add(timer);
    });
  }
}

/** Asks for nothing: says how far it is. */
const NOTHING: StateAsk = { part: "chunks", places: [] };
