/**
 * HTTPS outcalls of a subnet of several nodes at one of them (interface spec, "http_request"): makes those that are this node's once their
 * round is published, signs what it got, and has the answers that the nodes agree on for a block.
 */
import type { Height, OutcallResponse } from "@orrery/base";
import { Outcalls } from "../outcalls.ts";
import type { RoundReport, StartedOutcall } from "../protocol.ts";
import { OutcallShares, type OutcallSharesOptions } from "./outcall-shares.ts";
import type { ReplicaRoundsOptions } from "./replica-options.ts";

export interface ReplicaOutcallsOptions
  extends Pick<ReplicaRoundsOptions, "outcalls" | "threads" | "local" | "self" | "keys" | "voice"> {
  readonly members: OutcallSharesOptions["members"];
  /** An answer may wait for a block. */
  readonly onChange: () => void;
  /** A peer said what no honest one does. */
  readonly onLie: (peer: number, why: string) => void;
  readonly onFailure: (error: unknown) => void;
}

export class ReplicaOutcalls {
  readonly #options: ReplicaOutcallsOptions;
  readonly #made: Outcalls;
  readonly #shares: OutcallShares;

  constructor(options: ReplicaOutcallsOptions) {
    this.#options = options;
    const { threads, local, self, keys, voice } = options;
    this.#shares = new OutcallShares({
      subnetId: local.keys.subnetId,
      self,
      members: options.members,
      crypto: keys.crypto,
      publish: (told, body) => voice.tellOutcall(told, body),
      retract: (outcall) => voice.withdrawOutcall(outcall),
      reconsider: () => voice.reconsiderOutcalls(),
    });
    this.#made = new Outcalls({
      adapter: options.outcalls,
      answer: (outcall, fetched) =>
        threads.view<OutcallResponse | null>({ kind: "answer_outcall", outcall, fetched }),
      onReady: () => this.#got(),
      onFailure: options.onFailure,
    });
  }

  /** Answers that nodes agreed on and no block has yet. */
  get settled(): number {
    return this.#shares.settled;
  }

  /** What the state waits for when the node starts. */
  begin(outcalls: readonly StartedOutcall[]): void {
    this.#shares.begin(outcalls.map(({ outcall }) => outcall));
    this.#made.begin(this.#own(outcalls));
  }

  executed(height: Height, { started, ended }: RoundReport["outcalls"]): void {
    this.#shares.begin(started.map(({ outcall }) => outcall));
    this.#made.expect(height, this.#own(started));
    this.#shares.end(ended);
    this.#made.end(ended);
  }

  published(height: Height): void {
    this.#made.published(height);
  }

  hear(peer: number, body: Uint8Array): void {
    if (this.#shares.hear(peer, body)) this.#options.onChange();
    else this.#options.onLie(peer, "a word on an outcall that no honest node gives");
  }

  wants(label: Uint8Array): ReturnType<OutcallShares["wants"]> {
    return this.#shares.wants(label);
  }

  offers(height: Height): readonly OutcallResponse[] {
    return this.#shares.offers(height);
  }

  fault(response: OutcallResponse, block: Parameters<OutcallShares["fault"]>[1]): string | null {
    return this.#shares.fault(response, block);
  }

  stop(): void {
    this.#made.stop();
  }

  #own(outcalls: readonly StartedOutcall[]): readonly StartedOutcall[] {
    return outcalls.filter(({ outcall }) => this.#shares.isOwn(outcall));
  }

  #got(): void {
    for (const response of this.#made.take()) this.#shares.got(response);
    this.#options.onChange();
  }
}
