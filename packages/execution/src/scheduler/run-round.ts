/**
 * The rounds' inner loop: turns of all canisters that have work, then delivery of what they sent, then management
 * calls, again and again until nothing is left or the partitions' instructions are used up. The order is by priority and id;
 * partitions are formed by position, so the result depends on neither the host nor the number of workers.
 */
import type { PrincipalKey } from "@orrery/base";
import { type CanisterState, touch } from "@orrery/state";
import { SUBNET_MEMORY_BYTES_MAX } from "../limits.ts";
import { runManagement } from "../management/run-queue.ts";
import { deliverMessages, settleOutbox } from "../messaging/delivery.ts";
import { newOutbox, type Outbox } from "../messaging/outbox.ts";
import type { Round } from "./round.ts";
import { completeStops } from "./stopping.ts";
import { type Budget, runTurn, type TurnTasks } from "./turn.ts";

type DueTasks = Map<PrincipalKey, TurnTasks>;

interface Turn {
  readonly key: PrincipalKey;
  readonly canister: CanisterState;
  readonly outbox: Outbox;
  readonly tasks: TurnTasks;
}

/** Runs everything that the round's instructions allow. */
export function runRound(round: Round): void {
  const { index, limits, state } = round;
  const due = collectTasks(round);
  const budgets: Budget[] = Array.from({ length: limits.partitions }, () => ({
    instructions: limits.instructionsPerRound,
  }));
  const management = {
    instructions: limits.instructionsPerRound,
    install: limits.installInstructionsPerRound,
  };
  const ran = new Set<PrincipalKey>();
  runManagement(round, management);
  while (runTurns(round, { due, budgets, ran })) {
    completeStops(round);
    runManagement(round, management);
  }
  completeStops(round);
  for (const [key, tasks] of due) {
    const canister = state.canisters.get(key);
    if (tasks.timer && canister !== undefined) index.refresh(key, canister);
  }
  updatePriorities(round, ran);
}

/** Heartbeats on their grid of block time, and every timer that is due. */
function collectTasks(round: Round): DueTasks {
  const { state, index, limits, previousTime } = round;
  const due: DueTasks = new Map();
  const interval = limits.heartbeatIntervalNs;
  if (interval === 0n || state.time / interval !== previousTime / interval) {
    for (const key of index.heartbeats) due.set(key, { heartbeat: true, timer: false });
  }
  for (;;) {
    const key = index.takeTimer(state.time);
    if (key === null) return due;
    const tasks = due.get(key);
    if (tasks === undefined) due.set(key, { heartbeat: false, timer: true });
    else tasks.timer = true;
  }
}

/** Keys of canisters with work: those longest without a first turn first, then by id. */
function activeKeys(round: Round, due: DueTasks): PrincipalKey[] {
  const { state, index } = round;
  const keys = new Set(index.runnable);
  for (const [key, tasks] of due) {
    if ((tasks.heartbeat || tasks.timer) && state.canisters.has(key)) keys.add(key);
  }
  const priority = (key: PrincipalKey): number => (state.canisters.get(key) as CanisterState).priority;
  return [...keys].sort((a, b) => priority(b) - priority(a) || (a < b ? -1 : 1));
}

/** One pass over the canisters with work; false when nothing could run. */
function runTurns(
  round: Round,
  options: { readonly due: DueTasks; readonly budgets: readonly Budget[]; readonly ran: Set<PrincipalKey> },
): boolean {
  const { due, budgets, ran } = options;
  const { state } = round;
  const turns: Turn[] = activeKeys(round, due).map((key) => ({
    key,
    canister: state.canisters.get(key) as CanisterState,
    outbox: newOutbox(),
    tasks: due.get(key) ?? { heartbeat: false, timer: false },
  }));
  if (turns.length === 0) return false;
  const subnetMemoryAvailable = SUBNET_MEMORY_BYTES_MAX - round.index.memoryUsed;
  const partitions = budgets.map((budget, p) => () => {
    for (let i = p; i < turns.length; i += budgets.length) {
      if (budget.instructions <= 0n) return;
      const { canister, outbox, tasks } = turns[i] as Turn;
      const env = {
        subnet: state.subnet,
        time: state.time,
        runner: round.runner,
        limits: round.limits,
        subnetMemoryAvailable,
        outbox,
      };
      runTurn(env, canister, { tasks, budget, height: state.height });
    }
  });
  round.executor.run(partitions);
  let progressed = false;
  for (const turn of turns) {
    if (turn.outbox.executions === 0) continue;
    progressed = true;
    ran.add(turn.key);
    settleOutbox(round, turn.canister, turn.outbox);
  }
  for (const { outbox } of turns) deliverMessages(round, outbox);
  return progressed;
}

/** Whoever has work left goes further to the front of the next round; whoever finished goes back. */
function updatePriorities(round: Round, ran: ReadonlySet<PrincipalKey>): void {
  const { state, index } = round;
  for (const key of index.runnable) {
    const canister = state.canisters.get(key) as CanisterState;
    canister.priority++;
    touch(state, canister);
  }
  for (const key of ran) {
    const canister = state.canisters.get(key);
    if (canister === undefined || canister.priority === 0 || index.runnable.has(key)) continue;
    canister.priority = 0;
    touch(state, canister);
  }
}
