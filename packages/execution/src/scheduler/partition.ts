/**
 * A partition of a round: the turns of its canisters one after the other, message by message, until they are done or the
 * partition's instructions are used up. A message that needs more than a slice gets one in each round and ends its canister's
 * turn; the canister goes on with other messages in the round after the one in which that message ended.
 */
import type { PrincipalKey } from "@orrery/base";
import type { CanisterState, MessageWork } from "@orrery/state";
import type { ExecutionLimits } from "../limits.ts";
import { contextOf, finishMessage, noteProcessing, type TurnEnv } from "../messaging/run-message.ts";
import type { Job, JobResult, Partition } from "../types.ts";
import { newPicker, nextWork, type Picker, type TurnTasks } from "./turn.ts";

export interface Turn {
  readonly key: PrincipalKey;
  readonly canister: CanisterState;
  readonly env: TurnEnv;
  readonly tasks: TurnTasks;
}

/** Instructions up to which a message's result is due. Replicated queries have no slices: the limit of queries is theirs. */
export function grantedInstructions(limits: ExecutionLimits, work: MessageWork): bigint {
  if (work.entry.kind === "replicated_query") return work.totalLimit;
  return BigInt(work.slicesGranted) * limits.instructionsPerSlice;
}

export class TurnPartition implements Partition {
  readonly #turns: readonly Turn[];
  #at = 0;
  #picker: Picker | null = null;
  /** Instructions left; no message starts at zero. */
  #budget: bigint;
  /** Canisters whose message ended in this round after more than one slice. */
  readonly #ended: (key: PrincipalKey) => void;

  constructor(
    turns: readonly Turn[],
    options: { readonly budget: bigint; readonly ended: (key: PrincipalKey) => void },
  ) {
    this.#turns = turns;
    this.#budget = options.budget;
    this.#ended = options.ended;
  }

  get budget(): bigint {
    return this.#budget;
  }

  next(): Job | null {
    while (this.#budget > 0n) {
      const turn = this.#turns[this.#at];
      if (turn === undefined) return null;
      const { canister, env } = turn;
      const { running } = canister;
      if (running?.kind === "message") return this.#grant(turn, running);
      this.#picker ??= newPicker(canister, env.height);
      const next =
        running === null ? nextWork(env, canister, turn.tasks, this.#picker) : ({ kind: "idle" } as const);
      if (next.kind === "work") return this.#grant(turn, next.work);
      if (next.kind === "answered") this.#budget -= env.limits.overheadPerMessage;
      else this.#endTurn();
    }
    return null;
  }

  done(job: Job, result: JobResult | null): void {
    const { canister, env, key } = this.#turns[this.#at] as Turn;
    const work = job.work as MessageWork;
    const earlier = BigInt(work.slicesGranted - 1) * env.limits.instructionsPerSlice;
    const used = (result?.outcome.instructions ?? job.granted) - earlier;
    this.#budget -= used + env.limits.overheadPerMessage;
    env.outbox.instructions += used;
    if (result !== null) finishMessage(env, canister, work, result);
    if (result !== null && work.slicesGranted === 1) return;
    env.outbox.slices++;
    if (result !== null) this.#ended(key);
    else if (work.slicesGranted === 1) noteProcessing(env, contextOf(canister, work));
    this.#endTurn();
  }

  #grant({ canister, env }: Turn, work: MessageWork): Job {
    work.slicesGranted++;
    return { canister, work, granted: grantedInstructions(env.limits, work) };
  }

  #endTurn(): void {
    this.#at++;
    this.#picker = null;
  }
}
