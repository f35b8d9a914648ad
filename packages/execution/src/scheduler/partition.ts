/**
 * A partition of a round: the turns of its canisters one after the other, message by message, until they are done or the
 * partition's instructions are used up. A message that needs more than a slice gets one in each round and ends its canister's
 * turn; the canister goes on with other messages in the round after the one in which that message ended.
 */
import type { PrincipalKey } from "@orrery/base";
import type { CanisterState, MessageWork } from "@orrery/state";
import { type ExecutionLimits, HEAVY_HEAP_PAGES } from "../limits.ts";
import { contextOf, finishMessage, noteProcessing, type TurnEnv } from "../messaging/run-message.ts";
import type { Job, JobResult, MessageOutcome, Partition } from "../types.ts";
import { newPicker, nextWork, type Picker, type TurnTasks } from "./turn.ts";

export interface Turn {
  readonly key: PrincipalKey;
  readonly canister: CanisterState;
  readonly env: TurnEnv;
  readonly tasks: TurnTasks;
}

function firstSlice(limits: ExecutionLimits): bigint {
  return limits.instructionsPerFirstSlice ?? limits.instructionsPerSlice;
}

/** Instructions up to which a message's result is due after so many slices. */
function grantedInstructions({ canister, env: { limits } }: Turn, work: MessageWork, slices: number): bigint {
  if (slices === 0) return 0n;
  if (work.entry.kind === "replicated_query" && !limits.replicatedQuerySlices) return work.totalLimit;
  const short = canister.heavy === true ? limits.instructionsPerHeavySlice : null;
  return (short ?? firstSlice(limits)) + BigInt(slices - 1) * limits.instructionsPerSlice;
}

/** Whoever took long, or wrote to very many pages, is looked at less closely in the round in which its next message begins. */
function noteWeight(
  { canister, env: { limits } }: Turn,
  { instructions, heapPagesTouched }: MessageOutcome,
): void {
  if (limits.instructionsPerHeavySlice === null) return;
  if (instructions > firstSlice(limits) || heapPagesTouched >= HEAVY_HEAP_PAGES) canister.heavy = true;
  else delete canister.heavy;
}

function isTask({ entry: { kind } }: MessageWork): boolean {
  return kind === "heartbeat" || kind === "global_timer" || kind === "on_low_wasm_memory";
}

export class TurnPartition implements Partition {
  readonly #turns: readonly Turn[];
  #at = 0;
  #picker: Picker | null = null;
  /** Instructions left; no message starts at zero. */
  #budget: bigint;
  /** Of the canister whose turn it is, by the messages that it had. */
  #used = 0n;
  /** Canisters whose message had a slice and needs, or needed, more than one. */
  readonly #sliced: (key: PrincipalKey) => void;
  /** Those of them whose message ended. */
  readonly #ended: (key: PrincipalKey) => void;

  constructor(
    turns: readonly Turn[],
    options: {
      readonly budget: bigint;
      readonly sliced: (key: PrincipalKey) => void;
      readonly ended: (key: PrincipalKey) => void;
    },
  ) {
    this.#turns = turns;
    this.#budget = options.budget;
    this.#sliced = options.sliced;
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
      const { instructionsPerTurn } = env.limits;
      if (instructionsPerTurn !== null && this.#used >= instructionsPerTurn) {
        this.#endTurn();
        continue;
      }
      this.#picker ??= newPicker(canister);
      const next =
        running === null ? nextWork(env, canister, turn.tasks, this.#picker) : ({ kind: "idle" } as const);
      if (next.kind === "work") return this.#grant(turn, next.work);
      if (next.kind === "answered") this.#budget -= env.limits.overheadPerMessage;
      else this.#endTurn();
    }
    return null;
  }

  done(job: Job, result: JobResult | null): void {
    const turn = this.#turns[this.#at] as Turn;
    const { canister, env, key } = turn;
    const work = job.work as MessageWork;
    const earlier = grantedInstructions(turn, work, work.slicesGranted - 1);
    const used = (result?.outcome.instructions ?? job.granted) - earlier;
    this.#budget -= used + env.limits.overheadPerMessage;
    this.#used += used + env.limits.overheadPerMessage;
    env.outbox.instructions += used;
    if (result !== null) {
      noteWeight(turn, result.outcome);
      finishMessage(env, canister, work, result);
    }
    if (result !== null && work.slicesGranted === 1) return;
    env.outbox.slices++;
    this.#sliced(key);
    if (result !== null) {
      if (isTask(work)) canister.messagesFirst = true;
      this.#ended(key);
    } else if (work.slicesGranted === 1) noteProcessing(env, contextOf(canister, work));
    this.#endTurn();
  }

  #grant(turn: Turn, work: MessageWork): Job {
    work.slicesGranted++;
    return { canister: turn.canister, work, granted: grantedInstructions(turn, work, work.slicesGranted) };
  }

  #endTurn(): void {
    this.#at++;
    this.#picker = null;
    this.#used = 0n;
  }
}
