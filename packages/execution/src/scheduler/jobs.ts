/**
 * Running jobs on the thread that owns the state. What a long message came to is kept, uncommitted, until the round in which its
 * count is covered; what is not kept (after a restart, or when too much is) is run again from its start.
 */
import { assert } from "@orrery/base";
import type { CanisterState, ReplicatedState, RunningWork } from "@orrery/state";
import { minOf } from "../bigints.ts";
import { ErrorCode } from "../error-codes.ts";
import { runInstallation } from "../management/install-work.ts";
import { contextOf } from "../messaging/run-message.ts";
import { pinned, runMessage, type WorkScene } from "../messaging/work.ts";
import type { Job, JobResult, LocalJobs, MessageRunner, Pace, RunnableCanister } from "../types.ts";

/** Results of long executions kept at a time; each may hold a whole memory. */
export const KEPT_RESULTS_MAX = 16;
/** Takes the changes out whatever the count. */
const COMMIT_NOTHING = -1n;

/** What an execution sees besides its canister and its record, to be sent to another thread. */
export type JobScene =
  | ({ readonly kind: "message" } & WorkScene)
  | {
      readonly kind: "install";
      readonly subnet: WorkScene["subnet"];
      readonly upload: Uint8Array;
    };

export function sceneOf(
  state: ReplicatedState,
  { canister, work }: Pick<Job, "canister" | "work">,
): JobScene {
  if (work.kind === "install") {
    return { kind: "install", subnet: state.subnet, upload: state.blobs.get(work.blob) };
  }
  return {
    kind: "message",
    subnet: state.subnet,
    context: contextOf(canister, work),
    outstanding: canister.outstandingByCallee,
  };
}

/** Executes work on whatever thread this is. */
export function runWork(
  runner: MessageRunner,
  canister: RunnableCanister,
  options: {
    readonly scene: JobScene;
    readonly work: RunningWork;
    readonly commitWithin: bigint;
    readonly pace?: Pace | undefined;
  },
): JobResult {
  const { scene, work, pace } = options;
  const seen = pinned(canister, work);
  // A copy is seen by the execution only; nothing may be committed into it.
  const commitWithin = seen === canister ? options.commitWithin : COMMIT_NOTHING;
  if (work.kind === "install") {
    assert(scene.kind === "install", "an installation is given its module");
    return runInstallation(runner, seen, { scene, work, commitWithin, pace });
  }
  assert(scene.kind === "message", "a message is given its call context");
  return runMessage(runner, seen, { scene, work, commitWithin, pace });
}

/** The same work with so few instructions that running out of them says nothing. */
function limited(work: RunningWork, limit: bigint): RunningWork {
  if (work.kind === "install") {
    const { prepaid } = work;
    return { ...work, prepaid: { ...prepaid, instructionLimit: minOf(prepaid.instructionLimit, limit) } };
  }
  return {
    ...work,
    instructionLimit: minOf(work.instructionLimit, limit),
    totalLimit: minOf(work.totalLimit, limit),
  };
}

export class LocalJobRunner implements LocalJobs {
  readonly #state: ReplicatedState;
  readonly #runner: MessageRunner;
  /** Oldest first. */
  readonly #kept = new Map<RunningWork, JobResult>();

  constructor(state: ReplicatedState, runner: MessageRunner) {
    this.#state = state;
    this.#runner = runner;
  }

  run(job: Job): JobResult | null {
    if (job.granted < 0n) return null;
    const result = this.#kept.get(job.work) ?? this.#execute(job, job.work, job.granted);
    this.#kept.delete(job.work);
    if (result.outcome.instructions <= job.granted) return this.adopt(job, result);
    this.#keep(job.work, result);
    return null;
  }

  probe(job: Job, limit: bigint): JobResult | "outgrown" {
    const result = this.#execute(job, limited(job.work, limit), limit - 1n);
    const { error, instructions } = result.outcome;
    // A cleanup callback that ran out of instructions shows in their number only.
    if (instructions >= limit || error?.code === ErrorCode.CanisterInstructionLimitExceeded)
      return "outgrown";
    return this.adopt(job, result);
  }

  adopt(job: Job, result: JobResult): JobResult {
    const { change } = result.outcome;
    if (change !== undefined) this.#runner.commit(job.canister, change);
    return result;
  }

  #execute(
    { canister }: { readonly canister: CanisterState },
    work: RunningWork,
    commitWithin: bigint,
  ): JobResult {
    const scene = sceneOf(this.#state, { canister, work });
    return runWork(this.#runner, canister, { scene, work, commitWithin });
  }

  #keep(work: RunningWork, result: JobResult): void {
    this.#kept.set(work, result);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_RESULTS_MAX) return;
      this.#kept.delete(oldest);
    }
  }
}
